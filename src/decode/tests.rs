//! Frames of every link type, whole and cut, and a comparison with the lax parser of etherparse.

use etherparse::PacketBuilder;

use super::*;
use crate::capture::Link;
use crate::time::Time;

fn frame(link: u16, bytes: &[u8], wire_len: usize) -> Frame<'_> {
    Frame {
        time: Time::ZERO,
        number: 1,
        link: Link(link),
        interface: 0,
        wire_len: u32::try_from(wire_len).unwrap(),
        bytes,
    }
}

const PAYLOAD: &[u8] = b"twenty octets inside";

#[test]
fn a_frame_cut_anywhere_behind_its_ports_keeps_what_is_there() {
    let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
    let mut bytes = Vec::new();
    builder.tcp(4711, 443, 7, 1024).write(&mut bytes, PAYLOAD).unwrap();
    for cut in 0..=bytes.len() {
        let seen = decode(&frame(1, &bytes[..cut], bytes.len()));
        if cut < 14 + 20 + 20 {
            assert_eq!(seen.unwrap_err(), Refusal::TooShort);
            continue;
        }
        let seen = seen.unwrap();
        assert_eq!(seen.payload, &PAYLOAD[..cut - 54]);
        assert_eq!(seen.payload_len, 20);
        assert_eq!((seen.source.port, seen.destination.port), (4711, 443));
        assert_eq!(seen.source.ip.to_string(), "10.0.0.1");
    }
}
