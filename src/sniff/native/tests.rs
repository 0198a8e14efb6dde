//! Heads of each protocol as captures and specifications show them: whole, cut, damaged, and one direction alone.

use proptest::prelude::*;

use super::*;
use crate::sniff::tests::{client_hello, records};
use crate::sniff::{Openings, Patterns, Progress, Wants, dtls};

/// Rows of the table that are tried here, or beside their own code: most need both sides.
pub(in crate::sniff) const ROWS: &[&str] = &[
    "rdp",
    "rfb",
    "teamviewer",
    "radmin",
    "dameware",
    "rustdesk",
    "openvpn",
    "stun",
    "payload",
    "http_response",
    "stun_udp",
    "rdp_udp",
    "teamviewer_udp",
    "rustdesk_udp",
    "wireguard",
    "ike",
    "openvpn_udp",
];

/// A stream by its two openings; `true` where one direction alone is enough.
const STREAMS: &[(&str, &str, &str, bool)] = &[
    ("rfb", "524642203030332e3030380a", "524642203030332e3030380a", true),
    ("rfb", "", "524642203030342e3030310a", true),
    (
        "dameware",
        "",
        "3011000000000000d7a3703d0ad70d4000000000000000000100000001000000000000000200000000000000",
        true,
    ),
    (
        "radmin",
        "01000000010000000808",
        "01000000250000021208020000 0a0000000000000000000000000000000000000000000000000000000000000000",
        false,
    ),
    (
        "teamviewer",
        "17240a200000000000000000004800800001000000148000006fb78c804805532216142004\
         1724281800008000007fffffff8080000000000000000000000000000017243c2000",
        "",
        true,
    ),
    (
        "teamviewer",
        "17240a200000000000000000004800800001000000148000006fb78c804805532216142004",
        "113036001800000001000000000000001b000000180000008c0067fc",
        false,
    ),
    // RequestRelay { id = 1, uuid = 2, ... } behind a length of one octet more.
    (
        "rustdesk",
        "d900 9201 33 0a09313233343536373839 1224 30313233343536372d303132332d303132332d303132332d303132333435363738396162 20 01",
        "",
        true,
    ),
    // TestNatRequest and TestNatResponse { port = 1 }.
    ("rustdesk", "14a201020801", "1caa010408b5ad03", false),
    (
        "openvpn",
        "000e 38 0102030405060708 00 00000000",
        "001a 40 1112131415161718 01 00000000 0102030405060708 00000000",
        false,
    ),
    ("stun", "000100002112a442000000000000000000000000", "", true),
    ("stun", "0014 000100002112a442000000000000000000000000", "", true),
    (
        "rdp",
        "030000130ee00000000000010008000b000000",
        "030000130ed00000123400021f080000000000",
        true,
    ),
    (
        "rdp",
        "0300002722e00000000000436f6f6b69653a206d737473686173683d41646d696e697374720d0a",
        "0300000b06d00000123400",
        true,
    ),
];

/// Datagrams in their order, `true` for those of the client.
const DATAGRAMS: &[(&str, &[(bool, &str)])] = &[
    ("stun", &[(true, "000100002112a442000000000000000000000000")]),
    ("rustdesk", &[(true, "320d0a0931323334353637383910 01"), (false, "3a00")]),
    ("rustdesk", &[(true, "320d0a093132333435363738391001"), (false, "3a021001")]),
    (
        "openvpn",
        &[
            (true, "38 0102030405060708 00 00000000"),
            (false, "40 1112131415161718 01 00000000 0102030405060708 00000000"),
        ],
    ),
    (
        "ike",
        &[(
            true,
            "0102030405060708 0000000000000000 21 20 22 08 00000000 00000024 2200000801020304",
        )],
    ),
    ("teamviewer", &[(false, "0000000000000000442603172473 0400 00000000")]),
];

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn natives(evidence: Vec<Evidence>) -> Vec<&'static str> {
    let native = |e| if let Evidence::Native(native) = e { Some(native.protocol) } else { None };
    evidence.into_iter().filter_map(native).collect()
}

fn stream(client: &[u8], server: &[u8], last: bool) -> (Vec<&'static str>, Wants) {
    let mut found = Vec::new();
    let mut progress = Progress::default();
    let openings = Openings::new(client, server, Patterns::NONE);
    let wants = progress.stream(&openings, &mut |e| found.push(e));
    if last && found.is_empty() {
        progress.end(&openings, &mut |e| found.push(e));
    }
    (natives(found), wants)
}

