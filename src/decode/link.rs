//! The way from the first octet of a frame to its IP header: link types, VLAN tags, LLC/SNAP, PPP and PPPoE.

use etherparse::{Ethernet2HeaderSlice, SingleVlanHeaderSlice};

use super::{Refusal, Rest};
use crate::capture::Frame;

/// Tags of one frame. Two are usual (IEEE 802.1ad); a span port that tags by itself adds one; more is an attack or a loop.
pub(super) const MAX_TAGS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V6,
}

/// An IP packet, and what its link header said.
pub(super) struct Inner<'a> {
    pub(super) version: Version,
    pub(super) vlan: Option<u16>,
    pub(super) rest: Rest<'a>,
}

#[inline]
pub(super) fn strip<'a>(frame: &Frame<'a>) -> Result<Inner<'a>, Refusal> {
    let captured = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
    let rest = Rest { bytes: frame.bytes, wire: frame.wire_len.max(captured) };
    match frame.link.0 {
        LINK_ETHERNET => {
            let header =
                Ethernet2HeaderSlice::from_slice(rest.bytes).map_err(|_| Refusal::TooShort)?;
            ether(header.ether_type().0, rest.skip(header.slice().len()))
        }
        LINK_LINUX_SLL => cooked(rest, 14, 16),
        LINK_LINUX_SLL2 => cooked(rest, 0, 20),
        LINK_RAW | LINK_RAW_BSD | LINK_RAW_OPENBSD => by_nibble(rest, None),
        LINK_IPV4 => Ok(Inner { version: Version::V4, vlan: None, rest }),
        LINK_IPV6 => Ok(Inner { version: Version::V6, vlan: None, rest }),
        LINK_NULL | LINK_LOOP => loopback(rest),
        LINK_PPP | LINK_PPP_HDLC => ppp(rest, None),
        LINK_PPP_ETHER => ether(ETHER_PPPOE_SESSION, rest),
        LINK_CISCO_HDLC => ether(number(rest.bytes, 2)?, rest.skip(4)),
        _ => Err(Refusal::UnknownLink),
    }
}

/// What an EtherType announces; VLAN tags are passed over.
#[inline]
fn ether<'a>(mut kind: u16, mut rest: Rest<'a>) -> Result<Inner<'a>, Refusal> {
    let mut vlan = None;
    let mut tags = 0;
    loop {
        match kind {
            ETHER_IPV4 => return Ok(Inner { version: Version::V4, vlan, rest }),
            ETHER_IPV6 => return Ok(Inner { version: Version::V6, vlan, rest }),
            ETHER_VLAN | ETHER_QINQ | ETHER_QINQ_OLD => {
                if tags == MAX_TAGS {
                    return Err(Refusal::TooManyTags);
                }
                tags += 1;
                let tag =
                    SingleVlanHeaderSlice::from_slice(rest.bytes).map_err(|_| Refusal::TooShort)?;
                let id = tag.vlan_identifier().value();
                // 0 is a priority tag (IEEE 802.1Q 6.9): it names no VLAN.
                if vlan.is_none() && id != 0 {
                    vlan = Some(id);
                }
                kind = tag.ether_type().0;
                rest = rest.skip(tag.slice().len());
            }
            ETHER_PPPOE_SESSION => return pppoe(rest, vlan),
            ETHER_ARP => return Err(Refusal::Arp),
            ETHER_MPLS | ETHER_MPLS_UPSTREAM => return Err(Refusal::Mpls),
            // IEEE 802.3: the field is a length, LLC follows. RFC 1042: SNAP carries an EtherType after six octets.
            0..=MAX_802_3_LENGTH => match rest.bytes.get(..SNAP.len()) {
                Some(llc) if llc == SNAP => {
                    kind = number(rest.bytes, SNAP.len())?;
                    rest = rest.skip(SNAP.len() + 2);
                    if kind <= MAX_802_3_LENGTH {
                        return Err(Refusal::Llc);
                    }
                }
                None if SNAP.starts_with(rest.bytes) => return Err(Refusal::TooShort),
                _ => return Err(Refusal::Llc),
            },
            _ => return Err(Refusal::NotIp),
        }
    }
}

