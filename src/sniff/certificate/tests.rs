//! The server's first flight, and the certificate in it, against cuts, splits, noise and what servers really send.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::super::tests::{records, vector16};
use super::super::{Certificate, Patterns, Progress, Wants};
use super::*;

/// One element of DER.
fn der(tag: u8, value: &[u8]) -> Vec<u8> {
    let len = value.len();
    let length = match len {
        0..0x80 => vec![len as u8],
        0x80..0x100 => vec![0x81, len as u8],
        _ => vec![0x82, (len >> 8) as u8, len as u8],
    };
    [&[tag][..], &length, value].concat()
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    der(0x30, &parts.concat())
}

fn attribute(kind: u8, tag: u8, value: &[u8]) -> Vec<u8> {
    der(0x31, &sequence(&[der(6, &[0x55, 4, kind]), der(tag, value)]))
}

/// A certificate of these DNS names: `CN=server, O=Acme`, by `CN=Authority, O=Trust`.
fn certificate(names: &[&str]) -> Vec<u8> {
    let subject = [attribute(10, 0x0c, b"Acme"), attribute(3, 0x13, b"server")].concat();
    certificate_of(&subject, names)
}

fn certificate_of(subject: &[u8], names: &[&str]) -> Vec<u8> {
    let issuer = [attribute(10, 0x0c, b"Trust"), attribute(3, 0x0c, b"Authority")].concat();
    let algorithm = sequence(&[der(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])]);
    let date = || der(0x17, b"260101000000Z");
    let names: Vec<_> = [der(0x87, &[192, 0, 2, 1])]
        .into_iter()
        .chain(names.iter().map(|name| der(0x82, name.as_bytes())))
        .collect();
    let extension = |kind: u8, critical: bool, value: Vec<u8>| {
        let critical = if critical { der(1, &[0xff]) } else { Vec::new() };
        sequence(&[der(6, &[0x55, 0x1d, kind]), critical, der(4, &value)])
    };
    let extensions = sequence(&[
        extension(19, true, sequence(&[])),
        extension(17, false, sequence(&names)),
        extension(15, true, der(3, &[7, 0x80])),
    ]);
    let body = sequence(&[
        der(0xa0, &der(2, &[2])),
        der(2, &[0x7f; 20]),
        algorithm.clone(),
        der(0x30, &issuer),
        sequence(&[date(), date()]),
        der(0x30, subject),
        sequence(&[algorithm.clone(), der(3, &[0; 66])]),
        der(0xa3, &extensions),
    ]);
    sequence(&[body, algorithm, der(3, &[0x5a; 72])])
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind][..], &length, body].concat()
}

fn vector24(data: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(data.len()).unwrap().to_be_bytes();
    [&length[..], data].concat()
}

fn server_hello(version: [u8; 2], extensions: &[u8]) -> Vec<u8> {
    let tail = [&[0xc0, 0x2f, 0][..], &vector16(extensions)].concat();
    message(2, &[&version[..], &[9; 32], &[0], &tail].concat())
}

fn chain(certificates: &[Vec<u8>]) -> Vec<u8> {
    let list: Vec<u8> = certificates.iter().flat_map(|one| vector24(one)).collect();
    message(11, &vector24(&list))
}

/// ServerHello, Certificate of two and ServerHelloDone, one behind the other.
pub fn flight(names: &[&str]) -> Vec<u8> {
    let list = chain(&[certificate(names), certificate(&["authority.example"])]);
    [server_hello([3, 3], &[0, 0, 0, 0]), list, message(14, b"")].concat()
}

fn answer(server: &[u8]) -> Answer {
    sniff(&Openings::new(b"", server, Patterns::NONE))
}

fn found(answer: Answer) -> Option<Certificate> {
    match answer {
        Answer::Found(Evidence::Certificate(certificate)) => Some(certificate),
        _ => None,
    }
}

