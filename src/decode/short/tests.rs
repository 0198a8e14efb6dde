//! The short way and the long one give the same segment, wherever both give one; and ordinary frames take the short one.

use etherparse::PacketBuilder;

use super::read;
use crate::capture::{Frame, Link};
use crate::decode::wrap::Wrap;
use crate::decode::{Decoder, Options, Segment};
use crate::time::Time;

const PAYLOAD: [u8; 100] = [7; 100];

fn frame(link: u16, bytes: &[u8], wire_len: usize) -> Frame<'_> {
    let wire_len = u32::try_from(wire_len).unwrap();
    Frame { time: Time::ZERO, number: 1, link: Link(link), interface: 0, wire_len, bytes }
}

/// TCP and UDP, over IPv4 and IPv6, with and without options of TCP, in Ethernet.
fn ordinary() -> Vec<Vec<u8>> {
    let link = || PacketBuilder::ethernet2([2, 1, 1, 1, 1, 1], [2, 2, 2, 2, 2, 2]);
    let mut frames = Vec::new();
    for four in [true, false] {
        let ip = || match four {
            true => link().ipv4([10, 0, 0, 1], [192, 0, 2, 7], 64),
            false => link().ipv6([1; 16], [2; 16], 64),
        };
        for options in [&[][..], &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]] {
            let mut bytes = Vec::new();
            let tcp = ip().tcp(40_000, 443, 7_000_000, 1024).ack(9).fin();
            tcp.options_raw(options).unwrap().write(&mut bytes, &PAYLOAD).unwrap();
            frames.push(bytes);
        }
        let mut bytes = Vec::new();
        ip().udp(40_000, 443).write(&mut bytes, &PAYLOAD).unwrap();
        frames.push(bytes);
    }
    let tagged =
        |id: u8| move |bytes: &Vec<u8>| [&bytes[..12], &[0x81, 0, 0x20, id], &bytes[12..]].concat();
    let tags: Vec<_> = [0, 42].into_iter().flat_map(|id| frames.iter().map(tagged(id))).collect();
    frames.extend(tags);
    frames
}

/// The same packets behind the other link headers that the short way reads.
fn links(ethernet: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let (kind, packet) = (&ethernet[12..14], &ethernet[14..]);
    vec![
        (1, ethernet.to_vec()),
        (101, packet.to_vec()),
        (113, [&[0; 14], kind, packet].concat()),
        (276, [kind, &[0; 18], packet].concat()),
    ]
}

/// Whether both ways are the same where the short one reads the frame, which is told.
fn agree(frame: &Frame<'_>) -> bool {
    let Some(short) = read(frame) else { return false };
    let mut decoder = Decoder::new(&Options::default());
    let long: Result<Segment<'_>, _> = decoder.walk(frame);
    assert_eq!(Ok(short), long, "{:02x?} of {}", frame.bytes, frame.wire_len);
    true
}

#[test]
fn ordinary_frames_take_the_short_way_and_say_the_same() {
    for bytes in ordinary() {
        for (link, bytes) in links(&bytes).into_iter().filter(|(l, _)| *l == 1 || bytes[12] != 0x81)
        {
            assert!(agree(&frame(link, &bytes, bytes.len())), "{link} {bytes:02x?}");
            let padded = [&bytes[..], &[0; 18]].concat();
            assert!(agree(&frame(link, &padded, padded.len())), "{link} {bytes:02x?}");
        }
    }
}

#[test]
fn cut_and_changed_anywhere_both_ways_say_the_same() {
    let mut short = 0;
    for bytes in ordinary() {
        for (link, bytes) in links(&bytes) {
            for cut in 0..bytes.len() {
                short += usize::from(agree(&frame(link, &bytes[..cut], bytes.len())));
            }
            let head = bytes.len() - PAYLOAD.len();
            for at in 0..head {
                let mut changed = bytes.clone();
                let bits = (0..8).map(|bit| bytes[at] ^ 1 << bit);
                for value in bits.chain([0, 0x44, 0x46, u8::MAX]) {
                    changed[at] = value;
                    short += usize::from(agree(&frame(link, &changed, changed.len())));
                    short += usize::from(agree(&frame(link, &changed[..head], changed.len())));
                }
            }
        }
    }
    assert!(short > 20_000, "{short}");
}

#[test]
fn what_is_wrapped_is_never_taken_for_its_wrapping() {
    let six = ordinary().remove(3);
    for wrap in Wrap::ALL {
        for bytes in [ordinary().remove(0), six.clone()].iter().flat_map(|b| wrap.wrap(b)) {
            agree(&frame(1, &bytes, bytes.len()));
        }
    }
}
