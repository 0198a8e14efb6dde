//! GENEVE (RFC 8926).

use crate::decode::Rest;
use crate::decode::link::{Content, ETHER_BRIDGED, ETHER_IPV4, ETHER_IPV6, ETHER_MPLS};

/// ```text
///  0               1              2               4              7
/// +---------------+--------------+---------------+--------------+--+----------
/// | ver, opt. len | O C 0 0 0 0..| protocol type | VNI          |0 | options
/// +---------------+--------------+---------------+--------------+--+----------
/// ```
pub(super) fn open(rest: Rest<'_>) -> Option<Content<'_>> {
    let [first, flags, k0, k1, _, _, _, 0] = *rest.bytes.first_chunk()? else { return None };
    let kind = u16::from_be_bytes([k0, k1]);
    let known = matches!(kind, ETHER_BRIDGED | ETHER_IPV4 | ETHER_IPV6 | ETHER_MPLS);
    // Version 0; the length of the options, in units of four octets.
    if first >> 6 != 0 || flags & 0x3f != 0 || !known {
        return None;
    }
    let inside = rest.skip(8 + usize::from(first) * 4);
    Some(Content::Typed(kind, inside))
}