fn datagrams(all: &[(bool, Vec<u8>)]) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut progress = Progress::default();
    for (from_client, datagram) in all {
        if progress.datagram(*from_client, datagram, &mut |e| found.push(e)) != Wants::More {
            break;
        }
    }
    natives(found)
}

/// A WireGuard message of this type and length, with a counter.
fn wireguard(kind: u8, len: usize, counter: u8) -> Vec<u8> {
    let mut message = vec![0x5a; len];
    message[..4].copy_from_slice(&[kind, 0, 0, 0]);
    message[8..16].copy_from_slice(&[counter, 0, 0, 0, 0, 0, 0, 0]);
    message
}

#[test]
fn every_protocol_of_the_table_is_found() {
    for (protocol, client, server, alone) in STREAMS {
        let (client, server) = (octets(client), octets(server));
        assert_eq!(stream(&client, &server, false).0, [*protocol], "{client:02x?}");
        for (client, server) in [(&client[..], &[][..]), (&[], &server)] {
            let (found, _) = stream(client, server, true);
            assert!(found.iter().all(|f| f == protocol), "{found:?}");
            if *alone && !client.is_empty() {
                assert_eq!(found, [*protocol], "{client:02x?}");
            }
        }
    }
    for (protocol, all) in DATAGRAMS {
        let all: Vec<_> = all.iter().map(|(side, hex)| (*side, octets(hex))).collect();
        assert_eq!(datagrams(&all), [*protocol]);
        if all.len() > 1 {
            assert!(datagrams(&all[..1]).is_empty() && datagrams(&all[1..]).is_empty());
        }
    }
    let tested = STREAMS.iter().map(|s| s.0).chain(DATAGRAMS.iter().map(|d| d.0));
    let tested: std::collections::HashSet<_> = tested.chain(["wireguard", "rtp"]).collect();
    assert!(PROTOCOLS.iter().all(|p| tested.contains(p.name)));
}

#[test]
fn wireguard_shows_itself_by_a_handshake_and_one_more_or_by_four_messages() {
    let found = ["wireguard"];
    let (initiation, response) = (wireguard(1, 148, 0), wireguard(2, 92, 0));
    assert_eq!(datagrams(&[(true, initiation.clone()), (false, response)]), found);
    assert_eq!(datagrams(&[(true, initiation.clone()), (true, wireguard(4, 32, 0))]), found);
    assert!(datagrams(&[(true, initiation)]).is_empty());
    let data: Vec<_> = (0..4).map(|n| (n % 2 == 0, wireguard(4, 96, n))).collect();
    assert_eq!(datagrams(&data), found);
    assert!(datagrams(&data[..3]).is_empty());
    let odd: Vec<_> = (0..4).map(|n| (true, wireguard(4, 97, n))).collect();
    assert!(datagrams(&odd).is_empty());
}

#[test]
fn tls_within_rdp_is_read() {
    let request = octets(
        "0300002f2ae00000000000436f6f6b69653a206d737473686173683d574465706c6f7941640d0a0100080003000000",
    );
    let confirm = octets("030000130ed00000123400021f080002000000");
    let hello = records(&client_hello(Some("server.example"), 32), &[]);
    let client = [request, hello].concat();
    for server in [&confirm[..], &[]] {
        let mut found = Vec::new();
        let openings = Openings::new(&client, server, Patterns::NONE);
        Progress::default().stream(&openings, &mut |e| found.push(e));
        assert!(
            matches!(&found[..], [Evidence::Native(_), Evidence::Tls(hello)]
                if hello.sni.as_deref() == Some("server.example")),
            "{found:?}"
        );
        assert!(!format!("{found:?}").contains("WDeploy"), "a user's name");
    }
}

#[test]
fn an_openvpn_reset_is_answered_with_its_own_session() {
    let client = (true, octets("38 0102030405060708 00 00000000"));
    let other = octets("40 1112131415161718 01 00000000 0102030405060709 00000000");
    assert!(datagrams(&[client, (false, other)]).is_empty());
    let hmac = "aa".repeat(20);
    let asks = octets(&format!("38 0102030405060708 {hmac} 00000001 5f000000 00 00000000"));
    let says = octets(&format!(
        "40 1112131415161718 {hmac} 00000001 5f000000 01 00000000 0102030405060708 00000000"
    ));
    assert_eq!(datagrams(&[(true, asks.clone()), (false, says.clone())]), ["openvpn"]);
    assert!(datagrams(&[(true, asks), (true, says)]).is_empty(), "both from one side");
}

