//! Every encapsulation, alone and within another: whole, cut, damaged; and other protocols on the ports of tunnels.

use etherparse::PacketBuilder;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use std::sync::Arc;

use super::*;
use crate::capture::{Frame, Link};
use crate::count::Counted;
use crate::decode::options::MAX_TUNNEL_DEPTH;
use crate::decode::wrap::Wrap;
use crate::decode::{Counter, Decoder, Options, Segment, Transport};
use crate::time::Time;

const PAYLOAD: [u8; 300] = [0x5a; 300];

fn decoder() -> Decoder {
    Decoder::new(&Options { tunnel_depth: 8, ..Options::default() })
}

fn frame(bytes: &[u8], wire_len: usize) -> Frame<'_> {
    let wire_len = u32::try_from(wire_len).unwrap();
    Frame { time: Time::ZERO, number: 1, link: Link::ETHERNET, interface: 0, wire_len, bytes }
}

/// TCP over IPv4, and UDP over IPv6.
fn plain() -> [Vec<u8>; 2] {
    let mut four = Vec::new();
    let link = || PacketBuilder::ethernet2([2, 1, 1, 1, 1, 1], [2, 2, 2, 2, 2, 2]);
    let tcp = link().ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).tcp(4711, 443, 7, 1024);
    tcp.syn().write(&mut four, &PAYLOAD).unwrap();
    let mut six = Vec::new();
    link().ipv6([1; 16], [2; 16], 64).udp(4711, 443).write(&mut six, &PAYLOAD).unwrap();
    [four, six]
}

fn is_inner(seen: &Segment<'_>) -> bool {
    let ends = [(10 << 24) + 1, (10 << 24) + 2].map(|ip: u32| ip.to_be_bytes());
    let four = [seen.source.ip, seen.destination.ip] == ends.map(crate::decode::Address::v4);
    let six = [seen.source.ip.number(), seen.destination.ip.number()]
        == [[1; 16], [2; 16]].map(u128::from_be_bytes);
    let ports = (seen.source.port, seen.destination.port) == (4711, 443);
    ports && if seen.transport == Transport::Tcp { four } else { six }
}

fn value(decoder: &Decoder, name: &str) -> u64 {
    let sum = |cells: Arc<dyn Counted>| -> u64 {
        let rows = cells.rows().iter().enumerate().filter(|(_, row)| row.name == name);
        rows.map(|(at, _)| cells.value(at)).sum()
    };
    decoder.counted().into_iter().map(sum).sum()
}

/// How many segments the frames give; each must be the packet inside, whole.
fn whole(decoder: &mut Decoder, frames: &[Vec<u8>], what: &dyn std::fmt::Debug) -> usize {
    let mut found = 0;
    for bytes in frames {
        match decoder.decode(&frame(bytes, bytes.len())) {
            Ok(seen) => {
                assert!(is_inner(&seen), "{what:?}: {seen:?}");
                assert_eq!((seen.payload, seen.payload_len), (&PAYLOAD[..], 300), "{what:?}");
                let all: usize = frames.iter().map(Vec::len).sum();
                assert!(seen.wire_len as usize <= all, "{what:?}");
                assert!(seen.wire_len as usize >= PAYLOAD.len() + 28, "{what:?}");
                found += 1;
            }
            Err(reason) => assert_eq!(reason, Refusal::Fragment, "{what:?}"),
        }
    }
    found
}

#[test]
fn every_way_leads_to_the_packet_inside() {
    for plain in plain() {
        for wrap in Wrap::ALL {
            let frames = wrap.wrap(&plain);
            if frames.is_empty() {
                assert!(matches!(wrap, Wrap::Teredo | Wrap::TeredoIndications | Wrap::Wccp));
                continue;
            }
            let mut decoder = decoder();
            assert_eq!(whole(&mut decoder, &frames, &wrap), 1, "{wrap:?}");
            let counted = value(&decoder, "saastap_decode_tunnel_frames_total");
            let tagged = matches!(wrap, Wrap::Vlan | Wrap::QinQ | Wrap::QinQOld);
            let bare = tagged || wrap.cuts() || matches!(wrap, Wrap::Snap | Wrap::CiscoMetadata);
            assert_eq!(counted, u64::from(!bare), "{wrap:?}");
        }
    }
}

