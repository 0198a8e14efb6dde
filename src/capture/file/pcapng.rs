//! The pcapng format (draft-ietf-opsawg-pcapng): sections of blocks, each section with its own byte order and interfaces.

use std::io;

use super::record::{FRAME_MAX, Order, Parsed, Record};
use super::window::{REACH, Window};
use crate::capture::Link;
use crate::time::Time;

/// Where in its blocks a file stands.
#[derive(Debug)]
pub(super) struct Pcapng {
    order: Order,
    /// Interfaces of the present section.
    interfaces: Vec<Interface>,
    /// Interfaces of the sections before: so many does the first of this section count from.
    before: usize,
    /// The time of the last packet, for Simple Packet Blocks, which have none.
    last: Time,
}

/// What an Interface Description Block says.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: Link,
    snaplen: u32,
    scale: Scale,
    /// Seconds to add to each timestamp (if_tsoffset).
    shift: i64,
}

/// How timestamp units become nanoseconds (if_tsresol).
#[derive(Clone, Copy, Debug)]
enum Scale {
    Multiply(u64),
    Divide(u64),
    /// Units of 2^-n seconds.
    Binary(u32),
}

impl Pcapng {
    pub(super) const fn new() -> Self {
        Self { order: Order::Little, interfaces: Vec::new(), before: 0, last: Time::ZERO }
    }

    /// The next packet of the file. Every block is
    ///
    /// ```text
    ///  0 type  4 total length  8 body, padded to 4 octets  total-4 total length again
    /// ```
    pub(super) fn next(&mut self, window: &mut Window) -> io::Result<Parsed> {
        loop {
            if !window.have(HEAD)? {
                return Ok(if window.available() == 0 { Parsed::End } else { Parsed::CutOff });
            }
            let head = window.peek(HEAD).unwrap_or_default();
            // The section header's type reads the same in either order; its magic, behind the length, tells the order.
            if head.get(..4) == Some(&SECTION) {
                let magic = window.have(HEAD + 4)?.then(|| window.within(HEAD, 4)).flatten();
                self.order = match magic {
                    Some([0x4d, 0x3c, 0x2b, 0x1a]) => Order::Little,
                    Some([0x1a, 0x2b, 0x3c, 0x4d]) => Order::Big,
                    Some(_) => return Ok(damaged("a section header without byte-order magic")),
                    None => return Ok(Parsed::CutOff),
                };
                self.before = self.before.saturating_add(self.interfaces.len());
                self.interfaces.clear();
            }
            let head = window.peek(HEAD).unwrap_or_default();
            let kind = self.order.u32(head, 0).unwrap_or_default();
            let total = self.order.u32(head, 4).unwrap_or_default();
            if total < SMALLEST {
                return Ok(Parsed::Damaged(format!("a block that claims {total} octets")));
            }
            // Blocks end on 4 octets; some writers forget to count the padding.
            let total = u64::from(total).next_multiple_of(4);
            let layout = match kind {
                1 => None,
                2 => Some(Layout::Old),
                3 => Some(Layout::Simple),
                6 => Some(Layout::Enhanced),
                // Section headers say nothing more; names, statistics, secrets and what is unknown are no packets.
                _ if window.skip(total)? => continue,
                _ => return Ok(Parsed::CutOff),
            };
            let whole = match usize::try_from(total) {
                Ok(whole) if whole <= REACH => whole,
                _ if layout.is_none() => {
                    return Ok(damaged("an interface description of absurd length"));
                }
                _ if !window.skip(total)? => return Ok(Parsed::CutOff),
                _ => return Ok(Parsed::Skipped("a packet block of absurd length")),
            };
            if !window.have(whole)? {
                return Ok(Parsed::CutOff);
            }
            let block = window.peek(whole).unwrap_or_default();
            let parsed = match layout {
                None => self.describe(block),
                Some(layout) => self.packet(layout, block),
            };
            match parsed {
                Some(Parsed::Record(record)) => {
                    self.last = record.raw;
                    return Ok(Parsed::Record(record));
                }
                Some(Parsed::Damaged(what)) => return Ok(Parsed::Damaged(what)),
                other => {
                    window.skip(total)?;
                    match other {
                        Some(parsed) => return Ok(parsed),
                        None if layout.is_some() => {
                            return Ok(Parsed::Skipped("a packet block that is too short"));
                        }
                        None => {}
                    }
                }
            }
        }
    }

