//! GTP-U (3GPP TS 29.281): what a mobile network carries between radio and core.

use crate::decode::Rest;
use crate::decode::link::Content;

/// Extension headers of one packet; the specification knows a handful.
const MAX_EXTENSIONS: usize = 8;

/// ```text
///  0                1         2         4          8          10      11
/// +----------------+---------+---------+----------+----------+-------+----------+---------
/// |ver|PT|0|E|S|PN | message | length  | TEID     | sequence | N-PDU | next ext.| ...
/// +----------------+---------+---------+----------+----------+-------+----------+---------
///                                                   where E, S or PN
/// ```
pub(super) fn open(rest: Rest<'_>) -> Option<Content<'_>> {
    let [flags, G_PDU, l0, l1, ..] = *rest.bytes.first_chunk::<8>()? else { return None };
    let len = u32::from(u16::from_be_bytes([l0, l1]));
    if flags & 0xf8 != VERSION_1 || len > rest.wire.saturating_sub(8) {
        return None;
    }
    let rest = rest.limit(8 + len);
    if flags & (EXTENDED | SEQUENCE | N_PDU) == 0 {
        return inside(rest.skip(8));
    }
    let mut next = if flags & EXTENDED == 0 { 0 } else { *rest.bytes.get(11)? };
    let mut at = 12;
    for _ in 0..=MAX_EXTENSIONS {
        if next == 0 {
            return inside(rest.skip(at));
        }
        // Length in units of four octets, which counts itself and the type of the next.
        match usize::from(*rest.bytes.get(at)?) * 4 {
            0 => return None,
            octets => at += octets,
        }
        next = *rest.bytes.get(at - 1)?;
    }
    None
}

/// IP: Ethernet sessions of 5G and PPP of long ago are left closed, as nothing in the packet says that it is one.
fn inside(rest: Rest<'_>) -> Option<Content<'_>> {
    matches!(rest.bytes.first()? >> 4, 4 | 6).then_some(Content::Ip(rest))
}

/// Version 1, protocol type GTP, the spare bit 0.
const VERSION_1: u8 = 0x30;
const EXTENDED: u8 = 0x04;
const SEQUENCE: u8 = 0x02;
const N_PDU: u8 = 0x01;
const G_PDU: u8 = 255;
