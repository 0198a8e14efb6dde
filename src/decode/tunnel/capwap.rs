//! CAPWAP data (RFC 5415 section 4.3): what access points carry to their controller, cut where it is too long.

use super::{Carried, Tunnel};
use crate::decode::Rest;
use crate::decode::link::{Content, Version};
use crate::decode::network::Cut;

/// A part of a frame.
#[derive(Clone, Copy)]
pub(in crate::decode) struct Part<'a> {
    pub(in crate::decode) id: u16,
    /// In octets.
    pub(in crate::decode) start: u32,
    pub(in crate::decode) more: bool,
    /// IEEE 802.11, not 802.3.
    pub(in crate::decode) wireless: bool,
    pub(in crate::decode) rest: Rest<'a>,
}

impl Part<'_> {
    /// Its place, as a fragment's of IP: offsets count in units of eight octets there as well.
    pub(in crate::decode) const fn cut(&self) -> Cut {
        let Self { id, start, more, wireless, .. } = *self;
        Cut { version: Version::V4, id: id as u32, start, more, next: wireless as u8 }
    }
}

/// The frame that begins with `rest`; `wireless` as the cut of a part has it.
pub(in crate::decode) const fn frame_of(wireless: u8, rest: Rest<'_>) -> Content<'_> {
    if wireless == 0 { Content::Ethernet(rest) } else { Content::Wireless(rest) }
}

/// ```text
///  0        1      6      11      16               24             40              53
/// +--------+------+------+-------+----------------+--------------+---------------+-----+------
/// | 0      | HLEN | radio| WBID  |T|F|L|W|M|K|0 0 0| fragment id | offset        | 0   | ...
/// +--------+------+------+-------+----------------+--------------+---------------+-----+------
/// ```
///
/// The length counts words of four octets. DTLS around it says 1 in the first octet.
pub(super) fn open(rest: Rest<'_>) -> Option<Carried<'_>> {
    let [0, a, b, c, i0, i1, o0, o1] = *rest.bytes.first_chunk()? else { return None };
    let len = usize::from(a >> 3) * 4;
    let binding = b >> 1 & 0x1f;
    let wireless = b & NATIVE != 0;
    let offset = u16::from_be_bytes([o0, o1]);
    let wrong = c & RESERVED != 0 || offset & 0x07 != 0 || wireless && binding != IEEE_802_11;
    if len < 8 || wrong || c & KEEP_ALIVE != 0 {
        return None;
    }
    let rest = rest.skip(len);
    if c & FRAGMENT == 0 {
        return Some(Carried::Whole(Tunnel::Capwap, frame_of(wireless.into(), rest)));
    }
    let id = u16::from_be_bytes([i0, i1]);
    let start = u32::from(offset >> 3) * 8;
    Some(Carried::Part(Part { id, start, more: c & LAST == 0, wireless, rest }))
}

/// In the third octet: the frame is as its binding has it.
const NATIVE: u8 = 0x01;
// In the fourth.
const FRAGMENT: u8 = 0x80;
const LAST: u8 = 0x40;
const KEEP_ALIVE: u8 = 0x08;
const RESERVED: u8 = 0x07;
const IEEE_802_11: u8 = 1;
