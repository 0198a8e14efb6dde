//! STUN (RFC 8489) and TURN (RFC 8656), over UDP and TCP: calls and shared screens of browsers begin with it. The vendor does
//! not show in it.

use super::native;
use crate::sniff::reader::Reader;
use crate::sniff::{Answer, Evidence, Openings, State};

/// Section 5.
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

pub(in crate::sniff) fn step(_: &mut State, _from_client: bool, datagram: &[u8]) -> Answer {
    match message(datagram) {
        Some(Some(len)) if len == datagram.len() => Answer::Found(native("stun")),
        _ => Answer::NotMine,
    }
}

/// Over TCP the messages stand one after the other, or each behind its length (RFC 4571, where ICE runs over TCP).
pub(in crate::sniff) fn sniff(openings: &Openings<'_>) -> Answer {
    let mut short = false;
    for opening in [openings.client, openings.server] {
        let framed = opening.get(2..).map(message);
        match (message(opening), framed) {
            (Some(Some(_)), _) => return Answer::Found(native("stun")),
            (_, Some(Some(Some(len)))) if framed_length(opening) == Some(len) => {
                return Answer::Found(native("stun"));
            }
            (None, _) | (_, None | Some(None)) => short = true,
            _ => return Answer::NotMine,
        }
    }
    if short { Answer::NeedMore } else { Answer::NotMine }
}

pub(in crate::sniff) const fn cut_short(_: &Openings<'_>) -> Option<Evidence> {
    None
}

/// Octets of the message at the beginning; the outer `None` where it is too short to tell, the inner for another protocol.
///
/// ```text
///  00 | type, 14 bits | length, a multiple of 4 | 21 12 a4 42 | transaction, 12 octets
/// ```
fn message(bytes: &[u8]) -> Option<Option<usize>> {
    let mut reader = Reader::new(bytes);
    if reader.u8()? & 0xc0 != 0 {
        return Some(None);
    }
    reader.u8()?;
    let len = reader.u16()?;
    if len % 4 != 0 {
        return Some(None);
    }
    for wanted in COOKIE {
        if reader.u8()? != wanted {
            return Some(None);
        }
    }
    Some(Some(20 + usize::from(len)))
}

fn framed_length(opening: &[u8]) -> Option<usize> {
    Reader::new(opening).u16().map(usize::from)
}
