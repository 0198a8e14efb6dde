//! GRE (RFC 2784, 2890; routing of RFC 1701), PPTP's version 1 (RFC 2637), and ERSPAN, which runs over it.

use super::Tunnel;
use crate::decode::link::{Content, ETHER_BRIDGED, ETHER_IPV4, ETHER_IPV6, ETHER_MPLS, number};
use crate::decode::{Refusal, Rest};

/// ```text
///  0                   2              4
/// +-+-+-+-+-+-----+---+--------------+----------+-----+----------+---------+--------------+------
/// |C|R|K|S|s|recur|ver| protocol type| checksum, offset| key      | sequence| routing      | ...
/// +-+-+-+-+-+-----+---+--------------+----------------+----------+---------+--------------+------
///                                      where C or R     where K    where S   where R
/// ```
pub(super) fn open(rest: Rest<'_>) -> Result<(Tunnel, Content<'_>), Refusal> {
    let flags = number(rest.bytes, 0)?;
    let kind = number(rest.bytes, 2)?;
    if flags & VERSION == 1 {
        return point_to_point(flags, kind, rest);
    }
    if flags & VERSION != 0 {
        return Err(Refusal::Tunnel);
    }
    let optional = [CHECKSUM | ROUTING, KEY, SEQUENCE];
    let mut len = 4 + 4 * optional.iter().filter(|field| flags & **field != 0).count();
    if flags & ROUTING != 0 {
        len = behind_routes(rest, len)?;
    }
    let inside = rest.skip(len);
    Ok(match kind {
        // Type I has no header of its own, and no sequence number by which the others are told.
        ERSPAN if flags & SEQUENCE == 0 => (Tunnel::Erspan, Content::Ethernet(inside)),
        ERSPAN => (Tunnel::Erspan, erspan(inside, 1, 8)?),
        ERSPAN_III => (Tunnel::Erspan, erspan_iii(inside)?),
        WCCP => (Tunnel::Gre, redirected(inside)),
        PPP => (Tunnel::Gre, Content::Ppp(inside)),
        ETHER_IPV4 | ETHER_IPV6 | ETHER_BRIDGED | ETHER_MPLS => {
            (Tunnel::Gre, Content::Typed(kind, inside))
        }
        // Keepalives, IS-IS, NHRP ...
        _ => return Err(Refusal::Tunnel),
    })
}

/// Source routes (RFC 1701): family, offset and length for each; the last has neither family nor length.
fn behind_routes(rest: Rest<'_>, mut len: usize) -> Result<usize, Refusal> {
    for _ in 0..MAX_ROUTES {
        let family = number(rest.bytes, len)?;
        let route = number(rest.bytes, len + 2)?;
        let octets = usize::from(route & 0xff);
        len += 4 + octets;
        if family == 0 && octets == 0 {
            return Ok(len);
        }
    }
    Err(Refusal::Tunnel)
}

/// RFC 2637 section 4.1: the key is a length and a call; a packet without payload acknowledges only.
fn point_to_point(flags: u16, kind: u16, rest: Rest<'_>) -> Result<(Tunnel, Content<'_>), Refusal> {
    if kind != PPP || flags & KEY == 0 || flags & SEQUENCE == 0 {
        return Err(Refusal::Tunnel);
    }
    let acknowledges = flags & ACKNOWLEDGMENT != 0;
    let inside = rest.skip(if acknowledges { 16 } else { 12 });
    let len = number(rest.bytes, 4)?;
    Ok((Tunnel::Pptp, Content::Ppp(inside.limit(inside.wire.min(len.into())))))
}

/// ERSPAN type II: version 1, VLAN, class, truncation, session; index. Then the frame.
fn erspan(rest: Rest<'_>, version: u8, len: usize) -> Result<Content<'_>, Refusal> {
    match rest.bytes.first() {
        Some(first) if first >> 4 == version => Ok(Content::Ethernet(rest.skip(len))),
        Some(_) => Err(Refusal::Tunnel),
        None => Err(Refusal::TooShort),
    }
}

/// Type III: version 2, and after session, timestamp and group tag a word that says what kind of frame follows, and whether
/// there are eight octets more.
///
/// ```text
///  10
/// +-+---------+-----------+-+---+-+
/// |P| frame   | hardware  |D|gra|O|
/// +-+---------+-----------+-+---+-+
/// ```
fn erspan_iii(rest: Rest<'_>) -> Result<Content<'_>, Refusal> {
    let kind = number(rest.bytes, 10)?;
    let len = if kind & 1 == 0 { 12 } else { 20 };
    match kind >> 10 & 0x1f {
        0 => erspan(rest, 2, len),
        2 => Ok(Content::Ip(rest.skip(len))),
        _ => Err(Refusal::Tunnel),
    }
}

/// WCCP: version 1 has the packet at once, version 2 four octets before it, of which the first never looks like IPv4.
fn redirected(rest: Rest<'_>) -> Content<'_> {
    match rest.bytes.first() {
        Some(first) if first >> 4 != 4 => Content::Ip(rest.skip(4)),
        _ => Content::Ip(rest),
    }
}

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
/// Version 1 only.
const ACKNOWLEDGMENT: u16 = 0x0080;
const VERSION: u16 = 0x0007;

const ERSPAN: u16 = 0x88be;
const ERSPAN_III: u16 = 0x22eb;
const PPP: u16 = 0x880b;
const WCCP: u16 = 0x883e;

/// Source routes in one header; nobody has used any for decades.
const MAX_ROUTES: usize = 4;
