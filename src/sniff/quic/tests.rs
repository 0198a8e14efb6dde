//! Initials of one, two and three packets in every order and shape, against vectors of the RFCs, loss, lies and bounds.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::keys::{CLIENT, Secrets};
use super::sealed::{Seal, V1, V2, crypto, initials, varint};
use super::*;
use crate::sniff::tests::{client_hello, orders};
use crate::sniff::{ClientHello, Counter, Openings, Patterns, Progress, Wants};

const DCID: &[u8] = b"\x83\x94\xc8\xf0\x3e\x51\x57\x08";
const NAME: &str = "acme.zendesk.com";
const SERVER: &[u8] = b"server in";

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A flow, and what was found in it.
#[derive(Default)]
struct Read {
    progress: Progress,
    names: Vec<Option<Box<str>>>,
}

impl Read {
    fn datagram(&mut self, from_client: bool, bytes: &[u8]) -> Wants {
        let names = &mut self.names;
        self.progress.datagram(from_client, bytes, &mut |evidence| names.push(name(evidence)))
    }

    /// All of the client's, until it is enough.
    fn all(&mut self, datagrams: &[Vec<u8>]) -> Wants {
        let mut wants = Wants::More;
        for datagram in datagrams {
            assert_eq!(wants, Wants::More);
            wants = self.datagram(true, datagram);
        }
        wants
    }

    fn end(&mut self) -> Wants {
        let names = &mut self.names;
        let nothing = Openings::new(b"", b"", Patterns::NONE);
        self.progress.end(&nothing, &mut |evidence| names.push(name(evidence)))
    }

    fn limits(&mut self) -> usize {
        let mut limits = 0;
        self.progress.counts(|row| limits += usize::from(row == Counter::LIMITED));
        limits
    }

    #[track_caller]
    fn is_named(&self) {
        assert_eq!(self.names, [Some(NAME.into())]);
        assert_eq!(self.progress.octets(), 0, "what was kept is freed");
    }
}

