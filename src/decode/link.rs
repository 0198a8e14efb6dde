//! The way to an IP header from the first octet of a frame or of what a tunnel carries: link types, VLAN tags, Cisco's
//! tags, LLC/SNAP, PPP, PPPoE and MPLS.

use etherparse::{Ethernet2HeaderSlice, SingleVlanHeaderSlice};

use super::tunnel::{Trail, Tunnel, mpls};
use super::{Refusal, Rest, wireless};
use crate::capture::Frame;

/// Tags of one frame. Two are usual (IEEE 802.1ad); a span port that tags by itself adds one; more is an attack or a loop.
pub(super) const MAX_TAGS: usize = 4;

/// Ethernet frames within each other without a tunnel's own IP header: MPLS pseudowires, FabricPath.
pub(super) const MAX_NESTED: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V6,
}

/// An IP packet.
pub(super) struct Inner<'a> {
    pub(super) version: Version,
    pub(super) rest: Rest<'a>,
}

/// What is in a frame, in a tunnel or below a label, before its link header is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content<'a> {
    Ethernet(Rest<'a>),
    /// What this EtherType announces.
    Typed(u16, Rest<'a>),
    Packet(Version, Rest<'a>),
    /// IPv4 or IPv6, as the first four bits say.
    Ip(Rest<'a>),
    Ppp(Rest<'a>),
    /// IEEE 802.11.
    Wireless(Rest<'a>),
}

fn all<'a>(frame: &Frame<'a>) -> Rest<'a> {
    let captured = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
    Rest { bytes: frame.bytes, wire: frame.wire_len.max(captured) }
}

pub(super) fn strip<'a>(frame: &Frame<'a>, trail: &mut Trail) -> Result<Inner<'a>, Refusal> {
    let rest = all(frame);
    match frame.link.0 {
        LINK_ETHERNET => ethernet(rest, trail),
        LINK_LINUX_SLL => cooked(rest, 14, 16, trail),
        LINK_LINUX_SLL2 => cooked(rest, 0, 20, trail),
        LINK_RAW | LINK_RAW_BSD | LINK_RAW_OPENBSD => by_nibble(rest),
        LINK_IPV4 => Ok(Inner { version: Version::V4, rest }),
        LINK_IPV6 => Ok(Inner { version: Version::V6, rest }),
        LINK_NULL | LINK_LOOP => loopback(rest),
        LINK_PPP | LINK_PPP_HDLC => ppp(rest, trail),
        LINK_PPP_ETHER => ether(ETHER_PPPOE_SESSION, rest, trail),
        LINK_CISCO_HDLC => ether(number(rest.bytes, 2)?, rest.skip(4), trail),
        _ => Err(Refusal::UnknownLink),
    }
}

/// Leads through the link headers of what a tunnel carries.
pub(super) fn open<'a>(content: Content<'a>, trail: &mut Trail) -> Result<Inner<'a>, Refusal> {
    match content {
        Content::Ethernet(rest) => ethernet(rest, trail),
        Content::Typed(kind, rest) => ether(kind, rest, trail),
        Content::Packet(version, rest) => Ok(Inner { version, rest }),
        Content::Ip(rest) => by_nibble(rest),
        Content::Ppp(rest) => ppp(rest, trail),
        Content::Wireless(rest) => {
            let (kind, rest) = wireless::strip(rest)?;
            ether(kind, rest, trail)
        }
    }
}

fn ethernet<'a>(rest: Rest<'a>, trail: &mut Trail) -> Result<Inner<'a>, Refusal> {
    let header = Ethernet2HeaderSlice::from_slice(rest.bytes).map_err(|_| Refusal::TooShort)?;
    ether(header.ether_type().0, rest.skip(header.slice().len()), trail)
}

/// What an EtherType announces; tags are passed over.
fn ether<'a>(kind: u16, rest: Rest<'a>, trail: &mut Trail) -> Result<Inner<'a>, Refusal> {
    let (kind, rest, vlan) = behind_tags(kind, rest)?;
    if vlan.is_some() {
        trail.vlan = vlan;
    }
    match kind {
        ETHER_IPV4 => Ok(Inner { version: Version::V4, rest }),
        ETHER_IPV6 => Ok(Inner { version: Version::V6, rest }),
        ETHER_ARP => Err(Refusal::Arp),
        _ => wrapped(kind, rest, trail),
    }
}

