//! L2TP version 2 data messages with IP in them (RFC 2661 section 3.1). Version 3 says nowhere how long its cookie is and stays closed.

use crate::decode::Rest;
use crate::decode::link::{Content, is_ip};

/// ```text
///  0                      2           4        6         8    10   12
/// +-+-+---+-+-+-+-+------+-----------+--------+---------+----+----+---------------+----
/// |T|L|0 0|S|0|O|P|  ver | length    | tunnel | session | Ns | Nr | offset, pad   | PPP
/// +-+-+---+-+-+-+-+------+-----------+--------+---------+----+----+---------------+----
///                          where L                        where S   where O
/// ```
pub(super) fn open(rest: Rest<'_>) -> Option<Content<'_>> {
    let field = |at: usize| {
        rest.bytes.get(at..).and_then(<[u8]>::first_chunk).map(|octets| u16::from_be_bytes(*octets))
    };
    let flags = field(0)?;
    if flags & (CONTROL | RESERVED | VERSION) != VERSION_2 {
        return None;
    }
    let mut at = 6;
    if flags & LENGTH != 0 {
        if u32::from(field(2)?) > rest.wire {
            return None;
        }
        at += 2;
    }
    if flags & SEQUENCE != 0 {
        at += 4;
    }
    if flags & OFFSET != 0 {
        at += 2 + usize::from(field(at)?);
    }
    // Negotiation belongs to the tunnel itself, as control messages do.
    let inside = rest.skip(at);
    is_ip(inside.bytes).then_some(Content::Ppp(inside))
}

const CONTROL: u16 = 0x8000;
const LENGTH: u16 = 0x4000;
const SEQUENCE: u16 = 0x0800;
const OFFSET: u16 = 0x0200;
const RESERVED: u16 = 0x34f0;
const VERSION: u16 = 0x000f;
const VERSION_2: u16 = 2;