fn name(evidence: Evidence) -> Option<Box<str>> {
    match evidence {
        Evidence::Tls(ClientHello { carrier: Carrier::Quic, sni, .. }) => sni,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn named(datagrams: &[Vec<u8>]) {
    let mut read = Read::default();
    assert_eq!(read.all(datagrams), Wants::Met);
    read.is_named();
}

/// RFC 9001 appendix A.1 and RFC 9369 appendix A.1.
#[test]
fn keys_are_those_of_the_appendices() {
    for (version, side, key, iv, header) in [
        (
            V1,
            CLIENT,
            "1f369613dd76d5467730efcbe3b1a22d",
            "fa044b2f42a3fd3b46fb255c",
            "9f50449e04a0e810283a1e9933adedd2",
        ),
        (
            V1,
            SERVER,
            "cf3a5331653c364c88f0f379b6067e37",
            "0ac1493ca1905853b0bba03e",
            "c206b8d9b9f0f37644430b490eeaa314",
        ),
        (
            V2,
            CLIENT,
            "8b1a0bc121284290a29e0971b5cd045d",
            "91f73e2351d8fa91660e909f",
            "45b95e15235d6f45a6b19cbcb0294ba9",
        ),
        (
            V2,
            SERVER,
            "82db637861d55e1d011f19ea71d5d2a7",
            "dd13c276499c0249d3310652",
            "edf6d05c83121201b436e16877593c3a",
        ),
    ] {
        let secrets = Secrets::new(Version::of(version).unwrap(), DCID, side).unwrap();
        assert_eq!(secrets.key[..], hex(key));
        assert_eq!(secrets.iv[..], hex(iv));
        assert_eq!(secrets.header[..], hex(header));
    }
}

/// RFC 9001 appendix A.2 and RFC 9369 appendix A.2: beginning and tag of the protected packet; both carry this hello.
#[test]
fn the_initials_of_the_appendices() {
    let frame = hex(concat!(
        "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c0000",
        "0413011302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d0017",
        "001800100007000504616c706e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559f",
        "edba753de171fa71f50f1ce15d43e994ec74d748002b0003020304000d0010000e0403050306030203080408",
        "050806002d00020101001c00024001003900320408ffffffffffffffff05048000ffff07048000ffff080110",
        "0104800075300901100f088394c8f03e51570806048000ffff",
    ));
    for (version, begins, tag) in [
        (
            V1,
            "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9b",
            "e221af44860018ab0856972e194cd934",
        ),
        (
            V2,
            "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485dd04de806071",
            "a18b2faa745b6fe189cf772a9f84cbfc",
        ),
    ] {
        let packet = Seal { number: 2, ..Seal::first(version, DCID) }.initial(&frame, 1200);
        assert_eq!(packet.len(), 1200);
        assert_eq!(packet[..38], hex(begins));
        assert_eq!(packet[1184..], hex(tag));
        let mut read = Read::default();
        assert_eq!(read.datagram(true, &packet), Wants::Met);
        assert_eq!(read.names, [Some("example.com".into())]);
    }
}

#[test]
fn hellos_of_one_two_and_three_packets_in_every_order() {
    for version in [V1, V2, 0xff00_001d, 0xff00_0017, 0xff00_0016, 0x5430_3531] {
        for (key_share, packets) in [(32, 1), (1216, 2), (2500, 3)] {
            let all = initials(version, DCID, &client_hello(Some(NAME), key_share), 1200);
            assert_eq!(all.len(), packets);
            for order in orders(&all) {
                named(&order);
                let twice: Vec<_> = order[..packets - 1].iter().flat_map(|p| [p, p]).collect();
                let last = order.last().unwrap();
                named(&twice.into_iter().chain([last]).cloned().collect::<Vec<_>>());
                named(&[order.concat()]);
            }
        }
    }
}

#[test]
fn frames_in_every_order_among_others() {
    let hello = client_hello(Some(NAME), 300);
    let cuts = [0, 1, 5, 200, hello.len() - 1, hello.len()];
    let pieces: Vec<Vec<u8>> =
        cuts.windows(2).map(|cut| crypto(&hello, cut[0]..cut[1])).chain([vec![]]).collect();
    let ack = [&[2, 5, 1, 1, 0, 2, 3][..], &[3, 5, 1, 0, 0, 1, 2, 3], &[0x1c, 1, 0, 2, b'n', b'o']];
    for order in orders(&pieces) {
        let mut frames = vec![];
        for (piece, other) in order.iter().zip([&[1][..], &[0, 0, 0], ack[0], ack[1], ack[2], &[]])
        {
            frames.extend_from_slice(piece);
            frames.extend_from_slice(other);
        }
        named(&[Seal::first(V1, DCID).initial(&frames, 1200)]);
    }
    // A frame that may not stand in an Initial ends the packet.
    let frames = [&[0x08][..], &crypto(&hello, 0..hello.len())].concat();
    let mut read = Read::default();
    assert_eq!(read.datagram(true, &Seal::first(V1, DCID).initial(&frames, 1200)), Wants::More);
    assert!(read.names.is_empty());
}

#[test]
fn packets_of_any_kind_around_it() {
    for version in [V1, V2] {
        let seal = Seal::first(version, DCID);
        let hello = initials(version, DCID, &client_hello(Some(NAME), 32), 700).remove(0);
        let (early, handshake) = (seal.opaque(1, 300), seal.opaque(2, 100));
        let noise: Vec<u8> = (0..200).map(|octet| (octet * 37) as u8).collect();
        named(&[[&early[..], &hello, &handshake].concat()]);
        named(&[[&hello[..], &noise].concat()]);
        named(&[[&hello[..], &[0; 300]].concat()]);
        // 0-RTT overtook the Initial.
        named(&[early.clone(), early.clone(), handshake, vec![0x41; 40], hello.clone()]);
        // Nothing can follow where a length lies.
        let mut lie = early;
        lie[15] = 0x7f;
        let mut read = Read::default();
        assert_eq!(read.datagram(true, &[lie, hello].concat()), Wants::More);
    }
    for seal in [
        Seal { greased: true, ..Seal::first(V1, DCID) },
        Seal { token: &[7; 90], scid: &[9; 20], ..Seal::first(V1, DCID) },
        Seal { number: 200, number_len: 1, ..Seal::first(V2, &[5; 20]) },
        Seal { number: 0x01_0203, number_len: 3, ..Seal::first(V2, &[]) },
    ] {
        let hello = client_hello(Some(NAME), 32);
        named(&[seal.initial(&crypto(&hello, 0..hello.len()), 0)]);
    }
}

#[test]
fn later_packets_bear_the_servers_connection_id() {
    let hello = client_hello(Some(NAME), 1216);
    let first = Seal::first(V1, DCID).initial(&crypto(&hello, 0..1000), 1200);
    let later = |version| {
        let seal = Seal { dcid: b"chosen", keys_of: DCID, number: 1, ..Seal::first(version, DCID) };
        seal.initial(&crypto(&hello, 1000..hello.len()), 1200)
    };
    named(&[first.clone(), later(V1)]);
    // RFC 9368: the server went on with version 2.
    named(&[first, later(V2)]);
    // Its keys are those of a connection ID that was never seen.
    let mut read = Read::default();
    assert_eq!(read.all(&[later(V1), later(V1)]), Wants::More);
    assert_eq!((read.end(), read.progress.is_waiting()), (Wants::Nothing, true));
}

#[test]
fn a_client_that_is_turned_away_says_all_again() {
    let hello = client_hello(Some(NAME), 1216);
    let half = Seal::first(V1, DCID).initial(&crypto(&hello, 0..1000), 1200);
    let retry = Seal { scid: b"new", ..Seal::first(V1, b"") }.opaque(3, 60);
    let seal = Seal { token: b"token", number: 1, ..Seal::first(V1, b"new") };
    let again = [
        seal.initial(&crypto(&hello, 0..900), 1200),
        Seal { number: 2, ..seal }.initial(&crypto(&hello, 900..hello.len()), 1200),
    ];
    let mut read = Read::default();
    assert_eq!(read.datagram(true, &half), Wants::More);
    assert_eq!(read.datagram(false, &retry), Wants::More);
    assert_eq!(read.all(&again), Wants::Met);
    read.is_named();

    // Another version: all is said again, and not as before.
    let mut read = Read::default();
    let other = initials(V2, b"another", &client_hello(Some(NAME), 1216), 1200);
    assert_eq!(
        read.datagram(true, &initials(V1, DCID, &client_hello(None, 1200), 1200)[0]),
        Wants::More
    );
    let negotiation = [&[0x80, 0, 0, 0, 0, 0, 8][..], DCID, &[0x6b, 0x33, 0x43, 0xcf]].concat();
    assert_eq!(read.datagram(false, &negotiation), Wants::More);
    assert_eq!(read.all(&other), Wants::Met);
    read.is_named();

    // The first try was of a version that nobody speaks.
    let mut greased = half;
    greased[1..5].copy_from_slice(&[0x1a, 0x2a, 0x3a, 0x4a]);
    named(&[&[greased, negotiation], &other[..]].concat());
}

#[test]
fn who_can_be_opened_is_the_client() {
    let hello = client_hello(Some(NAME), 1216);
    let server = Seal { side: SERVER, dcid: b"clients", ..Seal::first(V1, DCID) };
    let server = server.initial(&[2, 0, 0, 0, 0], 1200);
    let client = initials(V1, DCID, &hello, 1200);
    for server_first in [false, true] {
        let mut read = Read::default();
        if server_first {
            assert_eq!(read.datagram(true, &server), Wants::More);
        }
        assert_eq!(read.datagram(false, &client[0]), Wants::More);
        assert_eq!(read.datagram(true, &server), Wants::More);
        assert_eq!(read.datagram(false, &client[1]), Wants::Met);
        read.is_named();
        assert!(read.progress.is_swapped());
    }
}

#[test]
fn what_does_not_come_whole() {
    let hello = client_hello(Some(NAME), 0);
    let pieces = [crypto(&hello, 0..hello.len() - 50), crypto(&hello, 1..hello.len())];
    for (piece, names) in pieces.iter().zip([1, 0]) {
        let mut read = Read::default();
        assert_eq!(read.datagram(true, &Seal::first(V1, DCID).initial(piece, 1200)), Wants::More);
        assert!(read.progress.is_waiting() && read.progress.octets() > hello.len());
        read.end();
        assert_eq!((read.names.len(), read.progress.octets()), (names, 0));
    }
    // Not a hello: another message, or none of TLS.
    for other in [[2, 0, 0, 90, 3, 3], [1, 0, 2, 0, 9, 9]] {
        let mut read = Read::default();
        let frames = crypto(&other, 0..6);
        assert_eq!(
            read.datagram(true, &Seal::first(V1, DCID).initial(&frames, 1200)),
            Wants::Nothing
        );
    }
}

#[test]
fn cut_or_changed_anywhere_it_says_nothing_wrong() {
    /// First octet, version, both connection IDs, token, length.
    const HEADER: usize = 1 + 4 + 1 + 8 + 1 + 1 + 2;
    let whole = initials(V1, DCID, &client_hello(Some(NAME), 32), 700).remove(0);
    for cut in 0..whole.len() {
        let mut read = Read::default();
        let wants = read.datagram(true, &whole[..cut]);
        assert!(read.names.is_empty() && wants != Wants::Met);
        assert_eq!(read.progress.octets(), 0, "nothing is kept of what does not open");
        assert_eq!(read.progress.is_waiting(), cut >= HEADER, "{cut}");
        if cut >= HEADER {
            assert_eq!(read.datagram(true, &whole), Wants::Met, "{cut}");
        }
        let mut changed = whole.clone();
        changed[cut] ^= 0x11;
        let mut read = Read::default();
        assert_ne!(read.datagram(true, &changed), Wants::Met, "{cut}");
        assert!(read.names.is_empty());
    }
}

#[test]
fn work_on_a_flow_has_an_end() {
    // Packets that never open: keys are made eight times.
    let mut read = Read::default();
    let mut tries = 1;
    while read.datagram(true, &Seal::first(V1, &[tries; 9]).opaque(0, 1100)) == Wants::More {
        tries += 1;
    }
    assert_eq!((tries, read.limits()), (MAX_KEYS, 1));
    assert!(read.progress.is_waiting(), "it was QUIC");

    // Packets that open and tell nothing, and others under the same connection ID that do not.
    for useful in [true, false] {
        let mut read = Read::default();
        let hello = client_hello(Some(NAME), 3000);
        let packet = Seal::first(V1, DCID).initial(&crypto(&hello, 0..20), 1200);
        let mut packets = 1;
        assert_eq!(read.datagram(true, &packet), Wants::More);
        let opaque = Seal::first(V1, DCID).opaque(0, 1100);
        while read.datagram(true, if useful { &packet } else { &opaque }) == Wants::More {
            packets += 1;
        }
        assert_eq!((packets + 1, read.limits()), (MAX_INITIALS, 1));
        assert_eq!(read.progress.octets(), 0);
    }

    // Offsets beyond what is kept, a hole at every second octet.
    let mut read = Read::default();
    let mut frames = vec![6];
    frames.extend([varint(0x1234_5678), varint(3)].concat());
    frames.extend(b"abc");
    for hole in 0..150 {
        frames.extend([&[6][..], &varint(2 * hole + 1), &[1, b'x']].concat());
    }
    let mut packet = Seal::first(V2, DCID).initial(&frames, 1200);
    assert_eq!(read.datagram(true, &packet), Wants::More);
    assert_eq!(read.limits(), 1);
    assert!(read.progress.octets() < 8192);
    packet.truncate(20);
    assert_eq!(read.datagram(true, &packet), Wants::More);
}

mod google {
    use super::*;

    /// A CHLO as Chrome made it: padding first, then the name.
    fn chlo() -> Vec<u8> {
        let mut message = b"CHLO\x03\0\0\0PAD\0\x90\0\0\0SNI\0\xa0\0\0\0VER\0\xa4\0\0\0".to_vec();
        message.extend([b'-'; 0x90]);
        message.extend(NAME.as_bytes());
        message.extend(b"Q050");
        message
    }

    #[test]
    fn versions_in_the_clear() {
        let hash = [0xee; 12];
        for (begin, number) in [
            (&b"\x09\x01\x02\x03\x04\x05\x06\x07\x08Q043"[..], 1),
            (b"\x0d\x01\x02\x03\x04\x05\x06\x07\x08Q025", 1),
            (b"\x39\x01\x02\x03\x04\x05\x06\x07\x08Q039", 6),
            (b"\xc3Q046\x50\x01\x02\x03\x04\x05\x06\x07\x08", 4),
        ] {
            let head = [begin, &vec![1; number], &hash, b"\xa0\x01\x00\x04"].concat();
            let whole = [head, chlo()].concat();
            named(std::slice::from_ref(&whole));
            for cut in 0..whole.len() - 4 {
                let mut read = Read::default();
                assert_ne!(read.datagram(true, &whole[..cut]), Wants::Met);
            }
        }
    }

    #[test]
    fn the_last_version_has_it_in_initials() {
        let chlo = chlo();
        let frame = |range| {
            let mut frame = crypto(&chlo, range);
            frame[0] = 8;
            frame
        };
        let packet = |frames: &[u8]| Seal::first(0x5130_3530, DCID).initial(frames, 1200);
        named(&[packet(&frame(0..chlo.len()))]);
        named(&[packet(&frame(80..chlo.len())), packet(&frame(0..80))]);
    }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        rng_seed: RngSeed::Fixed(9),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    /// As Chrome does: the hello cut anywhere, its frames shuffled over the packets among pings and padding, packets
    /// repeated and in any order.
    #[test]
    fn shuffled_frames_over_shuffled_packets(
        key_share in 0_usize..3000,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        places in prop::collection::vec((0_usize..5, any::<u32>()), 21),
        order in Just((0..10_usize).collect::<Vec<_>>()).prop_shuffle(),
        version in prop::sample::select(&[V1, V2][..]),
    ) {
        let hello = client_hello(Some(NAME), key_share);
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(hello.len())).collect();
        ends.extend([0, hello.len()]);
        ends.sort_unstable();
        let mut frames: Vec<_> = ends
            .windows(2)
            .zip(&places)
            .map(|(ends, &(packet, place))| (packet, place, crypto(&hello, ends[0]..ends[1])))
            .collect();
        frames.sort_unstable_by_key(|frame| frame.1);
        let packets: Vec<_> = (0..5)
            .map(|packet| {
                let mut payload = vec![1];
                for frame in frames.iter().filter(|frame| frame.0 == packet) {
                    payload.extend(&frame.2);
                    payload.resize(payload.len() + frame.1 as usize % 4, 0);
                }
                let number = packet as u32;
                Seal { number, ..Seal::first(version, DCID) }.initial(&payload, 1200)
            })
            .collect();
        let mut read = Read::default();
        let mut wants = Wants::More;
        for packet in order {
            if wants == Wants::More {
                wants = read.datagram(true, &packets[packet % 5]);
            }
        }
        prop_assert_eq!(wants, Wants::Met);
        prop_assert_eq!(read.names, [Some(NAME.into())]);
    }

    /// Frames of noise in packets that open, and packets of noise.
    #[test]
    fn noise_in_the_right_wrapping(
        payload in prop::collection::vec(prop_oneof![0_u8..9, any::<u8>()], 0..300),
        header in prop::collection::vec(any::<u8>(), 0..60),
        version in prop::sample::select(&[V1, V2, 0xff00_001d, 0x5130_3530, 0, 0x1a2a_3a4a][..]),
    ) {
        if Version::of(version).is_some() {
            let mut read = Read::default();
            read.datagram(true, &Seal::first(version, DCID).initial(&payload, 0));
            prop_assert!(read.progress.octets() < 20_000);
            read.end();
            prop_assert!(read.names.is_empty());
        }
        let packet = [&[0xc1][..], &version.to_be_bytes(), &header].concat();
        let mut read = Read::default();
        read.datagram(true, &packet);
        read.datagram(false, &packet);
        prop_assert!(read.names.is_empty());
    }
}