/// Linux cooked capture: an EtherType at `at`, and `len` octets of header.
fn cooked(rest: Rest<'_>, at: usize, len: usize) -> Result<Inner<'_>, Refusal> {
    let kind = number(rest.bytes, at)?;
    ether(kind, rest.skip(len))
}

/// BSD loopback: the address family in four octets, in the order of the host that captured (LINKTYPE_NULL) or of the network
/// (LINKTYPE_LOOP). Families are small numbers, so that either order can be told.
fn loopback(rest: Rest<'_>) -> Result<Inner<'_>, Refusal> {
    let family = rest.bytes.first_chunk().ok_or(Refusal::TooShort)?;
    let version = match u32::from_be_bytes(*family).min(u32::from_le_bytes(*family)) {
        2 => Version::V4,
        10 | 24 | 28 | 30 => Version::V6, // Linux; NetBSD, OpenBSD; FreeBSD; macOS
        _ => return Err(Refusal::NotIp),
    };
    Ok(Inner { version, vlan: None, rest: rest.skip(4) })
}

/// PPPoE session stage (RFC 2516 section 4): version and type, code 0, session id, length; then PPP.
fn pppoe(rest: Rest<'_>, vlan: Option<u16>) -> Result<Inner<'_>, Refusal> {
    match rest.bytes.first_chunk() {
        Some([0x11, 0]) => ppp(rest.skip(6), vlan),
        Some(_) => Err(Refusal::NotIp),
        None => Err(Refusal::TooShort),
    }
}

/// PPP (RFC 1661 section 2), with or without the address and control octets of RFC 1662 and with the protocol field in one
/// octet or two (section 6.5).
fn ppp(mut rest: Rest<'_>, vlan: Option<u16>) -> Result<Inner<'_>, Refusal> {
    if rest.bytes.first_chunk() == Some(&[0xff, 0x03]) {
        rest = rest.skip(2);
    }
    let (version, len) = match rest.bytes {
        [0x00, 0x21, ..] => (Version::V4, 2),
        [0x00, 0x57, ..] => (Version::V6, 2),
        [0x21, ..] => (Version::V4, 1),
        [0x57, ..] => (Version::V6, 1),
        [] | [0x00] | [0xff] => return Err(Refusal::TooShort),
        _ => return Err(Refusal::NotIp),
    };
    Ok(Inner { version, vlan, rest: rest.skip(len) })
}

fn by_nibble(rest: Rest<'_>, vlan: Option<u16>) -> Result<Inner<'_>, Refusal> {
    let version = match rest.bytes.first().map(|b| b >> 4) {
        Some(4) => Version::V4,
        Some(6) => Version::V6,
        Some(_) => return Err(Refusal::BadHeader),
        None => return Err(Refusal::TooShort),
    };
    Ok(Inner { version, vlan, rest })
}

/// The two octets at `at`, in network order.
fn number(bytes: &[u8], at: usize) -> Result<u16, Refusal> {
    let octets = bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or(Refusal::TooShort)?;
    Ok(u16::from_be_bytes(*octets))
}

// LINKTYPE_ values of the pcap registry.
const LINK_NULL: u16 = 0;
const LINK_ETHERNET: u16 = 1;
const LINK_PPP: u16 = 9;
/// DLT_RAW as some systems wrote it into files.
const LINK_RAW_BSD: u16 = 12;
const LINK_RAW_OPENBSD: u16 = 14;
const LINK_PPP_HDLC: u16 = 50;
const LINK_PPP_ETHER: u16 = 51;
const LINK_RAW: u16 = 101;
const LINK_CISCO_HDLC: u16 = 104;
const LINK_LOOP: u16 = 108;
const LINK_LINUX_SLL: u16 = 113;
const LINK_IPV4: u16 = 228;
const LINK_IPV6: u16 = 229;
const LINK_LINUX_SLL2: u16 = 276;

const ETHER_IPV4: u16 = 0x0800;
const ETHER_ARP: u16 = 0x0806;
const ETHER_VLAN: u16 = 0x8100;
const ETHER_IPV6: u16 = 0x86dd;
const ETHER_MPLS: u16 = 0x8847;
const ETHER_MPLS_UPSTREAM: u16 = 0x8848;
const ETHER_PPPOE_SESSION: u16 = 0x8864;
const ETHER_QINQ: u16 = 0x88a8;
/// What switches used for the outer tag before IEEE 802.1ad.
const ETHER_QINQ_OLD: u16 = 0x9100;
/// IEEE 802.3 section 3.2.6: from 0x0600 on the field is a type.
const MAX_802_3_LENGTH: u16 = 0x05ff;
/// LLC of SNAP (DSAP, SSAP, unnumbered information) and the OUI of RFC 1042.
const SNAP: [u8; 6] = [0xaa, 0xaa, 0x03, 0, 0, 0];
