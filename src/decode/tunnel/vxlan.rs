//! VXLAN (RFC 7348), with the group policy of Linux and Cisco, and its generic protocol extension.

use crate::decode::Rest;
use crate::decode::link::{Content, ETHER_MPLS, Version, is_usual, number};

/// ```text
///  0       1            4             7
/// +-------+------------+-------------+--+
/// | flags | 0 or group | VNI         |0 |
/// +-------+------------+-------------+--+
/// ```
pub(super) fn open(rest: Rest<'_>) -> Option<Content<'_>> {
    match *rest.bytes.first_chunk()? {
        [VNI, 0, 0, 0, _, _, _, 0] => Some(Content::Ethernet(rest.skip(LEN))),
        // Group policy: do not learn, and policy applied, are the only flags of the second octet. So few fixed bits may stand
        // at the head of another protocol as well.
        [GROUP, flags, _, _, _, _, _, 0] if flags & !0x48 == 0 => {
            let inside = rest.skip(LEN);
            let kind = number(inside.bytes, 12).ok()?;
            is_usual(kind, inside.wire).then_some(Content::Ethernet(inside))
        }
        _ => None,
    }
}

/// With the P bit the fourth octet says what follows.
pub(super) fn open_generic(rest: Rest<'_>) -> Option<Content<'_>> {
    match *rest.bytes.first_chunk()? {
        [flags, 0, 0, next, _, _, _, 0] if flags & !0x03 == VNI | NEXT_PROTOCOL => {
            follow(next, rest.skip(LEN))
        }
        [VNI, 0, 0, 0, _, _, _, 0] => Some(Content::Ethernet(rest.skip(LEN))),
        _ => None,
    }
}

fn follow(next: u8, rest: Rest<'_>) -> Option<Content<'_>> {
    match next {
        1 => Some(Content::Packet(Version::V4, rest)),
        2 => Some(Content::Packet(Version::V6, rest)),
        3 => Some(Content::Ethernet(rest)),
        // A service function path (RFC 8300 section 2): length in words of four octets in the low bits of the first two octets.
        4 => match *rest.bytes.first_chunk()? {
            [_, words, _, next] if next != 4 && words & 0x3f >= 2 => {
                follow(next, rest.skip(usize::from(words & 0x3f) * 4))
            }
            _ => None,
        },
        5 => Some(Content::Typed(ETHER_MPLS, rest)),
        _ => None,
    }
}

const VNI: u8 = 0x08;
const GROUP: u8 = 0x88;
const NEXT_PROTOCOL: u8 = 0x04;
const LEN: usize = 8;
