//! The short way of a frame, for what nearly all frames are: an IP packet behind Ethernet and one tag at most, without
//! options, extensions or fragments, and TCP or UDP in it.
//!
//! It takes a fourth of the instructions of the long way (link, network and transport, by etherparse), and is a function of
//! the frame alone. It never refuses: what it does not read, and all that is damaged, is left to the long way. Where both give a
//! segment it is the same one; a test holds them together.

use super::link::{
    ETHER_IPV4, ETHER_IPV6, ETHER_VLAN, LINK_ETHERNET, LINK_LINUX_SLL, LINK_LINUX_SLL2, LINK_RAW,
};
use super::{Address, Endpoint, Segment, Tcp, Transport, Tunnels, tunnel};
use crate::capture::Frame;

#[inline(always)]
pub(super) fn read<'a>(frame: &Frame<'a>) -> Option<Segment<'a>> {
    let bytes = frame.bytes;
    let (kind, rest) = match frame.link.0 {
        LINK_ETHERNET => {
            let (header, rest) = bytes.split_first_chunk::<14>()?;
            let [.., a, b] = *header;
            (u16::from_be_bytes([a, b]), rest)
        }
        LINK_LINUX_SLL => {
            let (header, rest) = bytes.split_first_chunk::<16>()?;
            let [.., a, b] = *header;
            (u16::from_be_bytes([a, b]), rest)
        }
        LINK_LINUX_SLL2 => {
            let (header, rest) = bytes.split_first_chunk::<20>()?;
            let [a, b, ..] = *header;
            (u16::from_be_bytes([a, b]), rest)
        }
        LINK_RAW => (if bytes.first()? >> 4 == 4 { ETHER_IPV4 } else { ETHER_IPV6 }, bytes),
        _ => return None,
    };
    let (kind, vlan, rest) = match kind {
        ETHER_VLAN => {
            let ([a, b, c, d], rest) = rest.split_first_chunk()?;
            let id = u16::from_be_bytes([*a, *b]) & VLAN_ID;
            (u16::from_be_bytes([*c, *d]), (id != 0).then_some(id), rest)
        }
        _ => (kind, None, rest),
    };
    let packet = match kind {
        ETHER_IPV4 => v4(rest)?,
        ETHER_IPV6 => v6(rest)?,
        _ => return None,
    };
    let spoken = match packet.protocol {
        TCP => tcp(packet.datagram, packet.wire)?,
        UDP => udp(packet.datagram, packet.wire)?,
        _ => return None,
    };
    Some(Segment {
        source: Endpoint { ip: packet.source, port: spoken.source },
        destination: Endpoint { ip: packet.destination, port: spoken.destination },
        transport: spoken.transport,
        tcp: spoken.tcp,
        vlan,
        id: packet.id,
        datagram: packet.datagram,
        tunnels: Tunnels::default(),
        payload: spoken.payload,
        payload_len: spoken.payload_len,
        wire_len: frame.wire_len,
    })
}

struct Packet<'a> {
    source: Address,
    destination: Address,
    protocol: u8,
    id: u16,
    /// What was captured of the transport's octets, and how many there were on the wire.
    datagram: &'a [u8],
    wire: u32,
}

/// RFC 791 section 3.1, without options:
///
/// ```text
///  0 version, length  1 TOS  2 total length  4 identification  6 flags, offset  8 TTL  9 protocol  10 checksum
/// 12 source  16 destination
/// ```
#[inline(always)]
fn v4(rest: &[u8]) -> Option<Packet<'_>> {
    let (header, rest) = rest.split_first_chunk::<20>()?;
    let [0x45, _, t0, t1, i0, i1, f0, f1, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] =
        *header
    else {
        return None;
    };
    let wire = u16::from_be_bytes([t0, t1]).checked_sub(20)?;
    if u16::from_be_bytes([f0, f1]) & FRAGMENT != 0 {
        return None;
    }
    Some(Packet {
        source: Address::v4([s0, s1, s2, s3]),
        destination: Address::v4([d0, d1, d2, d3]),
        protocol,
        id: u16::from_be_bytes([i0, i1]),
        datagram: rest.get(..usize::from(wire)).unwrap_or(rest),
        wire: u32::from(wire),
    })
}

/// RFC 8200 section 3:
///
/// ```text
///  0 version, class, label  4 payload length  6 next header  7 hop limit  8 source  24 destination
/// ```
#[inline(always)]
fn v6(rest: &[u8]) -> Option<Packet<'_>> {
    let (header, rest) = rest.split_first_chunk::<40>()?;
    let (&[v, _, _, _, l0, l1, protocol, _], ends) = header.split_first_chunk()?;
    let (source, destination) = ends.split_first_chunk()?;
    let wire = u16::from_be_bytes([l0, l1]);
    if v >> 4 != 6 || wire == 0 {
        return None;
    }
    Some(Packet {
        source: Address::v6(*source),
        destination: Address::v6(*destination.first_chunk()?),
        protocol,
        id: 0,
        datagram: rest.get(..usize::from(wire)).unwrap_or(rest),
        wire: u32::from(wire),
    })
}

struct Spoken<'a> {
    source: u16,
    destination: u16,
    transport: Transport,
    tcp: Option<Tcp>,
    payload: &'a [u8],
    payload_len: u32,
}

/// RFC 9293 section 3.1; options are passed over:
///
/// ```text
///  0 source  2 destination  4 sequence  8 acknowledgment  12 offset  13 flags  14 window  16 checksum  18 urgent
/// ```
#[inline(always)]
fn tcp(datagram: &[u8], wire: u32) -> Option<Spoken<'_>> {
    let header = datagram.first_chunk::<20>()?;
    let [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, flags, ..] = *header;
    let len = usize::from(offset >> 4) * 4;
    if len < header.len() {
        return None;
    }
    let payload = datagram.get(len..)?;
    Some(Spoken {
        source: u16::from_be_bytes([s0, s1]),
        destination: u16::from_be_bytes([d0, d1]),
        transport: Transport::Tcp,
        tcp: Some(Tcp {
            sequence: u32::from_be_bytes([q0, q1, q2, q3]),
            acknowledgment: u32::from_be_bytes([a0, a1, a2, a3]),
            syn: flags & 0x02 != 0,
            ack: flags & 0x10 != 0,
            fin: flags & 0x01 != 0,
            rst: flags & 0x04 != 0,
        }),
        payload,
        payload_len: wire.saturating_sub(len as u32),
    })
}

/// RFC 768: ports, length, checksum. Not those that lead into tunnels.
#[inline(always)]
fn udp(datagram: &[u8], wire: u32) -> Option<Spoken<'_>> {
    let (&[s0, s1, d0, d1, l0, l1, _, _], rest) = datagram.split_first_chunk()?;
    let (source, destination) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    let total = u16::from_be_bytes([l0, l1]);
    if u32::from(total) > wire || tunnel::is_port(source, destination) {
        return None;
    }
    let len = total.checked_sub(8)?;
    Some(Spoken {
        source,
        destination,
        transport: Transport::Udp,
        tcp: None,
        payload: rest.get(..usize::from(len)).unwrap_or(rest),
        payload_len: u32::from(len),
    })
}

const TCP: u8 = 6;
const UDP: u8 = 17;
/// The bits of IEEE 802.1Q 9.6 that name a VLAN; 0 is a priority tag and names none.
const VLAN_ID: u16 = 0x0fff;
/// More fragments, or an offset.
const FRAGMENT: u16 = 0x3fff;

#[cfg(test)]
mod tests;