#[test]
fn any_two_within_each_other() {
    let mut pairs = 0;
    for plain in plain() {
        for inner in Wrap::ALL {
            for outer in Wrap::ALL {
                if inner.cuts() && outer.cuts() {
                    continue;
                }
                let inside = inner.wrap(&plain);
                let carried: Vec<_> = inside.iter().map(|frame| outer.wrap(frame)).collect();
                if carried.iter().any(Vec::is_empty) {
                    continue;
                }
                let frames = carried.concat();
                assert_eq!(
                    whole(&mut decoder(), &frames, &(outer, inner)),
                    usize::from(!frames.is_empty()),
                    "{outer:?} {inner:?}"
                );
                pairs += usize::from(!frames.is_empty());
            }
        }
    }
    assert!(pairs > 2_500, "{pairs}");
}

#[test]
fn a_frame_cut_anywhere() {
    for plain in plain() {
        for wrap in Wrap::ALL {
            let [bytes] = &wrap.wrap(&plain)[..] else { continue };
            let payload = bytes.len() - PAYLOAD.len();
            for cut in 0..=bytes.len() {
                let mut decoder = decoder();
                match decoder.decode(&frame(&bytes[..cut], bytes.len())) {
                    Ok(seen) if is_inner(&seen) => {
                        assert!(cut >= payload, "{wrap:?} {cut}");
                        assert_eq!(seen.payload, &bytes[payload..cut], "{wrap:?} {cut}");
                        assert_eq!(seen.payload_len, 300, "{wrap:?} {cut}");
                    }
                    // Too little of the inside: the datagram of the tunnel.
                    Ok(seen) => {
                        assert!(cut < payload, "{wrap:?} {cut}: {seen:?}");
                        assert_eq!(
                            (seen.transport, seen.tunnels),
                            (Transport::Udp, Tunnels::default())
                        );
                    }
                    Err(reason) => {
                        assert_eq!(
                            (reason, cut < payload),
                            (Refusal::TooShort, true),
                            "{wrap:?} {cut}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn other_protocols_on_the_ports_of_tunnels_are_themselves() {
    let ports =
        [L2TP, GTP_U, TEREDO, GRE_IN_UDP, VXLAN, VXLAN_GPE, CAPWAP_DATA, GENEVE, MPLS_IN_UDP];
    // Answers of a name server, with an answer and without.
    let answer = |answers: u8| {
        let mut dns = vec![0, 0, 0x81, 0x80, 0, 1, 0, answers, 0, 0, 0, 0, 3];
        dns.extend(b"www\x07example\x03com\x00\x00\x01\x00\x01");
        dns.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 80].repeat(answers.into()));
        dns
    };
    for port in ports.into_iter().chain([VXLAN_LINUX]) {
        for dns in [answer(0), answer(1)] {
            let mut bytes = Vec::new();
            PacketBuilder::ethernet2([1; 6], [2; 6])
                .ipv4([192, 0, 2, 53], [10, 0, 0, 1], 64)
                .udp(53, port)
                .write(&mut bytes, &dns)
                .unwrap();
            let at = bytes.len() - dns.len();
            let mut decoder = decoder();
            for id in 0..=u16::MAX {
                bytes[at..at + 2].copy_from_slice(&id.to_be_bytes());
                let seen = decoder.decode(&frame(&bytes, bytes.len())).unwrap();
                assert_eq!((seen.source.port, seen.destination.port), (53, port), "{id:x}");
                assert_eq!(
                    (seen.payload, seen.tunnels),
                    (&bytes[at..], Tunnels::default()),
                    "{id:x}"
                );
            }
        }
    }
}

#[test]
fn a_well_known_port_of_the_sender_is_no_tunnel() {
    let [plain, _] = plain();
    for (wrap, port) in [(Wrap::Vxlan, VXLAN), (Wrap::Geneve, GENEVE), (Wrap::VxlanGpe, VXLAN_GPE)]
    {
        let mut bytes = wrap.wrap(&plain).remove(0);
        bytes.copy_within(36..38, 34);
        bytes[36..38].copy_from_slice(&53_u16.to_be_bytes());
        let mut decoder = decoder();
        let seen = decoder.decode(&frame(&bytes, bytes.len())).unwrap();
        assert_eq!((seen.source.port, seen.destination.port), (port, 53));
    }
}

#[test]
fn depth_is_bounded() {
    let [plain, _] = plain();
    let nest = |wrap: Wrap, times: usize| {
        (0..times).fold(plain.clone(), |frame, _| wrap.wrap(&frame).remove(0))
    };
    for depth in 0..=8 {
        let mut decoder = Decoder::new(&Options { tunnel_depth: depth, ..Options::default() });
        let fits = nest(Wrap::Vxlan, depth.into());
        assert!(is_inner(&decoder.decode(&frame(&fits, fits.len())).unwrap()));
        assert_eq!(value(&decoder, "saastap_decode_tunnels_unopened_total"), 0);
        let deeper = nest(Wrap::Vxlan, usize::from(depth) + 3);
        let seen = decoder.decode(&frame(&deeper, deeper.len())).unwrap();
        assert_eq!((seen.destination.port, seen.tunnels.is_empty()), (VXLAN, depth == 0));
        let deeper = nest(Wrap::IpIn4, usize::from(depth) + 1);
        let refused = decoder.decode(&frame(&deeper, deeper.len())).unwrap_err();
        assert_eq!(refused, Refusal::Tunnel);
        assert_eq!(value(&decoder, "saastap_decode_tunnels_unopened_total"), 2);
    }
    let mut greedy = Decoder::new(&Options { tunnel_depth: u8::MAX, ..Options::default() });
    let deeper = nest(Wrap::Vxlan, usize::from(MAX_TUNNEL_DEPTH) + 3);
    let seen = greedy.decode(&frame(&deeper, deeper.len())).unwrap();
    assert_eq!(seen.destination.port, VXLAN, "whatever is asked for");
    let mut bytes = plain.clone();
    for nested in 0..8 {
        bytes = Wrap::MplsEthernet.wrap(&bytes).remove(0);
        let mut decoder = decoder();
        let seen = decoder.decode(&frame(&bytes, bytes.len()));
        assert_eq!(seen.err(), (nested >= 3).then_some(Refusal::TooManyTags), "{nested}");
    }
}

#[test]
fn what_is_inside_but_no_segment_has_its_reason() {
    let ethernet = |kind: [u8; 2], inside: &[u8]| [&[2; 12], &kind[..], inside].concat();
    let arp = ethernet([8, 6], &[0; 28]);
    let icmp = {
        let mut bytes = Vec::new();
        let link = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4([10; 4], [11; 4], 9);
        link.icmpv4_echo_request(1, 2).write(&mut bytes, &[]).unwrap();
        bytes
    };
    let spanning_tree = ethernet([0, 39], &[0x42; 39]);
    for (inside, reason) in
        [(arp, Refusal::Arp), (icmp, Refusal::Icmp), (spanning_tree, Refusal::Llc)]
    {
        for wrap in [Wrap::Vxlan, Wrap::Geneve, Wrap::ErspanII, Wrap::Capwap, Wrap::GreBridged] {
            let [bytes] = &wrap.wrap(&inside)[..] else { panic!() };
            let mut decoder = decoder();
            let refused = decoder.decode(&frame(bytes, bytes.len())).unwrap_err();
            assert_eq!(refused, reason, "{wrap:?}");
            assert_eq!(value(&decoder, "saastap_decode_tunnel_frames_total"), 0);
        }
    }
}

#[test]
fn kinds_and_tags_are_told() {
    let [plain, _] = plain();
    let within = |wraps: &[Wrap]| {
        wraps.iter().fold(plain.clone(), |frame, wrap| wrap.wrap(&frame).remove(0))
    };
    for (wraps, kinds, vlan) in [
        (&[Wrap::Pppoe, Wrap::Vlan][..], &[Tunnel::Pppoe][..], Some(20)),
        (&[Wrap::Vlan, Wrap::Vxlan], &[Tunnel::Vxlan], Some(20)),
        (&[Wrap::Vxlan, Wrap::QinQ], &[Tunnel::Vxlan], Some(30)),
        (&[Wrap::Vlan, Wrap::Vxlan, Wrap::QinQ], &[Tunnel::Vxlan], Some(20)),
        (
            &[Wrap::GtpU, Wrap::Vxlan, Wrap::ErspanIII],
            &[Tunnel::GtpU, Tunnel::Vxlan, Tunnel::Erspan],
            None,
        ),
        (&[Wrap::Vxlan, Wrap::Vxlan], &[Tunnel::Vxlan], None),
        (&[Wrap::L2tp, Wrap::MplsEthernet], &[Tunnel::L2tp, Tunnel::Mpls], None),
    ] {
        let bytes = within(wraps);
        let mut decoder = decoder();
        let seen = decoder.decode(&frame(&bytes, bytes.len())).unwrap();
        let mut wanted = kinds.to_vec();
        wanted.sort_unstable();
        let through: Vec<Tunnel> = seen.tunnels.iter().collect();
        assert_eq!((&through, seen.vlan), (&wanted, vlan), "{wraps:?}");
        let [_, tunnels, _] = decoder.counted();
        let told: Vec<Tunnel> =
            ALL.into_iter().filter(|kind| tunnels.value(kind.index()) == 1).collect();
        assert_eq!(told, wanted, "{wraps:?}");
    }
}

#[test]
fn the_parts_of_a_capwap_frame_may_come_in_any_order() {
    let [plain, _] = plain();
    let mut parts = Wrap::CapwapParts.wrap(&plain);
    parts.reverse();
    parts.insert(2, parts[1].clone());
    let mut decoder = decoder();
    assert_eq!(whole(&mut decoder, &parts, &"parts"), 1);
    assert_eq!(value(&decoder, "saastap_decode_fragments_repeated_total"), 1);
    let reassembled = Counter::Reassembled as usize;
    assert_eq!(decoder.counted()[2].value(reassembled), 1);
}

#[test]
fn a_beginning_whose_rest_never_comes_is_told_at_last() {
    for plain in plain() {
        for wraps in [&[Wrap::Fragments][..], &[Wrap::Fragments, Wrap::Vxlan], &[Wrap::CapwapParts]]
        {
            let frames = wraps.iter().fold(vec![plain.clone()], |frames, wrap| {
                frames.iter().flat_map(|frame| wrap.wrap(frame)).collect()
            });
            let mut decoder = decoder();
            let first = Frame { number: 7, ..frame(&frames[0], frames[0].len()) };
            assert_eq!(decoder.decode(&first).unwrap_err(), Refusal::Fragment);
            assert!(decoder.overdue(Time::from_secs(5)).is_none());
            let wire_len = first.wire_len;
            let (number, seen) = decoder.overdue(Time::from_secs(6)).unwrap();
            let seen = seen.unwrap_or_else(|reason| panic!("{wraps:?}: {reason:?}"));
            assert!(is_inner(&seen) && !seen.payload.is_empty(), "{wraps:?} {seen:?}");
            assert_eq!((number, seen.wire_len), (7, wire_len), "{wraps:?}");
            assert_eq!(!seen.tunnels.is_empty(), wraps != [Wrap::Fragments]);
            assert!(decoder.overdue(Time::MAX).is_none());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(3),
        failure_persistence: None,
        cases: 2_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_panics(
        ways in (0..Wrap::ALL.len(), 0..Wrap::ALL.len(), any::<bool>()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        noise in prop::collection::vec(any::<u8>(), 0..64),
        cut in any::<prop::sample::Index>(),
        wire_len in prop_oneof![0_u32..3_000, any::<u32>()],
    ) {
        let [four, six] = plain();
        let inside = Wrap::ALL[ways.0].wrap(if ways.2 { &four } else { &six });
        let mut decoder = decoder();
        for bytes in inside.iter().flat_map(|frame| Wrap::ALL[ways.1].wrap(frame)) {
            let mut bytes = bytes;
            for (at, octet) in &changes {
                // Headers, not payload.
                let at = at.index(bytes.len().min(140));
                bytes[at] = *octet;
            }
            let from = cut.index(bytes.len());
            for (octet, noise) in bytes[from..].iter_mut().zip(&noise) {
                *octet = *noise;
            }
            let len = cut.index(bytes.len() + 1).max(40).min(bytes.len());
            let bytes = &bytes[..len];
            let longest = Frame { wire_len, ..frame(bytes, 0) };
            for each in [longest, frame(bytes, bytes.len())] {
                if let Ok(seen) = decoder.decode(&each) {
                    prop_assert!(seen.payload.len() <= 0xffff);
                    prop_assert!(seen.payload.len() <= seen.payload_len as usize);
                }
            }
        }
    }
}
