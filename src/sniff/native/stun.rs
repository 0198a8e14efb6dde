//! STUN (RFC 8489) and TURN (RFC 8656), over UDP and TCP: calls and shared screens of browsers begin with it. The vendor does
//! not show in it.

use super::{native, recall, remember, rtp};
use crate::sniff::reader::Reader;
use crate::sniff::{Answer, Evidence, Openings, State, dtls};

/// Section 5.
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

const MARK: u8 = b's';

/// Datagrams that are looked at behind the first, until the two ends shake hands by DTLS or media flow: pairs of addresses
/// that are tried one after the other make some dozens.
const LOOKED_AT: u32 = 64;

/// What follows the first message on the same path is told apart by its first octet (RFC 7983).
pub(in crate::sniff) fn step(state: &mut State, from_client: bool, datagram: &[u8]) -> Answer {
    let Some(seen) = recall(state.word, MARK) else {
        return match message(datagram) {
            Some(Some(len)) if len == datagram.len() => {
                state.word = remember(MARK, 1);
                Answer::Emit(native("stun"), 0, 0)
            }
            // The media of calls that were agreed on by other means.
            _ => rtp::step(state, from_client, datagram),
        };
    };
    if seen == LOOKED_AT {
        return Answer::NotMine;
    }
    state.word = remember(MARK, seen + 1);
    let inner = channel_data(datagram).unwrap_or(datagram);
    match inner.first() {
        // Who begins the handshake is agreed on elsewhere: it tells nothing of who called.
        Some(DTLS_FIRST..=DTLS_LAST) => dtls::step(state, true, inner),
        Some(MEDIA_FIRST..=MEDIA_LAST) => Answer::NotMine,
        _ => Answer::NeedMore,
    }
}

const DTLS_FIRST: u8 = 20;
const DTLS_LAST: u8 = 63;
/// RTP and RTCP.
const MEDIA_FIRST: u8 = 128;
const MEDIA_LAST: u8 = 191;

/// What a TURN server passes on (RFC 8656 section 12.4): `40 00` to `4f ff`, the length, the data.
fn channel_data(datagram: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(datagram);
    let channel = reader.u16()?;
    let data = reader.vector16()?;
    (0x4000..=0x4fff).contains(&channel).then_some(data)
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
