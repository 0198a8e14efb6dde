//! The conversations of the matrix as plain Ethernet frames.

use super::{Copies, Cut, Hello, NAME, Order, Tap, carrier};
use crate::sniff::Carrier;
use crate::sniff::quic::sealed::{self, Seal};

/// A handshake message of type ClientHello (RFC 8446 section 4.1.2).
fn message(share: usize, chromium: bool) -> Vec<u8> {
    let mut extensions = Vec::new();
    let mut extension = |kind: u16, data: &[u8]| {
        extensions.extend(kind.to_be_bytes());
        extensions.extend(vector16(data));
    };
    if chromium {
        extension(0x2a2a, &[]);
        extension(
            0xfe0d,
            &[&[0, 0, 1, 0, 1, 7, 0, 32][..], &[5; 32], &[0, 144], &[6; 144]].concat(),
        );
    }
    extension(51, &vec![0xab; share]);
    extension(0, &vector16(&[&[0][..], &vector16(NAME.as_bytes())].concat()));
    extension(16, &vector16(b"\x02h2\x08http/1.1"));
    extension(43, &[2, 3, 4]);
    if chromium {
        extension(0x1a1a, &[0]);
    }
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(32);
    body.extend([8; 32]);
    body.extend([0, 4, 0x13, 1, 0x13, 2, 1, 0]);
    body.extend(vector16(&extensions));
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1], &len[1..], &body].concat()
}

fn vector16(data: &[u8]) -> Vec<u8> {
    [&u16::try_from(data.len()).unwrap().to_be_bytes(), data].concat()
}

fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(|part| [&[22, 3, 1][..], &vector16(part)].concat()).collect()
}

/// What the client's stream holds.
fn stream(hello: Hello) -> Vec<u8> {
    match hello {
        Hello::PostQuantum => records(&message(1_216, false), 16_384),
        Hello::Chromium => records(&message(1_250, true), 16_384),
        Hello::TwoRecords => records(&message(400, false), 300),
        Hello::ManyRecords => records(&message(100, true), 48),
        Hello::Classic | Hello::Quic(..) => records(&message(65, false), 16_384),
    }
}

pub(super) fn payload_len(hello: Hello) -> usize {
    stream(hello).len()
}

/// Places at which `len` octets with the name at `name` are cut.
pub(super) fn ends(cut: Cut, len: usize, name: usize) -> Vec<usize> {
    match cut {
        Cut::Whole => Vec::new(),
        Cut::Middle => vec![len / 2],
        Cut::FirstOctet => vec![1],
        Cut::LastOctet => vec![len - 1],
        Cut::InName => vec![name + 3],
        Cut::Every(size) => (1..).map(|n| n * size).take_while(|at| *at < len).collect(),
    }
}

fn ranges(cuts: &[usize], len: usize) -> Vec<std::ops::Range<usize>> {
    let mut from = 0;
    let mut ranges: Vec<_> = cuts
        .iter()
        .filter(|at| **at < len)
        .map(|at| std::mem::replace(&mut from, *at)..*at)
        .collect();
    ranges.push(from..len);
    ranges
}

/// Where the name begins in `bytes`; in the middle where a record's end cuts it.
fn place(bytes: &[u8]) -> usize {
    bytes.windows(NAME.len()).position(|w| w == NAME.as_bytes()).unwrap_or(bytes.len() / 2)
}

/// The conversation as plain Ethernet frames.
pub(super) fn scene(
    hello: Hello,
    cut: &dyn Fn(usize, usize) -> Vec<usize>,
    order: Order,
    copies: Copies,
    tap: Tap,
    v6: bool,
) -> Vec<Vec<u8>> {
    let mut said = match hello {
        Hello::Quic(version, initials) => datagrams(version, initials, cut, v6),
        _ => segments(&stream(hello), cut, v6),
    };
    match order {
        Order::Kept => {}
        Order::Reversed => said.reverse(),
        Order::Rotated => said.rotate_left(1),
        Order::Overtaken => said.rotate_right(1),
    }
    said = match copies {
        Copies::One => said,
        Copies::Twice => said.into_iter().flat_map(|frame| [frame.clone(), frame]).collect(),
        Copies::Again => [&said[..], &said].concat(),
    };
    let tcp = carrier(hello) == Carrier::Tcp;
    let shaken = tcp && tap != Tap::WithoutHandshake;
    let answered = tap != Tap::ClientAlone;
    let mut frames = Vec::new();
    if shaken {
        frames.push(segment(true, SYN, ISN, 0, b"", v6));
        if answered {
            frames.push(segment(false, SYN | ACK, 7_000, ISN + 1, b"", v6));
        }
        frames.push(segment(true, ACK, ISN + 1, 7_001, b"", v6));
    }
    frames.append(&mut said);
    if answered && tcp {
        frames.push(segment(false, ACK, 7_001, ISN + 1, b"\x15\x03\x03\x00\x02\x02\x28", v6));
    } else if answered {
        frames.push(ip(false, 17, &udp(false, &[0x40; 60]), v6));
    }
    frames
}

