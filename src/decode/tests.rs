//! Frames of every link type, whole and cut, and a comparison with the lax parser of etherparse.

use etherparse::{
    IpHeaders, IpNumber, Ipv4Header, Ipv4Options, LaxSlicedPacket, PacketBuilder,
    PacketBuilderStep, TransportSlice,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::capture::{Frame, Link};
use crate::time::Time;

const PAYLOAD: &[u8] = b"twenty octets inside";

fn frame(link: u16, bytes: &[u8], wire_len: usize) -> Frame<'_> {
    let wire_len = u32::try_from(wire_len).unwrap();
    Frame { time: Time::ZERO, number: 1, link: Link(link), interface: 0, wire_len, bytes }
}

/// By a decoder that knows nothing of other frames; it stays, so that segments may point into it.
fn decode<'a>(frame: &Frame<'a>) -> Result<Segment<'a>, Refusal> {
    Box::leak(Box::new(Decoder::new(&Options::default()))).decode(frame)
}

fn whole(link: u16, bytes: &[u8]) -> Result<Segment<'_>, Refusal> {
    decode(&frame(link, bytes, bytes.len()))
}

fn v4_tcp() -> Vec<u8> {
    let builder = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).tcp(4711, 443, 7, 1024);
    let mut bytes = Vec::new();
    builder.syn().ack(9).write(&mut bytes, PAYLOAD).unwrap();
    bytes
}

fn v6_udp() -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv6([1; 16], [2; 16], 64).udp(4711, 53).write(&mut bytes, PAYLOAD).unwrap();
    bytes
}

/// An IPv6 packet whose first next header is `next`.
fn v6(next: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
    let mut bytes = vec![0x60, 0, 0, 0, len[0], len[1], next, 64];
    bytes.extend([1; 16]);
    bytes.extend([2; 16]);
    bytes.extend(rest);
    bytes
}

/// An IPv4 packet with these flags and fragment offset.
fn v4(protocol: u8, fragment: u16, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(20 + rest.len()).unwrap().to_be_bytes();
    let fragment = fragment.to_be_bytes();
    let mut bytes = vec![0x45, 0, len[0], len[1], 0, 0, fragment[0], fragment[1], 64, protocol];
    bytes.extend([0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    bytes.extend(rest);
    bytes
}

fn udp(len: u16) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x67, 0, 53, 0, 0, 0, 0];
    bytes[4..6].copy_from_slice(&len.to_be_bytes());
    bytes.extend(PAYLOAD);
    bytes
}

fn ether(tags_and_type: &[u8], packet: &[u8]) -> Vec<u8> {
    [&[0xee; 12], tags_and_type, packet].concat()
}

fn join(header: &[u8], packet: &[u8]) -> Vec<u8> {
    [header, packet].concat()
}