fn of(names: &[&str]) -> Certificate {
    Certificate {
        names: names.iter().map(|name| (*name).into()).collect(),
        subject: Some("server".into()),
        issuer: Some("Authority".into()),
        organisation: Some("Acme".into()),
        left_out: 0,
    }
}

const NAMES: [&str; 2] = ["*.zendesk.com", "zendesk.com"];

#[test]
fn the_first_certificate_is_read_as_soon_as_it_is_whole() {
    let flight = flight(&NAMES);
    let hello = server_hello([3, 3], &[0, 0, 0, 0]).len();
    let end = hello + 10 + certificate(&NAMES).len();
    for sizes in [&[][..], &[hello], &[hello + 4, 3, 1, 1, 400], &[1, 1, 1, 1, 1, 1]] {
        let bytes = records(&flight, sizes);
        let mut waits = 0;
        for cut in 0..=bytes.len() {
            match answer(&bytes[..cut]) {
                Answer::NeedMore => waits += 1,
                other => assert_eq!(found(other), Some(of(&NAMES)), "{sizes:?} {cut}"),
            }
        }
        let headers = 5 * (1 + sizes.len());
        assert!(waits <= end + headers, "{sizes:?} {waits}");
    }
}

#[test]
fn a_warning_in_front_and_supplemental_data_are_passed_over() {
    let warning = [21, 3, 3, 0, 2, 1, 112];
    let list = chain(&[certificate(&NAMES)]);
    let flight = [server_hello([3, 1], &[]), message(23, &[1; 9]), list].concat();
    let bytes = [&warning[..], &records(&flight, &[])].concat();
    for cut in 0..bytes.len() {
        assert!(matches!(answer(&bytes[..cut]), Answer::NeedMore), "{cut}");
    }
    assert_eq!(found(answer(&bytes)), Some(of(&NAMES)));
}

#[test]
fn where_no_certificate_will_be_seen_nothing_is_waited_for() {
    let hello = server_hello([3, 3], &[]);
    let plain = |behind: &[u8]| records(&[&hello[..], behind].concat(), &[]);
    let change = [20, 3, 3, 0, 1, 1];
    let retry_or_hello = server_hello([3, 3], &[0, 43, 0, 2, 3, 4]);
    for (what, bytes) in [
        ("TLS 1.3", records(&retry_or_hello, &[])),
        ("a draft of it", records(&server_hello([0x7f, 18], &[]), &[])),
        ("resumed", [plain(b""), change.to_vec()].concat()),
        ("resumed with a new ticket", plain(&message(4, &[0; 20]))),
        ("no certificate", plain(&message(14, b""))),
        ("an empty list", plain(&message(11, &[0, 0, 0]))),
        ("an empty certificate", plain(&message(11, &[0, 0, 3, 0, 0, 0]))),
        ("a length that does not fit", plain(&message(11, &[0, 0, 9, 0, 0, 6, 1, 2]))),
        ("noise for a certificate", plain(&chain(&[vec![0xaa; 40]]))),
        ("a client", records(&message(1, &[3; 60]), &[])),
        ("a certificate without a hello", records(&chain(&[certificate(&NAMES)]), &[])),
        ("a fatal alert", vec![21, 3, 3, 0, 2, 2, 40, 20]),
    ] {
        assert!(matches!(answer(&bytes), Answer::NotMine), "{what}");
    }
}

#[test]
fn of_a_certificate_that_is_cut_short_what_is_certain_is_told() {
    let bytes = records(&flight(&NAMES), &[100, 200, 300]);
    let mut stages = Vec::new();
    for cut in 0..bytes.len() {
        let mut openings = Openings::new(b"", &bytes[..cut], Patterns::NONE);
        if !matches!(sniff(&openings), Answer::NeedMore) {
            break;
        }
        openings.ended = true;
        let Some(certificate) = found(sniff(&openings)) else { continue };
        let stage = (
            certificate.issuer.is_some(),
            certificate.subject.is_some(),
            certificate.organisation.is_some(),
            certificate.names.len(),
        );
        if stages.last() != Some(&stage) {
            stages.push(stage);
        }
    }
    // The organisation is the issuer's until the subject's is there.
    let expected = [
        (true, false, false, 0),
        (true, false, true, 0),
        (true, true, true, 0),
        (true, true, true, 1),
        (true, true, true, 2),
    ];
    assert_eq!(stages, expected);
}