/// The EtherType behind tags and LLC, what it announces, and the outermost VLAN.
fn behind_tags(mut kind: u16, mut rest: Rest<'_>) -> Result<(u16, Rest<'_>, Option<u16>), Refusal> {
    let mut vlan = None;
    let mut tags = 0;
    loop {
        match kind {
            ETHER_IPV4 | ETHER_IPV6 => return Ok((kind, rest, vlan)),
            ETHER_VLAN | ETHER_QINQ | ETHER_QINQ_OLD | ETHER_QINQ_OLDER => {
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
            ETHER_CISCO_METADATA => {
                if tags == MAX_TAGS {
                    return Err(Refusal::TooManyTags);
                }
                tags += 1;
                (kind, rest) = cisco_metadata(rest)?;
            }
            _ => return Ok((kind, rest, vlan)),
        }
    }
}

/// EtherTypes of what is wrapped once more before its IP header comes.
#[cold]
fn wrapped<'a>(kind: u16, rest: Rest<'a>, trail: &mut Trail) -> Result<Inner<'a>, Refusal> {
    let content = match kind {
        ETHER_PPPOE_SESSION => pppoe(rest, trail)?,
        ETHER_MPLS | ETHER_MPLS_UPSTREAM => {
            trail.pass(Tunnel::Mpls);
            mpls::open(rest)?
        }
        ETHER_FABRIC_PATH => {
            trail.pass(Tunnel::FabricPath);
            Content::Ethernet(rest.skip(2))
        }
        ETHER_BRIDGED => Content::Ethernet(rest),
        _ => return Err(Refusal::NotIp),
    };
    if trail.nested == MAX_NESTED {
        return Err(Refusal::TooManyTags);
    }
    trail.nested += 1;
    open(content, trail)
}

/// Cisco's tag of a security group: version and length (of options, in units of four octets), options, EtherType.
fn cisco_metadata(rest: Rest<'_>) -> Result<(u16, Rest<'_>), Refusal> {
    let [_, options] = *rest.bytes.first_chunk().ok_or(Refusal::TooShort)?;
    let len = 2 + 4 * usize::from(options);
    Ok((number(rest.bytes, len)?, rest.skip(len + 2)))
}

/// Linux cooked capture: an EtherType at `at`, and `len` octets of header.
fn cooked<'a>(
    rest: Rest<'a>,
    at: usize,
    len: usize,
    trail: &mut Trail,
) -> Result<Inner<'a>, Refusal> {
    let kind = number(rest.bytes, at)?;
    ether(kind, rest.skip(len), trail)
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
    Ok(Inner { version, rest: rest.skip(4) })
}

/// PPPoE session stage (RFC 2516 section 4): version and type, code 0, session id, length; then PPP.
fn pppoe<'a>(rest: Rest<'a>, trail: &mut Trail) -> Result<Content<'a>, Refusal> {
    match rest.bytes.first_chunk() {
        Some([0x11, 0]) => {
            trail.pass(Tunnel::Pppoe);
            Ok(Content::Ppp(rest.skip(6)))
        }
        Some(_) => Err(Refusal::NotIp),
        None => Err(Refusal::TooShort),
    }
}

/// PPP (RFC 1661 section 2), with or without the address and control octets of RFC 1662 and with the protocol field in one
/// octet or two (section 6.5).
fn ppp<'a>(mut rest: Rest<'a>, trail: &mut Trail) -> Result<Inner<'a>, Refusal> {
    if rest.bytes.first_chunk() == Some(&[0xff, 0x03]) {
        rest = rest.skip(2);
    }
    let (version, len) = match rest.bytes {
        [0x00, 0x21, ..] => (Version::V4, 2),
        [0x00, 0x57, ..] => (Version::V6, 2),
        [0x21, ..] => (Version::V4, 1),
        [0x57, ..] => (Version::V6, 1),
        [0x02, 0x81, ..] => return wrapped(ETHER_MPLS, rest.skip(2), trail),
        [] | [0x00] | [0x02] | [0xff] => return Err(Refusal::TooShort),
        _ => return Err(Refusal::NotIp),
    };
    Ok(Inner { version, rest: rest.skip(len) })
}