/// Every way to an IP header: link, frame, outermost VLAN.
fn ways() -> Vec<(u16, Vec<u8>, Option<u16>)> {
    let (p4, p6) = (v4_tcp(), v6_udp());
    let sll = |kind: [u8; 2]| [&[0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0][..], &kind].concat();
    let sll2 = |kind: [u8; 2]| [&kind[..], &[0; 18]].concat();
    vec![
        (1, ether(&[8, 0], &p4), None),
        (1, ether(&[0x86, 0xdd], &p6), None),
        (1, ether(&[0x81, 0, 0xe0, 42, 8, 0], &p4), Some(42)),
        (1, ether(&[0x88, 0xa8, 1, 0, 0x81, 0, 0, 42, 0x86, 0xdd], &p6), Some(256)),
        (1, ether(&[0x91, 0, 0, 7, 0x91, 0, 0, 8, 0x81, 0, 0, 9, 8, 0], &p4), Some(7)),
        (1, ether(&[0x81, 0, 0, 0, 8, 0], &p4), None),
        (1, ether(&[0x81, 0, 0, 0, 0x81, 0, 0, 5, 8, 0], &p4), Some(5)),
        (1, ether(&[0, 68, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &p4), None),
        (1, ether(&[0x88, 0x64, 0x11, 0, 0, 1, 0, 62, 0, 0x21], &p4), None),
        (1, ether(&[0x81, 0, 0, 9, 0x88, 0x64, 0x11, 0, 0, 1, 0, 62, 0, 0x57], &p6), Some(9)),
        (113, join(&sll([8, 0]), &p4), None),
        (113, join(&sll([0x86, 0xdd]), &p6), None),
        (113, join(&sll([0x81, 0]), &join(&[0, 3, 8, 0], &p4)), Some(3)),
        (276, join(&sll2([8, 0]), &p4), None),
        (276, join(&sll2([0x86, 0xdd]), &p6), None),
        (101, p4.clone(), None),
        (101, p6.clone(), None),
        (12, p4.clone(), None),
        (14, p6.clone(), None),
        (228, p4.clone(), None),
        (229, p6.clone(), None),
        (0, join(&[2, 0, 0, 0], &p4), None),
        (0, join(&[0, 0, 0, 2], &p4), None),
        (0, join(&[10, 0, 0, 0], &p6), None),
        (0, join(&[0, 0, 0, 24], &p6), None),
        (0, join(&[28, 0, 0, 0], &p6), None),
        (108, join(&[0, 0, 0, 30], &p6), None),
        (108, join(&[0, 0, 0, 2], &p4), None),
        (9, join(&[0xff, 3, 0, 0x21], &p4), None),
        (9, join(&[0x57], &p6), None),
        (50, join(&[0, 0x21], &p4), None),
        (51, join(&[0x11, 0, 0, 1, 0, 62, 0, 0x21], &p4), None),
        (104, join(&[0x0f, 0, 8, 0], &p4), None),
    ]
}

#[test]
fn every_link_type_leads_to_the_same_packet() {
    for (link, bytes, vlan) in ways() {
        let seen =
            whole(link, &bytes).unwrap_or_else(|reason| panic!("{link} {bytes:x?}: {reason:?}"));
        assert_eq!(seen.vlan, vlan, "{link} {bytes:x?}");
        assert_eq!((seen.payload, seen.payload_len), (PAYLOAD, 20), "{link}");
        assert_eq!(seen.wire_len as usize, bytes.len());
        assert_eq!(seen.source.port, 4711);
        if seen.transport == Transport::Tcp {
            let tcp = Tcp {
                sequence: 7,
                acknowledgment: 9,
                syn: true,
                ack: true,
                fin: false,
                rst: false,
            };
            assert_eq!(seen.tcp, Some(tcp));
            assert_eq!(seen.source.ip.to_string(), "10.0.0.1");
            assert_eq!(
                (seen.destination.ip.to_string(), seen.destination.port),
                ("10.0.0.2".into(), 443)
            );
        } else {
            assert_eq!(seen.tcp, None);
            assert_eq!(seen.source.ip, Address::v6([1; 16]));
            assert_eq!((seen.destination.ip, seen.destination.port), (Address::v6([2; 16]), 53));
        }
    }
}

#[test]
fn a_frame_cut_anywhere_behind_its_ports_keeps_what_is_there() {
    for (link, bytes, vlan) in ways() {
        let ports = if bytes.windows(2).any(|w| w == [0x12, 0x67]) {
            bytes.len() - PAYLOAD.len()
        } else {
            0
        };
        for cut in 0..=bytes.len() {
            match decode(&frame(link, &bytes[..cut], bytes.len())) {
                Ok(seen) => {
                    assert!(cut >= ports, "{link} {cut}");
                    assert_eq!(seen.payload, &PAYLOAD[..cut - ports]);
                    assert_eq!((seen.payload_len, seen.vlan), (20, vlan));
                    assert_eq!(seen.wire_len as usize, bytes.len());
                }
                Err(reason) => {
                    assert_eq!((reason, cut < ports), (Refusal::TooShort, true), "{link} {cut}")
                }
            }
        }
    }
}

#[test]
fn tcp_options_may_be_cut() {
    let builder = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).tcp(4711, 443, 7, 1024);
    let mut bytes = Vec::new();
    let options = [etherparse::TcpOptionElement::Timestamp(1, 2)];
    builder.fin().options(&options).unwrap().write(&mut bytes, PAYLOAD).unwrap();
    let tcp = whole(101, &bytes).unwrap().tcp;
    assert!(tcp.unwrap().fin);
    for cut in 40..bytes.len() {
        let seen = decode(&frame(101, &bytes[..cut], bytes.len())).unwrap();
        assert_eq!((seen.tcp, seen.payload_len), (tcp, 20));
        assert_eq!(seen.payload, &PAYLOAD[..cut.saturating_sub(52)]);
        assert_eq!((seen.source.port, seen.destination.port), (4711, 443));
    }
}