    /// Takes note of an interface; `None` where all is well.
    ///
    /// ```text
    ///  8 link type  10 reserved  12 snaplen  16 options: code, length, value padded to 4 octets
    /// ```
    fn describe(&mut self, block: &[u8]) -> Option<Parsed> {
        if self.interfaces.len() > usize::from(u16::MAX) {
            return Some(damaged("more than 65,536 interfaces in one section"));
        }
        let (Some(link), Some(snaplen)) = (self.order.u16(block, 8), self.order.u32(block, 12))
        else {
            return Some(damaged("an interface description that is too short"));
        };
        let mut interface = Interface {
            link: Link::of_file(link),
            snaplen,
            scale: Scale::Multiply(1000), // microseconds where nothing is said
            shift: 0,
        };
        let mut at = 16;
        while let (Some(code), Some(len)) =
            (self.order.u16(block, at), self.order.u16(block, at + 2))
        {
            match code {
                0 => break,
                9 if len >= 1 => {
                    interface.scale = block.get(at + 4).map_or(interface.scale, |v| Scale::of(*v));
                }
                14 if len >= 8 => {
                    interface.shift = self.order.u64(block, at + 4).unwrap_or_default() as i64;
                }
                _ => {}
            }
            at += 4 + usize::from(len).next_multiple_of(4);
        }
        self.interfaces.push(interface);
        None
    }

    /// The frame of a packet block; `None` where the block is too short for its header.
    ///
    /// ```text
    ///  Enhanced: 8 interface (32 bits)             12 time high  16 time low  20 captured  24 on the wire  28 frame
    ///  Packet:   8 interface (16 bits)  10 drops   12 time high  16 time low  20 captured  24 on the wire  28 frame
    ///  Simple:   8 on the wire  12 frame
    /// ```
    fn packet(&self, layout: Layout, block: &[u8]) -> Option<Parsed> {
        let order = self.order;
        let id = match layout {
            Layout::Enhanced => order.u32(block, 8)?,
            Layout::Old => u32::from(order.u16(block, 8)?),
            Layout::Simple => 0,
        };
        let Some(interface) = usize::try_from(id).ok().and_then(|id| self.interfaces.get(id))
        else {
            return Some(Parsed::Skipped("a packet of an interface that is not described"));
        };
        let room = block.len().checked_sub(4)?; // without the second total length
        let (raw, captured, wire_len, skip) = if layout == Layout::Simple {
            let wire_len = order.u32(block, 8)?;
            let room = u32::try_from(room.checked_sub(12)?).ok()?;
            let snaplen = if interface.snaplen == 0 { u32::MAX } else { interface.snaplen };
            (self.last, wire_len.min(room).min(snaplen), wire_len, 12)
        } else {
            let units = u64::from(order.u32(block, 12)?) << 32 | u64::from(order.u32(block, 16)?);
            (interface.time(units), order.u32(block, 20)?, order.u32(block, 24)?, 28)
        };
        let len = usize::try_from(captured).ok()?;
        if captured > FRAME_MAX || skip + len > room {
            return Some(Parsed::Skipped("a packet that claims more octets than its block has"));
        }
        let number = self.before.saturating_add(usize::try_from(id).ok()?);
        Some(Parsed::Record(Record {
            raw,
            link: interface.link,
            interface: u16::try_from(number).unwrap_or(u16::MAX),
            wire_len: wire_len.max(captured),
            skip,
            len,
            whole: block.len(),
        }))
    }
}

impl Interface {
    fn time(&self, units: u64) -> Time {
        let nanos = match self.scale {
            Scale::Multiply(by) => units.saturating_mul(by),
            Scale::Divide(by) => units / by,
            Scale::Binary(n) => u64::try_from((u128::from(units) * NANOS) >> n).unwrap_or(u64::MAX),
        };
        if self.shift == 0 {
            return Time::from_nanos(nanos);
        }
        let shifted = i128::from(nanos) + i128::from(self.shift) * NANOS as i128;
        Time::from_nanos(u64::try_from(shifted.max(0)).unwrap_or(u64::MAX))
    }
}

impl Scale {
    /// The highest bit tells whether the others are a power of 2 or of 10.
    fn of(resolution: u8) -> Self {
        let power = u32::from(resolution & 0x7f);
        if resolution & 0x80 != 0 {
            Self::Binary(power)
        } else if power <= 9 {
            Self::Multiply(10u64.pow(9 - power))
        } else {
            Self::Divide(10u64.checked_pow(power - 9).unwrap_or(u64::MAX))
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Old,
    Simple,
    Enhanced,
}

fn damaged(what: &str) -> Parsed {
    Parsed::Damaged(what.to_owned())
}

/// The type of a section header block.
pub(super) const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const HEAD: usize = 8;
const SMALLEST: u32 = 12;
const NANOS: u128 = 1_000_000_000;