#[test]
fn the_end_of_a_flow_tells_hello_and_certificate_that_were_cut() {
    let client = records(&super::super::tests::client_hello(Some("a.example"), 0), &[]);
    let server = records(&flight(&NAMES), &[]);
    let whole = 5 + server_hello([3, 3], &[0; 4]).len() + 10 + certificate(&NAMES).len();
    let (client, server) = (&client[..client.len() - 1], &server[..whole - 1]);
    let openings = Openings::new(client, server, Patterns::NONE);
    for swapped in [false, true] {
        let mut progress = Progress::default();
        let openings =
            if swapped { Openings::new(server, client, Patterns::NONE) } else { openings };
        let mut seen = Vec::new();
        assert_eq!(progress.stream(&openings, &mut |_| ()), Wants::More);
        let wants = progress.end(&openings, &mut |evidence| seen.push(evidence));
        assert_eq!((wants, progress.is_swapped()), (Wants::Met, swapped));
        let kinds: Vec<_> =
            seen.iter().map(|one| matches!(one, Evidence::Certificate(_))).collect();
        assert_eq!(kinds, [false, true]);
    }
}

#[test]
fn odd_texts_are_read_and_odd_fields_left_out() {
    let bmp: Vec<u8> = "Zürich".encode_utf16().flat_map(u16::to_be_bytes).collect();
    for (tag, value, expected) in [
        (0x1e, &bmp[..], Some("Zürich")),
        (0x14, b"Z\xfcrich", Some("Zürich")),
        (0x0c, "Zürich".as_bytes(), Some("Zürich")),
        (0x0c, b"Z\xffrich", Some("Z\u{fffd}rich")),
        (0x0c, b"", None),
        (0x0c, &[b'x'; 2000], None),
    ] {
        let read = x509::read(&certificate_of(&attribute(3, tag, value), &["a.example"]));
        assert_eq!(read.subject.as_deref(), expected);
        assert_eq!((read.names.len(), read.organisation.as_deref()), (1, Some("Trust")));
    }
    let several = [attribute(3, 0x0c, b"general"), attribute(3, 0x0c, b"special")].concat();
    assert_eq!(x509::read(&certificate_of(&several, &[])).subject.as_deref(), Some("special"));
}

#[test]
fn more_names_than_the_bound_are_counted() {
    let many: Vec<String> = (0..600).map(|n| format!("{n}.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let read = x509::read(&certificate(&many));
    assert_eq!((read.names.len(), read.left_out), (512, 88));
    let mut progress = Progress::default();
    let mut limited = false;
    let bytes = records(&flight(&many), &[]);
    progress.stream(&Openings::new(b"", &bytes, Patterns::NONE), &mut |_| ());
    progress.counts(|row| limited |= row == super::super::Counter::LIMITED);
    assert!(limited);
}

fn config() -> ProptestConfig {
    ProptestConfig {
        rng_seed: RngSeed::Fixed(3),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn records_may_be_split_anywhere(sizes in prop::collection::vec(1_usize..400, 0..12)) {
        let bytes = records(&flight(&NAMES), &sizes);
        prop_assert_eq!(found(answer(&bytes)), Some(of(&NAMES)));
    }

    #[test]
    fn damage_never_panics_and_names_nothing_that_is_too_long(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = certificate(&NAMES);
        for (at, octet) in changes {
            let at = at.index(bytes.len());
            bytes[at] = octet;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            prop_assert!(x509::read(bytes).names.iter().all(|name| name.len() <= 3 * 1024));
            answer(&records(&chain(&[bytes.to_vec()]), &[]));
        }
    }

    #[test]
    fn noise_says_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(x509::read(&bytes).names.is_empty());
    }
}
