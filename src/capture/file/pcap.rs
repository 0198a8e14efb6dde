//! The classic pcap format: a file header of 24 octets, then records of one link type.

use std::io;

use super::record::{FRAME_MAX, Order, Parsed, Record};
use super::window::Window;
use crate::capture::Link;
use crate::time::Time;

/// The file header, as far as records depend on it.
///
/// ```text
///  0 magic  4 major 2  6 minor 4  8 zone 0  12 accuracy 0  16 snaplen  20 link type (low 16 bits; above: FCS length)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pcap {
    order: Order,
    /// Nanoseconds of one unit of the second timestamp field.
    unit: u64,
    link: Link,
    /// Octets of a record header.
    header: usize,
    /// Files before version 2.4 may have the two lengths in the other order.
    old: bool,
}

impl Pcap {
    /// Reads the file header; `None` where these octets are none.
    pub(super) fn parse(header: &[u8]) -> Option<Self> {
        let (order, unit, record) = match header.get(..4)? {
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, MICRO, PLAIN),
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, MICRO, PLAIN),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, NANO, PLAIN),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, NANO, PLAIN),
            [0x34, 0xcd, 0xb2, 0xa1] => (Order::Little, MICRO, MODIFIED),
            [0xa1, 0xb2, 0xcd, 0x34] => (Order::Big, MICRO, MODIFIED),
            _ => return None,
        };
        let (major, minor) = (order.u16(header, 4)?, order.u16(header, 6)?);
        let link = Link::of_file(order.u32(header, 20)? as u16);
        Some(Self { order, unit, link, header: record, old: (major, minor) < (2, 4) })
    }

    /// The record at the window's start:
    ///
    /// ```text
    ///  0 seconds  4 micro- or nanoseconds  8 captured length  12 length on the wire  [16 interface, protocol, type]  frame
    /// ```
    pub(super) fn next(&self, window: &mut Window) -> io::Result<Parsed> {
        if !window.have(self.header)? {
            return Ok(if window.available() == 0 { Parsed::End } else { Parsed::CutOff });
        }
        let head = window.peek(self.header).and_then(<[u8]>::first_chunk::<PLAIN>);
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *head.unwrap_or(&[0; PLAIN]);
        let fields = [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]];
        let [seconds, fraction, mut captured, mut wire_len] = match self.order {
            Order::Little => fields.map(u32::from_le_bytes),
            Order::Big => fields.map(u32::from_be_bytes),
        };
        if self.old && captured > wire_len {
            (captured, wire_len) = (wire_len, captured);
        }
        if captured > FRAME_MAX {
            return Ok(Parsed::Damaged(format!("a record that claims {captured} octets")));
        }
        let len = captured as usize;
        let whole = self.header + len;
        if !window.have(whole)? {
            return Ok(Parsed::CutOff);
        }
        Ok(Parsed::Record(Record {
            raw: Time::from_nanos(
                u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.unit,
            ),
            link: self.link,
            interface: 0,
            wire_len: wire_len.max(captured),
            skip: self.header,
            len,
            whole,
        }))
    }
}

/// Octets of the file header.
pub(super) const FILE_HEADER: usize = 24;

const MICRO: u64 = 1000;
const NANO: u64 = 1;
const PLAIN: usize = 16;
/// Kuznetzov's libpcap (magic a1b2cd34) appends interface index, protocol and packet type.
const MODIFIED: usize = 24;