#[test]
fn heads_that_are_cut_or_damaged_are_nobodys() {
    for (protocol, client, server, _) in STREAMS {
        let (client, server) = (octets(client), octets(server));
        for cut in 0..client.len() {
            let (found, _) = stream(&client[..cut], &[], true);
            assert!(found.iter().all(|f| f == protocol), "{protocol} {cut}: {found:?}");
        }
        // Commands and types are free.
        let fixed = match *protocol {
            "teamviewer" => 2,
            "stun" => 1,
            _ => 4,
        };
        for at in 0..client.len().min(fixed) {
            let mut damaged = client.clone();
            damaged[at] ^= 0xff;
            assert!(stream(&damaged, &[], true).0.is_empty(), "{protocol} at {at}");
            let (found, _) = stream(&damaged, &server, true);
            assert!(found.is_empty(), "{protocol} at {at}: {found:?}");
        }
    }
    for (protocol, all) in DATAGRAMS {
        let all: Vec<_> = all.iter().map(|(side, hex)| (*side, octets(hex))).collect();
        for cut in 0..all[all.len() - 1].1.len() {
            let mut shorter = all.clone();
            shorter.last_mut().unwrap().1.truncate(cut);
            let found = datagrams(&shorter);
            // A RustDesk answer without its flag is whole.
            assert!(found.is_empty() || (*protocol, cut) == ("rustdesk", 2), "{protocol} {cut}");
        }
    }
}

/// Evidence of datagrams on one path, and what is wanted after the last.
fn path(all: &[Vec<u8>]) -> (Vec<Evidence>, Wants, bool) {
    let (mut found, mut progress, mut wants) = (Vec::new(), Progress::default(), Wants::More);
    for (nth, datagram) in all.iter().enumerate() {
        assert_eq!(wants, Wants::More, "{nth}");
        wants = progress.datagram(nth % 2 == 0, datagram, &mut |evidence| found.push(evidence));
    }
    (found, wants, progress.is_swapped())
}

#[test]
fn behind_stun_the_hello_of_dtls_is_read_and_media_end_the_looking() {
    let stun = octets("000100002112a442000000000000000000000000");
    let hello = dtls::tests::datagram(0, Some("media.acme.example"));
    let relayed = [&[0x40, 7][..], &(hello.len() as u16).to_be_bytes(), &hello].concat();
    for hello in [hello, relayed] {
        for before in 1..4 {
            let mut all = vec![stun.clone(); before];
            all.push(hello.clone());
            let (found, wants, swapped) = path(&all);
            let [Evidence::Native(native), Evidence::Tls(hello)] = &found[..] else {
                panic!("{found:?}")
            };
            assert_eq!((native.protocol, wants, swapped), ("stun", Wants::Met, false));
            assert_eq!(hello.sni.as_deref(), Some("media.acme.example"));
        }
    }
    let (found, wants, _) = path(&[stun.clone(), stun.clone(), [0x80, 0x60].repeat(50)]);
    assert_eq!((found.len(), wants), (1, Wants::Met));
    let (found, wants, _) = path(&vec![stun.clone(); 64]);
    assert_eq!((found.len(), wants), (1, Wants::More));
    let (found, wants, _) = path(&vec![stun; 65]);
    assert_eq!((found.len(), wants), (1, Wants::Met));
}

proptest! {
    #[test]
    fn behind_stun_noise_is_harmless(
        first in 0u8..=255,
        noise in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 1..8),
    ) {
        let mut progress = Progress::default();
        let stun = octets("000100002112a442000000000000000000000000");
        progress.datagram(true, &stun, &mut |_| ());
        for mut datagram in noise {
            datagram[0] = first;
            let mut found = Vec::new();
            progress.datagram(false, &datagram, &mut |evidence| found.push(evidence));
            prop_assert!(found.is_empty(), "{found:?}");
        }
    }

    #[test]
    fn noise_is_nobodys(
        client in prop::collection::vec(any::<u8>(), 0..200),
        server in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assert!(stream(&client, &server, true).0.is_empty());
        prop_assert!(datagrams(&[(true, client), (false, server)]).is_empty());
    }

    #[test]
    fn what_begins_right_and_goes_on_as_noise_never_panics(
        row in 0..STREAMS.len(),
        keep in 0usize..64,
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let (_, client, server, _) = STREAMS[row];
        let begin = |hex: &str| {
            let mut bytes = octets(hex);
            bytes.truncate(keep);
            bytes.extend(&noise);
            bytes
        };
        stream(&begin(client), &begin(server), true);
        datagrams(&[(true, begin(client)), (false, begin(server)), (true, begin(server))]);
    }
}
