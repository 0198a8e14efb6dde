//! Radmin 2 and 3, over TCP (by default port 4899). Its framing is published nowhere; captures show it.
//!
//! ```text
//!  01 | 00 00 00 05 | 00 00 02 27 | 27 02 00 00 00
//!       length        sum of the data's little-endian words, the last filled up with zeros
//! ```

use super::native;
use crate::sniff::reader::Reader;
use crate::sniff::{Answer, Evidence, Openings};

/// Octets of a first message at most: those that were seen have 1 to 37.
const MAX_FIRST: usize = 512;

pub(in crate::sniff) fn sniff(openings: &Openings<'_>) -> Answer {
    match [message(openings.client), message(openings.server)] {
        [Some(false), _] | [_, Some(false)] => Answer::NotMine,
        [Some(true), Some(true)] => Answer::Found(native("radmin")),
        _ => Answer::NeedMore,
    }
}

/// One direction alone: a sum that is right over a message of a few octets.
pub(in crate::sniff) fn cut_short(openings: &Openings<'_>) -> Option<Evidence> {
    let ends = [openings.client, openings.server];
    let right = ends.iter().any(|o| message(o) == Some(true));
    let wrong = ends.iter().any(|o| message(o) == Some(false));
    (right && !wrong).then(|| native("radmin"))
}

/// Whether the opening begins with a message; `None` where it is too short to tell.
fn message(opening: &[u8]) -> Option<bool> {
    let mut reader = Reader::new(opening);
    if reader.u8()? != 1 {
        return Some(false);
    }
    // The first message is short: two zeros tell most others apart before it is whole.
    if reader.u16()? != 0 {
        return Some(false);
    }
    let len = usize::from(reader.u16()?);
    if !(1..=MAX_FIRST).contains(&len) {
        return Some(false);
    }
    let sum = reader.take(4)?;
    let data = reader.take(len)?;
    let words = data.chunks(4).map(|chunk| {
        let mut word = [0; 4];
        word.iter_mut().zip(chunk).for_each(|(to, octet)| *to = *octet);
        u32::from_le_bytes(word)
    });
    let total = words.fold(0u32, u32::wrapping_add);
    Some(total != 0 && sum == total.to_be_bytes())
}
