//! DameWare Mini Remote Control. Seen by scanners and published with exploits of it: the server greets with forty octets, and
//! the client answers with a message of the same head.
//!
//! ```text
//!  30 11 00 00  00 00 00 00   d7 a3 70 3d 0a d7 0d 40   00 ...
//!  kind                       version, an IEEE double: 3.73
//! ```

use super::{begins, native};
use crate::sniff::{Answer, Evidence, Openings};

const HEAD: &[u8] = &[0x30, 0x11, 0, 0, 0, 0, 0, 0];

/// Versions from 1 up to here are believed: the product stood at 12 in 2024.
const NEWEST: f64 = 64.0;

pub(in crate::sniff) fn sniff(openings: &Openings<'_>) -> Answer {
    match [greeting(openings.server), greeting(openings.client)] {
        [Some(false), _] | [_, Some(false)] => Answer::NotMine,
        [Some(true), _] | [_, Some(true)] => Answer::Found(native("dameware")),
        [None, None] => Answer::NeedMore,
    }
}

pub(in crate::sniff) const fn cut_short(_: &Openings<'_>) -> Option<Evidence> {
    None
}

fn greeting(opening: &[u8]) -> Option<bool> {
    if !begins(opening, HEAD)? {
        return Some(false);
    }
    let version = opening.get(HEAD.len()..)?.first_chunk()?;
    Some((1.0..NEWEST).contains(&f64::from_le_bytes(*version)))
}
