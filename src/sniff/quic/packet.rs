//! Packets with a long header, one after the other in a datagram (RFC 9000 section 17.2, RFC 8999).

use super::version::{self, Version};
use crate::sniff::reader::Reader;

#[derive(Debug)]
pub(super) enum Packet<'a> {
    Initial(Initial<'a>),
    /// 0-RTT, Handshake, Retry, version negotiation, a version that cannot be read: QUIC, but nothing to be read in it.
    Sealed,
}

/// An Initial with its header; it is protected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Initial<'a> {
    pub version: &'static Version,
    pub dcid: &'a [u8],
    /// From the first octet to the last of its payload.
    pub bytes: &'a [u8],
    /// Where in it the packet number begins.
    pub number_at: usize,
}

/// The first packet of what is left of a datagram, which is then what follows it; `None` where that is no packet.
///
/// ```text
/// +----------+-------------+---------+----------+---------+----------+-------------------------+--------+----
/// | 1fttrrpp | version (4) | len (1) | dcid     | len (1) | scid     | Initial: token with len | length | ...
/// +----------+-------------+---------+----------+---------+----------+-------------------------+--------+----
/// ```
pub(super) fn next<'a>(rest: &mut &'a [u8]) -> Option<Packet<'a>> {
    let bytes = std::mem::take(rest);
    let mut reader = Reader::new(bytes);
    // The bit after the first may be anything (RFC 9287).
    let first = reader.u8().filter(|first| is_long(*first))?;
    let number = reader.u32()?;
    let version = match Version::of(number) {
        Some(version) => version,
        None if number == 0 || version::may_be_followed(number) => return other(reader),
        None => return None,
    };
    let dcid = connection_id(&mut reader)?;
    connection_id(&mut reader)?;
    let kind = first & TYPE;
    if kind == version.retry {
        return Some(Packet::Sealed);
    }
    if kind == version.initial {
        let token = usize::try_from(reader.varint()?).ok()?;
        reader.take(token)?;
    }
    let length = usize::try_from(reader.varint()?).ok()?;
    let number_at = bytes.len() - reader.rest().len();
    let (packet, after) = match number_at.checked_add(length) {
        Some(end) => bytes.split_at_checked(end).unwrap_or((bytes, &[])),
        None => return None,
    };
    *rest = after;
    if kind != version.initial {
        return Some(Packet::Sealed);
    }
    Some(Packet::Initial(Initial { version, dcid, bytes: packet, number_at }))
}

/// Whether an octet may begin a packet with a long header.
pub(super) const fn is_long(first: u8) -> bool {
    first & LONG != 0
}

/// Version negotiation, or a version with no keys here: its connection IDs have any length (RFC 8999 section 5.1).
fn other<'a>(mut reader: Reader<'_>) -> Option<Packet<'a>> {
    reader.vector8()?;
    reader.vector8()?;
    Some(Packet::Sealed)
}

fn connection_id<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    reader.vector8().filter(|id| id.len() <= MAX_CONNECTION_ID)
}

const LONG: u8 = 0x80;
const TYPE: u8 = 0x30;
/// RFC 9000 section 17.2.
const MAX_CONNECTION_ID: usize = 20;
