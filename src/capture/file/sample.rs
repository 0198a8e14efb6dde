//! Capture files built in memory, for tests: every variant of both formats, and a reader of all that a source yields.

use std::io::{Cursor, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::Files;
use crate::capture::{Counter, Error, Next, Source};
use crate::count::Cells;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endian {
    Little,
    Big,
}

impl Endian {
    pub(super) fn u16(self, v: u16) -> [u8; 2] {
        if self == Self::Little { v.to_le_bytes() } else { v.to_be_bytes() }
    }

    pub(super) fn u32(self, v: u32) -> [u8; 4] {
        if self == Self::Little { v.to_le_bytes() } else { v.to_be_bytes() }
    }

    pub(super) fn u64(self, v: u64) -> [u8; 8] {
        if self == Self::Little { v.to_le_bytes() } else { v.to_be_bytes() }
    }
}

/// `(nanoseconds, octets, length on the wire)`.
pub(super) type Packet = (u64, Vec<u8>, u32);

/// `n` packets of differing lengths, 30 ms apart, from a second of 2023 on; every third one cut by snaplen.
pub(super) fn packets(n: usize) -> Vec<Packet> {
    (0..n)
        .map(|i| {
            let bytes: Vec<u8> = (0..14 + (i * 7) % 50).map(|j| (i * 31 + j) as u8).collect();
            let wire = bytes.len() as u32 + if i % 3 == 2 { 1000 } else { 0 };
            (1_700_000_000_000_000_000 + i as u64 * 30_000_000, bytes, wire)
        })
        .collect()
}

pub(super) fn pcap(endian: Endian, magic: u32, link: u32, packets: &[Packet]) -> Vec<u8> {
    let e = endian;
    let mut out = e.u32(magic).to_vec();
    out.extend([e.u16(2), e.u16(4)].concat());
    out.extend([e.u32(0), e.u32(0), e.u32(262_144), e.u32(link)].concat());
    for (nanos, bytes, wire) in packets {
        let unit = if magic == 0xa1b2_3c4d { 1 } else { 1000 };
        let (s, f) = (nanos / 1_000_000_000, nanos % 1_000_000_000 / unit);
        let lens = [e.u32(bytes.len() as u32), e.u32(*wire)].concat();
        out.extend([e.u32(s as u32), e.u32(f as u32)].concat());
        out.extend(lens);
        if magic == 0xa1b2_cd34 {
            out.extend([3, 0, 0, 0, 8, 0, 0, 0]);
        }
        out.extend(bytes);
    }
    out
}

pub(super) fn block(e: Endian, kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let total = e.u32(padded as u32 + 12);
    let mut out = [e.u32(kind), total].concat();
    out.extend(body);
    out.resize(8 + padded, 0);
    out.extend(total);
    out
}

pub(super) fn section(e: Endian) -> Vec<u8> {
    let body = [&e.u32(0x1a2b_3c4d)[..], &e.u16(1), &e.u16(0), &e.u64(u64::MAX)].concat();
    block(e, 0x0a0d_0d0a, &body)
}

pub(super) fn option(e: Endian, code: u16, value: &[u8]) -> Vec<u8> {
    let mut out = [e.u16(code), e.u16(value.len() as u16)].concat();
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

pub(super) fn interface(e: Endian, link: u16, snaplen: u32, options: &[Vec<u8>]) -> Vec<u8> {
    let mut body = [&e.u16(link)[..], &e.u16(0), &e.u32(snaplen)].concat();
    body.extend(options.concat());
    block(e, 1, &body)
}

pub(super) fn enhanced(e: Endian, id: u32, units: u64, bytes: &[u8], wire: u32) -> Vec<u8> {
    let time = [e.u32((units >> 32) as u32), e.u32(units as u32)].concat();
    let mut body = [&e.u32(id)[..], &time, &e.u32(bytes.len() as u32), &e.u32(wire)].concat();
    body.extend(bytes);
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend([option(e, 1, b"a comment"), option(e, 0, b"")].concat());
    block(e, 6, &body)
}

pub(super) fn old_packet(e: Endian, id: u16, units: u64, bytes: &[u8], wire: u32) -> Vec<u8> {
    let time = [e.u32((units >> 32) as u32), e.u32(units as u32)].concat();
    let lens = [e.u32(bytes.len() as u32), e.u32(wire)].concat();
    block(e, 2, &[&e.u16(id)[..], &e.u16(0), &time, &lens, bytes].concat())
}

pub(super) fn simple(e: Endian, bytes: &[u8], wire: u32) -> Vec<u8> {
    block(e, 3, &[&e.u32(wire)[..], bytes].concat())
}

/// One section with one Ethernet interface of nanoseconds, an unknown block and a name block between the packets.
pub(super) fn pcapng(e: Endian, packets: &[Packet]) -> Vec<u8> {
    let mut out = section(e);
    out.extend(interface(e, 1, 0, &[option(e, 2, b"eth0"), option(e, 9, &[9])]));
    for (i, (nanos, bytes, wire)) in packets.iter().enumerate() {
        if i % 4 == 1 {
            out.extend(block(e, 4, &[0; 4]));
            out.extend(block(e, 0x8000_0bad, b"whatever this is"));
        }
        out.extend(enhanced(e, 0, *nanos, bytes, *wire));
    }
    out
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One frame as it came out: nanoseconds, number, link, interface, length on the wire, octets.
pub(super) type Seen = (u64, u64, u16, u16, u32, Vec<u8>);

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Out {
    pub(super) frames: Vec<Seen>,
    pub(super) ticks: Vec<u64>,
    pub(super) notices: Vec<String>,
    /// Frames, truncated, cut off, bad, clamped.
    pub(super) counts: [u64; 5],
}

/// Everything that the given files yield.
pub(super) fn read(files: &[&[u8]]) -> Result<Out, Error> {
    let counts = Cells::new();
    let inputs = files
        .iter()
        .enumerate()
        .map(|(i, f)| (format!("file {i}"), Box::new(Cursor::new(f.to_vec())) as _))
        .collect();
    let mut files = Files::over(inputs, Arc::clone(&counts), Arc::new(AtomicU64::new(0)), None)?;
    let mut out = Out::default();
    loop {
        match files.next()? {
            Next::Frame(f) => out.frames.push((
                f.time.nanos(),
                f.number,
                f.link.0,
                f.interface,
                f.wire_len,
                f.bytes.to_vec(),
            )),
            Next::Tick(tick) => out.ticks.push(tick.nanos()),
            Next::End => break,
        }
    }
    assert!(matches!(files.next(), Ok(Next::End)), "the end stays the end");
    out.notices = files.notices();
    out.counts =
        [Counter::Frames, Counter::Truncated, Counter::CutOff, Counter::Bad, Counter::Clamped]
            .map(|row| counts.get(row));
    Ok(out)
}
