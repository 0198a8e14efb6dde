//! RustDesk's rendezvous and relay, by its published messages (rendezvous.proto of its hbb_common): one message of a union in
//! protocol buffers, whole in a datagram, and over TCP behind a length of one to four octets.
//!
//! ```text
//!  UDP   32 | length | 0a | length | id | 10 | serial          RegisterPeer (field 6), each 12 s
//!        3a | length | [10 01]                                  RegisterPeerResponse (field 7)
//!  TCP   length: two bits say how many octets it has less one, then the length, little-endian
//!        a2 01 | ..                                             TestNatRequest (field 20)
//!        92 01 | .. 0a id 12 uuid ..                            RequestRelay (field 18): somebody connects
//! ```

use super::{native, recall, remember};
use crate::sniff::reader::Reader;
use crate::sniff::{Answer, Evidence, Openings, State};

const MARK: u8 = b'r';

/// Octets of an id: nine digits by default, or a name of 6 to 16 characters.
const ID: std::ops::RangeInclusive<usize> = 6..=32;

/// Octets of a first message over TCP at most: keys and tokens make it a few hundred.
const MAX_FIRST: usize = 2_048;

/// Field numbers of the union.
mod field {
    pub(super) const REGISTER_PEER: u64 = 6;
    pub(super) const REGISTER_PEER_RESPONSE: u64 = 7;
    pub(super) const PUNCH_HOLE_REQUEST: u64 = 8;
    pub(super) const REGISTER_PK: u64 = 15;
    pub(super) const REQUEST_RELAY: u64 = 18;
    pub(super) const TEST_NAT_REQUEST: u64 = 20;
    pub(super) const ONLINE_REQUEST: u64 = 23;
}

/// An id that is registered, and a second time or an answer.
pub(in crate::sniff) fn step(state: &mut State, _from_client: bool, datagram: &[u8]) -> Answer {
    let Some((field, body)) = message(datagram) else { return Answer::NotMine };
    let registered = recall(state.word, MARK).is_some();
    match field {
        field::REGISTER_PEER | field::REGISTER_PK if has_id(body) => {}
        field::REGISTER_PEER_RESPONSE if registered && matches!(body, [] | [0x10, 1]) => {}
        _ => return Answer::NotMine,
    }
    if registered {
        return Answer::Found(native("rustdesk"));
    }
    state.word = remember(MARK, 1);
    Answer::NeedMore
}

pub(in crate::sniff) fn sniff(openings: &Openings<'_>) -> Answer {
    let (head, len) = match frame(openings.client) {
        Some(Some(frame)) => frame,
        Some(None) => return Answer::NotMine,
        None => return Answer::NeedMore,
    };
    let Some(bytes) = openings.client.get(head..head + len) else {
        let begun = openings.client.get(head..).unwrap_or_default();
        return if may_begin(begun) { Answer::NeedMore } else { Answer::NotMine };
    };
    let Some((field, body)) = message(bytes) else { return Answer::NotMine };
    match field {
        field::REQUEST_RELAY if has_uuid(body) => Answer::Found(native("rustdesk")),
        field::PUNCH_HOLE_REQUEST | field::REGISTER_PK if has_id(body) => {
            Answer::Found(native("rustdesk"))
        }
        field::ONLINE_REQUEST if has_id(body) => Answer::Found(native("rustdesk")),
        // A few octets: the answer must be of the same kind.
        field::TEST_NAT_REQUEST if body.is_empty() || body.first() == Some(&0x08) => {
            match answer(openings.server) {
                Some(true) => Answer::Found(native("rustdesk")),
                Some(false) => Answer::NotMine,
                None => Answer::NeedMore,
            }
        }
        _ => Answer::NotMine,
    }
}

pub(in crate::sniff) const fn cut_short(_: &Openings<'_>) -> Option<Evidence> {
    None
}

/// Octets of the length, and the length. The outer `None` where it is too short to tell.
fn frame(opening: &[u8]) -> Option<Option<(usize, usize)>> {
    let first = *opening.first()?;
    let head = usize::from(first & 3) + 1;
    let octets = opening.get(..head)?;
    let value = octets.iter().rev().fold(0u32, |value, octet| value << 8 | u32::from(*octet));
    let len = usize::try_from(value >> 2).unwrap_or(usize::MAX);
    Some((3..=MAX_FIRST).contains(&len).then_some((head, len)))
}

/// Whether these octets can be the beginning of a union's message.
fn may_begin(bytes: &[u8]) -> bool {
    matches!(bytes, [] | [0x42 | 0x7a, ..] | [0x92 | 0xa2 | 0xba] | [0x92 | 0xa2 | 0xba, 1, ..])
}

/// TestNatResponse (field 21).
fn answer(opening: &[u8]) -> Option<bool> {
    let Some((head, len)) = frame(opening)? else { return Some(false) };
    let bytes = opening.get(head..head + len)?;
    Some(message(bytes).is_some_and(|(field, _)| field == 21))
}

/// The one field of a union and its message, if that is all there is.
fn message(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut reader = Reader::new(bytes);
    let (field, body) = delimited(&mut reader)?;
    reader.rest().is_empty().then_some((field, body))
}

/// The first field, as text.
fn has_id(body: &[u8]) -> bool {
    let mut reader = Reader::new(body);
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    matches!(delimited(&mut reader), Some((1, id)) if ID.contains(&id.len()) && id.iter().all(plain))
        && fields(reader)
}

/// Among the first fields, a UUID in its text form: both ends bring the same to the relay.
fn has_uuid(body: &[u8]) -> bool {
    let mut reader = Reader::new(body);
    let mut uuid = false;
    while !reader.rest().is_empty() {
        match any(&mut reader) {
            Some((2, Some(text))) => {
                uuid = text.len() == 36 && text.iter().filter(|b| **b == b'-').count() == 4;
            }
            Some(_) => {}
            None => return false,
        }
    }
    uuid
}

/// Whether the rest is made of fields.
fn fields(mut reader: Reader<'_>) -> bool {
    while !reader.rest().is_empty() {
        if any(&mut reader).is_none() {
            return false;
        }
    }
    true
}

/// A field of any kind that these messages have: a number, or octets.
fn any<'a>(reader: &mut Reader<'a>) -> Option<(u64, Option<&'a [u8]>)> {
    let key = varint(reader)?;
    match (key >> 3, key & 7) {
        (0, _) | (64.., _) => None,
        (field, 0) => varint(reader).map(|_| (field, None)),
        (field, 2) => {
            let len = usize::try_from(varint(reader)?).ok()?;
            reader.take(len).map(|octets| (field, Some(octets)))
        }
        _ => None,
    }
}

fn delimited<'a>(reader: &mut Reader<'a>) -> Option<(u64, &'a [u8])> {
    match any(reader)? {
        (field, Some(octets)) => Some((field, octets)),
        (_, None) => None,
    }
}

/// Of at most ten octets (the encoding's own bound).
fn varint(reader: &mut Reader<'_>) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let octet = reader.u8()?;
        value |= u64::from(octet & 0x7f).checked_shl(shift).unwrap_or(0);
        if octet & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
