//! Teredo (RFC 4380): IPv6 in UDP, behind optional indications.

use crate::decode::Rest;
use crate::decode::link::{Content, Version};

/// Either order is met, each at most once (section 5.1.1):
///
/// ```text
/// authentication: 0 1 | length of client id | length of value | client id | value | nonce (8) | confirmation
/// origin:         0 0 | port (2) | address (4)
/// ```
pub(super) fn open(mut rest: Rest<'_>) -> Option<Content<'_>> {
    for _ in 0..2 {
        match *rest.bytes.first_chunk()? {
            [0, 1, client, value] => {
                rest = rest.skip(4 + usize::from(client) + usize::from(value) + 9);
            }
            [0, 0, _, _] => rest = rest.skip(8),
            _ => break,
        }
    }
    let [first, _, _, _, l0, l1] = *rest.bytes.first_chunk()?;
    let len = 40 + u32::from(u16::from_be_bytes([l0, l1]));
    (first >> 4 == 6 && len == rest.wire).then_some(Content::Packet(Version::V6, rest))
}
