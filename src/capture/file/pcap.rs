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

    /// The record that `bytes` begin with, where they hold all of it; whatever else there is, [`next`](Self::next) tells.
    #[inline]
    pub(super) fn plain(&self, bytes: &[u8]) -> Option<Record> {
        let record = self.record(bytes.first_chunk()?)?;
        (record.whole <= bytes.len()).then_some(record)
    }

    /// The record at the window's start.
    pub(super) fn next(&self, window: &mut Window) -> io::Result<Parsed> {
        if !window.have(self.header)? {
            return Ok(if window.available() == 0 { Parsed::End } else { Parsed::CutOff });
        }
        let Some(head) = window.all().first_chunk() else { return Ok(Parsed::CutOff) };
        let Some(record) = self.record(head) else {
            let (captured, _) = self.lengths(head);
            return Ok(Parsed::Damaged(format!("a record that claims {captured} octets")));
        };
        Ok(if window.have(record.whole)? { Parsed::Record(record) } else { Parsed::CutOff })
    }

    /// What a record's header says; `None` where no frame is as long.
    ///
    /// ```text
    ///  0 seconds  4 micro- or nanoseconds  8 captured length  12 length on the wire  [16 interface, protocol, type]  frame
    /// ```
    #[inline]
    fn record(&self, head: &[u8; PLAIN]) -> Option<Record> {
        let [a, b, c, d, e, f, g, h, ..] = *head;
        let (seconds, fraction) = (self.number([a, b, c, d]), self.number([e, f, g, h]));
        let (captured, wire_len) = self.lengths(head);
        if captured > FRAME_MAX {
            return None;
        }
        let len = captured as usize;
        Some(Record {
            raw: Time::from_nanos(
                u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.unit,
            ),
            link: self.link,
            interface: 0,
            wire_len: wire_len.max(captured),
            skip: self.header,
            len,
            whole: self.header + len,
        })
    }

    /// Octets captured, and on the wire.
    #[inline]
    fn lengths(&self, head: &[u8; PLAIN]) -> (u32, u32) {
        let [.., i, j, k, l, m, n, o, p] = *head;
        let (captured, wire_len) = (self.number([i, j, k, l]), self.number([m, n, o, p]));
        if self.old && captured > wire_len { (wire_len, captured) } else { (captured, wire_len) }
    }

    #[inline]
    fn number(&self, octets: [u8; 4]) -> u32 {
        match self.order {
            Order::Little => u32::from_le_bytes(octets),
            Order::Big => u32::from_be_bytes(octets),
        }
    }
}

/// Octets of the file header.
pub(super) const FILE_HEADER: usize = 24;

const MICRO: u64 = 1000;
const NANO: u64 = 1;
const PLAIN: usize = 16;
/// Kuznetzov's libpcap (magic a1b2cd34) appends interface index, protocol and packet type.
const MODIFIED: usize = 24;