/// Initial sequence number: the stream wraps within the hello.
const ISN: u32 = u32::MAX - 100;

const SYN: u8 = 2;
const ACK: u8 = 16;

fn segments(stream: &[u8], cut: &dyn Fn(usize, usize) -> Vec<usize>, v6: bool) -> Vec<Vec<u8>> {
    let cuts = cut(stream.len(), place(stream));
    let frame = |range: std::ops::Range<usize>| {
        let sequence = (ISN + 1).wrapping_add(range.start as u32);
        segment(true, ACK, sequence, 7_001, &stream[range], v6)
    };
    ranges(&cuts, stream.len()).into_iter().map(frame).collect()
}

/// The hello in Initials of one third, half or all of it each; the frames of one Initial go from its end to its beginning.
fn datagrams(
    version: u32,
    initials: usize,
    cut: &dyn Fn(usize, usize) -> Vec<usize>,
    v6: bool,
) -> Vec<Vec<u8>> {
    let hello = message([32, 1_216, 2_400][initials - 1], initials > 1);
    let each = hello.len().div_ceil(initials);
    let numbered =
        (0..).zip(ranges(&(1..initials).map(|n| n * each).collect::<Vec<_>>(), hello.len()));
    let packets = numbered.map(|(number, range): (u32, _)| {
        let part = &hello[range.clone()];
        let frames: Vec<u8> = ranges(&cut(part.len(), place(part)), part.len())
            .into_iter()
            .rev()
            .flat_map(|inner| {
                let mut frame =
                    sealed::crypto(&hello, range.start + inner.start..range.start + inner.end);
                // A PING between, and padding, as clients do that shuffle.
                frame.extend([1, 0, 0]);
                frame
            })
            .collect();
        let seal = Seal { number, ..Seal::first(version, b"matrixid") };
        ip(true, 17, &udp(true, &seal.initial(&frames, 1_200)), v6)
    });
    packets.collect()
}

fn udp(from_client: bool, payload: &[u8]) -> Vec<u8> {
    let ports: [u16; 2] = if from_client { [50_123, 443] } else { [443, 50_123] };
    let len = u16::try_from(8 + payload.len()).unwrap();
    [&[ports[0], ports[1], len, 0].map(u16::to_be_bytes).concat(), payload].concat()
}

fn segment(
    from_client: bool,
    flags: u8,
    sequence: u32,
    acknowledgment: u32,
    payload: &[u8],
    v6: bool,
) -> Vec<u8> {
    let ports: [u16; 2] = if from_client { [50_123, 443] } else { [443, 50_123] };
    let mut tcp = ports.map(u16::to_be_bytes).concat();
    tcp.extend(sequence.to_be_bytes());
    tcp.extend(acknowledgment.to_be_bytes());
    tcp.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    tcp.extend(payload);
    ip(from_client, 6, &tcp, v6)
}

fn ip(from_client: bool, protocol: u8, inside: &[u8], v6: bool) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8];
    let (client, server) = (1, 2);
    let (from, to) = if from_client { (client, server) } else { (server, client) };
    if v6 {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend(u16::try_from(inside.len()).unwrap().to_be_bytes());
        frame.extend([protocol, 64]);
        for last in [from, to] {
            frame.extend([0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        }
    } else {
        frame.extend([8, 0, 0x45, 0]);
        frame.extend(u16::try_from(20 + inside.len()).unwrap().to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
        for last in [from, to] {
            frame.extend([198, 51, 100, last]);
        }
    }
    frame.extend(inside);
    frame
}
