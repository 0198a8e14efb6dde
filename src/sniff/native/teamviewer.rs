//! TeamViewer's own protocol: over TCP to its relays (5938, else 443 and 80), over UDP between the two ends. Two octets of it
//! are known from public classifiers; the rest of the heads is what captures show.
//!
//! ```text
//!  TCP, first    17 24 | command | length, 16 bits little-endian | data
//!  TCP, later    11 30 | command | 00 | length, 32 bits | number | acknowledged | ... | head's length: 18 00 00 00 | data
//!  UDP           number | acknowledged | flow, 16 bits | 03, 04 or 0b | 17 24 | command | length, 16 bits | data
//! ```

use super::native;
use crate::sniff::reader::Reader;
use crate::sniff::{Answer, Evidence, Openings, State};

/// Octets of a later message at most: what was seen has a few thousand.
const MAX_MESSAGE: u32 = 1 << 20;

/// Octets before the data of a later message, which it says itself.
const LATER_HEAD: usize = 24;

/// Two messages that follow each other, or one in each direction.
pub(in crate::sniff) fn sniff(openings: &Openings<'_>) -> Answer {
    let (client, server) = (chain(openings.client), chain(openings.server));
    match (client, server) {
        (Chain::Other, _) | (_, Chain::Other) => Answer::NotMine,
        (Chain::Two, _) | (_, Chain::Two) | (Chain::One, Chain::One) => {
            Answer::Found(native("teamviewer"))
        }
        (Chain::One | Chain::Begun, Chain::One | Chain::Begun) => Answer::NeedMore,
    }
}

pub(in crate::sniff) const fn cut_short(_: &Openings<'_>) -> Option<Evidence> {
    None
}

pub(in crate::sniff) fn step(_: &mut State, _from_client: bool, datagram: &[u8]) -> Answer {
    if is_datagram(datagram).unwrap_or(false) {
        Answer::Found(native("teamviewer"))
    } else {
        Answer::NotMine
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chain {
    /// Too short to tell.
    Begun,
    /// One head, and what follows it has not come.
    One,
    Two,
    Other,
}

fn chain(opening: &[u8]) -> Chain {
    match head(opening) {
        None => Chain::Begun,
        Some(None) => Chain::Other,
        Some(Some(len)) => match opening.get(len..).map(head) {
            Some(Some(None)) => Chain::Other,
            Some(Some(Some(_))) => Chain::Two,
            Some(None) | None => Chain::One,
        },
    }
}

/// Octets of the message at the beginning; the outer `None` where it is too short to tell, the inner for another protocol.
fn head(bytes: &[u8]) -> Option<Option<usize>> {
    let mut reader = Reader::new(bytes);
    match reader.u8()? {
        0x17 => first_head(&mut reader).map(|len| len.map(|len| 5 + len)),
        0x11 => later_head(&mut reader).map(|len| len.map(|len| LATER_HEAD + len)),
        _ => Some(None),
    }
}

fn first_head(reader: &mut Reader<'_>) -> Option<Option<usize>> {
    if reader.u8()? != 0x24 || reader.u8()? == 0 {
        return Some(None);
    }
    Some(Some(usize::from(reader.u16()?.swap_bytes())))
}

fn later_head(reader: &mut Reader<'_>) -> Option<Option<usize>> {
    if reader.u8()? != 0x30 || reader.u8()? == 0 || reader.u8()? != 0 {
        return Some(None);
    }
    let len = u32::from_le_bytes(*reader.take(4)?.first_chunk()?);
    reader.take(12)?;
    let said = u32::from_le_bytes(*reader.take(4)?.first_chunk()?);
    let fits = len <= MAX_MESSAGE && usize::try_from(said) == Ok(LATER_HEAD);
    Some(usize::try_from(len).ok().filter(|_| fits))
}

fn is_datagram(datagram: &[u8]) -> Option<bool> {
    let mut reader = Reader::new(datagram);
    reader.take(10)?;
    let kind = reader.u8()?;
    let magic = reader.u16()?;
    reader.u8()?;
    let len = usize::from(reader.u16()?.swap_bytes());
    Some(matches!(kind, 3 | 4 | 0x0b) && magic == 0x1724 && len == reader.rest().len())
}
