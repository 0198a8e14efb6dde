//! Google's QUIC before TLS: the CHLO message, in the clear up to Q046 and in Initials in Q050.
//!
//! Its format was published as "QUIC Crypto" and "QUIC Wire Layout Specification for HTTP/2 Semantics".

use crate::sniff::reader::Reader;
use crate::sniff::tls::Message;
use crate::sniff::{Carrier, ClientHello, MAX_NAME};

/// Whether a datagram says that it is of a version whose CHLO is in the clear.
///
/// ```text
/// up to Q043  +----------+---------------+--------+---------------+-----------+-----------------------
///             | 00pp1001 | id (8)        | "Q0dd" | number, 1 - 6 | hash (12) | STREAM frame: CHLO ...
/// Q044, Q046  +----------+--------+------+--------+---------------+-----------+-----------------------
///             | 11ttrrpp | "Q0dd" | ids of 1 + 8 | number, 1 - 4 | hash (12) | STREAM frame: CHLO ...
///             +----------+--------+--------------+----------------+-----------+-----------------------
/// ```
pub(super) fn is_plain(datagram: &[u8]) -> bool {
    let version = match datagram {
        [first, rest @ ..] if first & 0xc0 == 0xc0 => rest.first_chunk(),
        [first, rest @ ..] if first & 0x8b == 0x09 => {
            rest.get(8..).and_then(|rest| rest.first_chunk())
        }
        _ => return false,
    };
    matches!(version, Some([b'Q', b'0', b'2'..=b'4', b'0'..=b'9']))
}

/// The CHLO in such a datagram.
pub(super) fn find(datagram: &[u8]) -> Option<ClientHello> {
    let at = datagram.windows(CHLO.len()).take(MAX_HEADERS).position(|window| window == CHLO)?;
    match message(datagram.get(at..)?) {
        Message::Whole(hello) => Some(hello),
        Message::Begun | Message::Other => None,
    }
}

/// Reads a CHLO: numbers are little-endian, and each value ends where its tag says.
///
/// ```text
/// +--------+-----------+-------+----------+---------+----------+---------+----+-------+-------+----
/// | "CHLO" | count (2) | 0 (2) | "PAD\0"  | end (4) | "SNI\0"  | end (4) | .. | value | value | ...
/// +--------+-----------+-------+----------+---------+----------+---------+----+-------+-------+----
/// ```
pub(super) fn message(begun: &[u8]) -> Message {
    let known = begun.len().min(CHLO.len());
    if begun.get(..known) != CHLO.get(..known) {
        return Message::Other;
    }
    match tags(begun) {
        Some(hello) => Message::Whole(hello),
        None => Message::Begun,
    }
}

/// `None` where the name is not there yet.
fn tags(begun: &[u8]) -> Option<ClientHello> {
    let mut reader = Reader::new(begun.get(CHLO.len()..)?);
    let count = usize::from(reader.u16()?.swap_bytes());
    reader.u16()?;
    let (tags, values) = reader.rest().split_at_checked(count.min(MAX_TAGS) * TAG)?;
    let mut reader = Reader::new(tags);
    let mut start = 0;
    while let Some((tag, end)) = reader.u32().zip(reader.u32()) {
        let end = usize::try_from(end.swap_bytes()).ok()?;
        if tag.to_be_bytes() == *b"SNI\0" {
            let name = values.get(start..end)?;
            let fits = (1..=MAX_NAME).contains(&name.len());
            let sni = fits.then(|| String::from_utf8_lossy(name).into());
            return Some(ClientHello { carrier: Carrier::Quic, sni, ..ClientHello::default() });
        }
        start = end;
    }
    Some(ClientHello { carrier: Carrier::Quic, ..ClientHello::default() })
}

const CHLO: &[u8] = b"CHLO";
/// Octets before a CHLO: both headers, the hash and that of the STREAM frame have 46 at most.
const MAX_HEADERS: usize = 64;
/// Clients send some twenty tags; the protocol allows 128.
const MAX_TAGS: usize = 128;
const TAG: usize = 8;