#[test]
fn length_fields_govern_where_they_can_be_true() {
    let padded = ether(&[8, 0], &join(&v4_tcp(), &[0; 9]));
    let seen = whole(1, &padded).unwrap();
    assert_eq!((seen.payload, seen.payload_len), (PAYLOAD, 20), "padding is no payload");

    let mut offload = v4_tcp();
    offload[2..4].fill(0);
    assert_eq!(whole(101, &offload).unwrap().payload, PAYLOAD, "total length 0: offload");
    assert_eq!(decode(&frame(101, &offload[..50], 60)).unwrap().payload_len, 20);

    let mut jumbo = v6_udp();
    jumbo[4..6].fill(0);
    assert_eq!(whole(101, &jumbo).unwrap().payload, PAYLOAD, "payload length 0: jumbogram");

    for (len, payload) in [(28, 20), (18, 10), (8, 0), (0, 20), (7, 20), (29, 20), (65535, 20)] {
        let bytes = v4(17, 0, &udp(len));
        let seen = whole(101, &bytes).unwrap();
        assert_eq!(
            (seen.payload.len(), seen.payload_len),
            (payload, payload as u32),
            "UDP length {len}"
        );
    }
}

#[test]
fn extension_headers_are_passed_over() {
    let rest = udp(28);
    // next header, length in units of 8 octets less one, content
    let hop_by_hop_then = |next: u8| [next, 0, 1, 4, 0, 0, 0, 0];
    let routing_then = |next: u8| [next, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let fragment_then = |next: u8, field: u8| [next, 0, 0, field, 0, 0, 0, 9];
    // AH counts in units of 4 octets less two
    let authentication_then = |next: u8| [next, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2];
    for bytes in [
        v6(0, &[&hop_by_hop_then(43)[..], &routing_then(60), &hop_by_hop_then(17), &rest].concat()),
        v6(44, &[&fragment_then(17, 0)[..], &rest].concat()),
        v6(51, &[&authentication_then(60)[..], &hop_by_hop_then(17), &rest].concat()),
        v4(51, 0, &[&authentication_then(17)[..], &rest].concat()),
        v4(17, 0x4000, &rest),
    ] {
        let seen = whole(101, &bytes).unwrap();
        assert_eq!((seen.payload, seen.payload_len, seen.source.port), (PAYLOAD, 20, 4711));
        for cut in 0..bytes.len() - PAYLOAD.len() {
            let cut = decode(&frame(101, &bytes[..cut], bytes.len()));
            assert_eq!(cut.unwrap_err(), Refusal::TooShort);
        }
    }
    let later = v6(44, &[&fragment_then(17, 8)[..], &rest].concat());
    assert_eq!(whole(101, &later).unwrap_err(), Refusal::Fragment);
    let chain = |n: usize| {
        v6(
            60,
            &[[60, 0, 1, 4, 0, 0, 0, 0].repeat(n), hop_by_hop_then(17).into(), rest.clone()]
                .concat(),
        )
    };
    assert!(whole(101, &chain(network::MAX_EXTENSIONS - 1)).is_ok());
    assert_eq!(
        whole(101, &chain(network::MAX_EXTENSIONS)).unwrap_err(),
        Refusal::TooManyExtensions
    );
}

#[test]
fn every_refusal_has_its_reason() {
    use Refusal::*;
    let p4 = v4_tcp();
    let tags = |n: usize| ether(&[[0x81, 0, 0, 1].repeat(n), vec![8, 0]].concat(), &p4);
    assert!(whole(1, &tags(link::MAX_TAGS)).is_ok());
    let with = |at: usize, octet: u8| {
        let mut bytes = p4.clone();
        bytes[at] = octet;
        bytes
    };
    for (link, bytes, reason) in [
        (105, p4.clone(), UnknownLink),
        (1, vec![], TooShort),
        (1, ether(&[0, 39, 0x42, 0x42, 3, 0, 0, 0, 0, 0], &[]), Llc),
        (1, ether(&[0, 39, 0xaa, 0xaa, 3, 0, 0, 0, 0, 9], &p4), Llc),
        (1, tags(link::MAX_TAGS + 1), TooManyTags),
        (1, ether(&[8, 6], &p4), Arp),
        (1, ether(&[0x88, 0x47, 0, 0, 1, 9, 0x10], &[0; 20]), Mpls),
        (1, ether(&[[0x88, 0x47, 0, 0].repeat(5), vec![0, 0]].concat(), &[0; 60]), TooManyTags),
        (1, ether(&[0x89, 0x09, 1, 1, 0, 1], &[]), TooShort),
        (1, ether(&[0x88, 0xcc], &p4), NotIp),
        (1, ether(&[0x88, 0x64, 0x11, 9, 0, 0, 0, 0, 0, 0x21], &p4), NotIp),
        (9, join(&[0xc0, 0x21], &p4), NotIp),
        (0, join(&[7, 0, 0, 0], &p4), NotIp),
        (101, with(0, 0x55), BadHeader),
        (1, ether(&[0x86, 0xdd], &p4), BadHeader),
        (101, with(0, 0x44), BadHeader),
        (101, with(32, 0x40), BadHeader),
        (101, with(3, 19), BadLength),
        (101, with(32, 0xf0), BadLength),
        (101, v4(17, 1, &udp(28)), Fragment),
        (101, v4(17, 0x2000, &udp(28)), BadLength),
        (101, v4(1, 0, &[8; 8]), Icmp),
        (101, v6(58, &[128; 8]), Icmp),
        (101, v4(50, 0, &[8; 8]), Esp),
        (101, v4(47, 0, &[0; 8]), Tunnel),
        (101, v6(47, &[0, 3, 8, 0]), Tunnel),
        (101, v4(97, 0, &[0x40, 0]), Tunnel),
        (101, v6(59, &[]), NotTcpOrUdp),
        (101, v4(132, 0, &[0; 12]), NotTcpOrUdp),
    ] {
        assert_eq!(whole(link, &bytes).unwrap_err(), reason, "{link} {bytes:x?}");
    }
}

/// A frame as senders and span ports make them: tags, options, both versions and transports, padding.
fn generated() -> impl Strategy<Value = Vec<u8>> {
    (0_usize..3, any::<bool>(), any::<bool>(), 0_usize..3, 0_usize..80, 0_usize..12).prop_map(
        |(tags, four, is_tcp, options, payload, padding)| {
            let payload: Vec<u8> = (0..payload).map(|n| n as u8).collect();
            let link = PacketBuilder::ethernet2([1; 6], [2; 6]);
            let mut packet = Vec::new();
            let mut transport = |builder: PacketBuilderStep<IpHeaders>| {
                if is_tcp {
                    let words = vec![1; options * 4];
                    let step = builder.tcp(1, 2, 3, 4).options_raw(&words).unwrap();
                    step.write(&mut packet, &payload).unwrap();
                } else {
                    builder.udp(5, 6).write(&mut packet, &payload).unwrap();
                }
            };
            if four {
                let mut header = Ipv4Header::new(0, 9, IpNumber::TCP, [1; 4], [2; 4]).unwrap();
                header.options = Ipv4Options::try_from(&vec![1; options * 4][..]).unwrap();
                transport(link.ip(IpHeaders::Ipv4(header, Default::default())));
            } else {
                transport(link.ipv6([1; 16], [2; 16], 9));
            }
            let mut bytes = packet[..12].to_vec();
            for _ in 0..tags {
                bytes.extend([0x81, 0, 0, 42]);
            }
            bytes.extend(&packet[12..]);
            bytes.extend(vec![0; padding]);
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(2),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn agrees_with_the_lax_parser(bytes in generated(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(bytes.len() + 1);
        let ours = decode(&frame(1, &bytes[..cut], bytes.len()));
        let theirs = LaxSlicedPacket::from_ethernet(&bytes[..cut]);
        let theirs = theirs.ok().and_then(|packet| packet.transport);
        match (ours, theirs) {
            (Ok(ours), Some(TransportSlice::Tcp(theirs))) => {
                prop_assert_eq!(ours.payload, theirs.payload());
                prop_assert_eq!((ours.source.port, ours.destination.port), (1, 2));
                prop_assert_eq!(ours.tcp.unwrap().sequence, theirs.sequence_number());
            }
            (Ok(ours), Some(TransportSlice::Udp(theirs))) => {
                prop_assert_eq!(ours.payload, theirs.payload());
                prop_assert_eq!((ours.source.port, ours.destination.port), (5, 6));
            }
            // Only TCP options cut off: theirs gives up, ours keeps the ports.
            (Ok(ours), None) => {
                prop_assert_eq!(ours.transport, Transport::Tcp);
                prop_assert!(ours.payload.is_empty());
            }
            (Err(reason), None) => prop_assert_eq!(reason, Refusal::TooShort),
            (ours, theirs) => prop_assert!(false, "{:?} {:?}", ours, theirs),
        }
        let full = decode(&frame(1, &bytes, bytes.len())).unwrap();
        if let Ok(ours) = ours {
            prop_assert_eq!(ours.payload_len, full.payload_len);
        }
        prop_assert_eq!(full.payload.len(), full.payload_len as usize);
    }

    #[test]
    fn nothing_panics(
        way in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        wire_len in any::<u32>(),
    ) {
        let ways = ways();
        let (link, mut bytes, _) = ways[way.index(ways.len())].clone();
        for (at, octet) in changes {
            let at = at.index(bytes.len());
            bytes[at] = octet;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        if let Ok(seen) = decode(&frame(link, &bytes, wire_len as usize)) {
            prop_assert!(seen.payload.len() <= bytes.len());
            prop_assert!(seen.payload.len() <= seen.payload_len as usize);
        }
    }
}