/// Whether PPP carries IP here, or labels.
pub(super) fn is_ip(bytes: &[u8]) -> bool {
    matches!(
        bytes.strip_prefix(&[0xff, 0x03]).unwrap_or(bytes),
        [0x00, 0x21 | 0x57, ..] | [0x21 | 0x57, ..] | [0x02, 0x81, ..]
    )
}

fn by_nibble(rest: Rest<'_>) -> Result<Inner<'_>, Refusal> {
    let version = match rest.bytes.first().map(|b| b >> 4) {
        Some(4) => Version::V4,
        Some(6) => Version::V6,
        Some(_) => return Err(Refusal::BadHeader),
        None => return Err(Refusal::TooShort),
    };
    Ok(Inner { version, rest })
}

/// Whether an EtherType is one that frames with IP in them begin with, or ARP, or the length of a frame of `wire` octets.
pub(super) fn is_usual(kind: u16, wire: u32) -> bool {
    match kind {
        0..=MAX_802_3_LENGTH => {
            let len = u32::from(kind) + ETHERNET;
            len == wire || (kind >= 3 && len < wire && wire <= SHORTEST)
        }
        _ => matches!(
            kind,
            ETHER_IPV4
                | ETHER_ARP
                | ETHER_VLAN
                | ETHER_IPV6
                | ETHER_MPLS
                | ETHER_PPPOE_SESSION
                | ETHER_QINQ
                | ETHER_QINQ_OLD
                | ETHER_FABRIC_PATH
                | ETHER_CISCO_METADATA
        ),
    }
}

/// The two octets at `at`, in network order.
pub(super) fn number(bytes: &[u8], at: usize) -> Result<u16, Refusal> {
    let octets = bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or(Refusal::TooShort)?;
    Ok(u16::from_be_bytes(*octets))
}

// LINKTYPE_ values of the pcap registry.
const LINK_NULL: u16 = 0;
pub(super) const LINK_ETHERNET: u16 = 1;
const LINK_PPP: u16 = 9;
/// DLT_RAW as some systems wrote it into files.
const LINK_RAW_BSD: u16 = 12;
const LINK_RAW_OPENBSD: u16 = 14;
const LINK_PPP_HDLC: u16 = 50;
const LINK_PPP_ETHER: u16 = 51;
pub(super) const LINK_RAW: u16 = 101;
const LINK_CISCO_HDLC: u16 = 104;
const LINK_LOOP: u16 = 108;
pub(super) const LINK_LINUX_SLL: u16 = 113;
const LINK_IPV4: u16 = 228;
const LINK_IPV6: u16 = 229;
pub(super) const LINK_LINUX_SLL2: u16 = 276;

/// Octets of an Ethernet header.
const ETHERNET: u32 = 14;
/// Shorter frames are padded; the check sequence may be there or not.
const SHORTEST: u32 = 64;

pub(super) const ETHER_IPV4: u16 = 0x0800;
const ETHER_ARP: u16 = 0x0806;
pub(super) const ETHER_VLAN: u16 = 0x8100;
pub(super) const ETHER_IPV6: u16 = 0x86dd;
pub(super) const ETHER_MPLS: u16 = 0x8847;
const ETHER_MPLS_UPSTREAM: u16 = 0x8848;
const ETHER_PPPOE_SESSION: u16 = 0x8864;
const ETHER_QINQ: u16 = 0x88a8;
/// What switches used for the outer tag before IEEE 802.1ad.
const ETHER_QINQ_OLD: u16 = 0x9100;
const ETHER_QINQ_OLDER: u16 = 0x9200;
/// Cisco FabricPath: a tag of two octets (after the MAC addresses of the fabric), then the frame.
const ETHER_FABRIC_PATH: u16 = 0x8903;
const ETHER_CISCO_METADATA: u16 = 0x8909;
/// Transparent Ethernet bridging (RFC 1701, NVGRE, GENEVE).
pub(super) const ETHER_BRIDGED: u16 = 0x6558;
/// IEEE 802.3 section 3.2.6: from 0x0600 on the field is a type.
const MAX_802_3_LENGTH: u16 = 0x05ff;
/// LLC of SNAP (DSAP, SSAP, unnumbered information) and the OUI of RFC 1042.
const SNAP: [u8; 6] = [0xaa, 0xaa, 0x03, 0, 0, 0];
