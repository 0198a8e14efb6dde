//! Remote Framebuffer (RFC 6143), which every VNC speaks: `RFB 003.008` and a line feed, the server first.

use super::native;
use crate::sniff::{Answer, Evidence, Openings};

/// Section 7.1.1: twelve octets with three digits before the point and three behind it.
const LINE: &[u8] = b"RFB 000.000\n";

pub(in crate::sniff) fn sniff(openings: &Openings<'_>) -> Answer {
    let lines = [line(openings.server), line(openings.client)];
    match lines {
        // On a tap of one direction, one of them alone is all there is: twelve octets are enough.
        [Some(false), _] | [_, Some(false)] => Answer::NotMine,
        [Some(true), _] | [_, Some(true)] => Answer::Found(native("rfb")),
        [None, None] => Answer::NeedMore,
    }
}

pub(in crate::sniff) const fn cut_short(_: &Openings<'_>) -> Option<Evidence> {
    None
}

/// Whether the opening is that of RFB; `None` where it is too short to tell.
fn line(opening: &[u8]) -> Option<bool> {
    let mut pairs = opening.iter().zip(LINE);
    let fits = pairs.all(|(seen, wanted)| match wanted {
        b'0' => seen.is_ascii_digit(),
        _ => seen == wanted,
    });
    if !fits {
        return Some(false);
    }
    (opening.len() >= LINE.len()).then_some(true)
}
