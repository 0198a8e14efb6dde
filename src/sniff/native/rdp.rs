//! Remote Desktop (MS-RDPBCGR section 2.2.1): a TPKT (RFC 1006) with an X.224 Connection Request, in which the client names a
//! routing token or cookie and the security that it can, and then mostly TLS. Over UDP (MS-RDPEUDP section 2.2.2) beside it.
//!
//! The cookie is the beginning of a user's name: it never leaves this file.

use super::native;
use crate::sniff::reader::Reader;
use crate::sniff::{Answer, Evidence, Openings, State};

/// Octets of a Connection Request at most: its length indicator is one octet (X.224 section 13.2.1).
const MAX_REQUEST: usize = 5 + 254;

const COOKIE: &[u8] = b"Cookie: mstshash=";
const TOKEN: &[u8] = b"Cookie: msts=";

pub(in crate::sniff) fn sniff(openings: &Openings<'_>) -> Answer {
    let request = match request(openings.client) {
        Read::Whole(len) => len,
        Read::Short => return Answer::NeedMore,
        Read::Other => return Answer::NotMine,
    };
    match confirm(openings.server) {
        Read::Whole((len, true)) => Answer::Inside(Some(native("rdp")), request, len),
        Read::Whole((_, false)) => Answer::Found(native("rdp")),
        Read::Other => Answer::NotMine,
        Read::Short => {
            // A tap of one direction: what the client says next is a TLS handshake, or RDP itself.
            match openings.client.get(request..) {
                Some([0x16, 3, ..]) => Answer::Inside(Some(native("rdp")), request, 0),
                Some([_, _, ..]) if openings.server.is_empty() => Answer::Found(native("rdp")),
                _ => Answer::NeedMore,
            }
        }
    }
}

pub(in crate::sniff) fn cut_short(openings: &Openings<'_>) -> Option<Evidence> {
    matches!(request(openings.client), Read::Whole(_)).then(|| native("rdp"))
}

/// RDPEUDP: the first datagram asks for a connection, and is filled up to the size that it proposes.
///
/// ```text
///  ff ff ff ff | window | flags, bit 0 is SYN | first number, 32 bits | upstream MTU | downstream MTU | ... 00
/// ```
pub(in crate::sniff) fn step(_: &mut State, _from_client: bool, datagram: &[u8]) -> Answer {
    if is_syn(datagram).unwrap_or(false) { Answer::Found(native("rdp")) } else { Answer::NotMine }
}

enum Read<T> {
    Whole(T),
    Short,
    Other,
}

/// Length of the Connection Request.
fn request(opening: &[u8]) -> Read<usize> {
    let Some((body, len)) = x224(opening, 0xe0) else { return short_or_other(opening) };
    let negotiates = |rest: &[u8]| match rest {
        // RDP_NEG_REQ: type, flags, length, protocols; a correlation (type 6) may follow.
        [1, _, 8, 0, protocols, 0, 0, 0, ..] => *protocols <= 0x1f,
        _ => false,
    };
    let named = body.starts_with(COOKIE) || body.starts_with(TOKEN);
    let line = memchr::memchr(b'\n', body).filter(|_| named);
    let good = match line.and_then(|end| body.get(end + 1..)) {
        Some(rest) => rest.is_empty() || negotiates(rest),
        None => negotiates(body),
    };
    if good { Read::Whole(len) } else { Read::Other }
}

/// Length of the Connection Confirm, and whether TLS follows.
fn confirm(opening: &[u8]) -> Read<(usize, bool)> {
    match x224(opening, 0xd0) {
        // RDP_NEG_RSP with the protocol chosen: 0 is RDP's own security.
        Some(([2, _, 8, 0, chosen, ..], len)) => Read::Whole((len, *chosen != 0)),
        // RDP_NEG_FAILURE, or a server of before negotiation.
        Some((_, len)) => Read::Whole((len, false)),
        None => match short_or_other::<()>(opening) {
            Read::Short => Read::Short,
            _ => Read::Other,
        },
    }
}

/// What follows the fixed part of an X.224 message of this code, and the length of its TPKT.
fn x224(opening: &[u8], code: u8) -> Option<(&[u8], usize)> {
    let mut reader = Reader::new(opening);
    let head = (reader.u8()?, reader.u8()?);
    let len = usize::from(reader.u16()?);
    let indicator = usize::from(reader.u8()?);
    let kind = reader.u8()?;
    let fits = head == (3, 0) && len == indicator + 5 && kind == code && len >= 11;
    // Of the references, that of who has not yet answered is zero; the class is 0.
    let (destination, _source, class) = (reader.u16()?, reader.u16()?, reader.u8()?);
    let fits = fits && (destination == 0 || code == 0xd0) && class == 0;
    let body = reader.take(len.checked_sub(11)?)?;
    fits.then_some((body, len))
}

fn short_or_other<T>(opening: &[u8]) -> Read<T> {
    let fits = opening.iter().zip([3, 0, 0]).all(|(seen, wanted)| *seen == wanted);
    let len = opening.get(3).map_or(MAX_REQUEST, |len| usize::from(*len));
    if fits && opening.len() < len { Read::Short } else { Read::Other }
}

fn is_syn(datagram: &[u8]) -> Option<bool> {
    let mut reader = Reader::new(datagram);
    let none = (reader.u16()?, reader.u16()?) == (0xffff, 0xffff);
    let (_window, flags) = (reader.u16()?, reader.u16()?);
    reader.take(4)?;
    let sizes = [reader.u16()?, reader.u16()?];
    // Section 2.2.2.5: both between 1,132 and 1,232.
    let sane = sizes.iter().all(|size| (1_132..=1_232).contains(size));
    Some(none && flags & 1 != 0 && sane && datagram.len() >= 1_132)
}
