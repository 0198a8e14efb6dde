//! Hellos in records and fragments of every order, with a cookie and without, lost, cut and changed.

use super::*;
use crate::sniff::tests::{client_hello, orders};
use crate::sniff::{Openings, Patterns, Progress, Wants};

const NAME: &str = "acme.zendesk.com";
const DTLS_1_2: u16 = 0xfefd;

/// The body of a hello; the server's cookie stands behind the session id.
fn body(version: u16, cookie: &[u8], sni: Option<&str>) -> Vec<u8> {
    let body = client_hello(sni, 100).split_off(4);
    let (head, tail) = body.split_at(2 + 32 + 1 + 32);
    let cookie = [&[cookie.len() as u8], cookie].concat();
    [&version.to_be_bytes(), &head[2..], &cookie, tail].concat()
}

fn fragment(sequence: u16, body: &[u8], range: std::ops::Range<usize>) -> Vec<u8> {
    let u24 = |value: usize| (value as u32).to_be_bytes()[1..].to_vec();
    let header = [
        vec![1],
        u24(body.len()),
        sequence.to_be_bytes().into(),
        u24(range.start),
        u24(range.len()),
    ];
    [&header.concat()[..], &body[range]].concat()
}

fn record(kind: u8, version: u16, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    [&[kind], &version.to_be_bytes()[..], &[0; 8], &length, payload].concat()
}

/// A datagram with the whole hello.
pub(crate) fn datagram(sequence: u16, sni: Option<&str>) -> Vec<u8> {
    let cookie: &[u8] = if sequence == 0 { b"" } else { b"a cookie of 20 octets" };
    let body = body(DTLS_1_2, cookie, sni);
    record(22, 0xfeff, &fragment(sequence, &body, 0..body.len()))
}

#[derive(Default)]
struct Read {
    progress: Progress,
    hellos: Vec<ClientHello>,
}

impl Read {
    fn datagram(&mut self, from_client: bool, bytes: &[u8]) -> Wants {
        let hellos = &mut self.hellos;
        self.progress.datagram(from_client, bytes, &mut |evidence| keep(hellos, evidence))
    }

    fn end(&mut self) -> Wants {
        let hellos = &mut self.hellos;
        let nothing = Openings::new(b"", b"", Patterns::NONE);
        self.progress.end(&nothing, &mut |evidence| keep(hellos, evidence))
    }

    #[track_caller]
    fn is_named(&self) {
        let names: Vec<_> = self.hellos.iter().map(|hello| hello.sni.as_deref()).collect();
        assert_eq!(names, [Some(NAME)]);
        assert_eq!(self.progress.octets(), 0);
    }
}

fn keep(hellos: &mut Vec<ClientHello>, evidence: Evidence) {
    match evidence {
        Evidence::Tls(hello) => hellos.push(hello),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn named(datagrams: &[Vec<u8>]) {
    let mut read = Read::default();
    let mut wants = Wants::More;
    for datagram in datagrams {
        assert_eq!(wants, Wants::More);
        wants = read.datagram(true, datagram);
    }
    assert_eq!(wants, Wants::Met);
    read.is_named();
}

#[test]
fn one_datagram_tells_what_the_client_offers() {
    for (record_version, version) in
        [(0xfeff, 0xfeff), (0xfeff, DTLS_1_2), (DTLS_1_2, DTLS_1_2), (0x0100, 0x0100)]
    {
        for cookie in [&b""[..], b"cookie"] {
            for sni in [Some(NAME), None] {
                let body = body(version, cookie, sni);
                let datagram = record(22, record_version, &fragment(0, &body, 0..body.len()));
                let mut read = Read::default();
                assert_eq!(read.datagram(true, &datagram), Wants::Met);
                let [hello] = &read.hellos[..] else { panic!() };
                assert_eq!((hello.carrier, hello.sni.as_deref()), (Carrier::Dtls, sni));
                assert_eq!(hello.versions, [0x0304, 0x0303], "as the extension says");
            }
        }
    }
    let old = [&[0xfe, 0xff][..], &[7; 32], &[0, 0, 0, 2, 0, 0x2f, 1, 0]].concat();
    let mut read = Read::default();
    read.datagram(true, &record(22, 0xfeff, &fragment(0, &old, 0..old.len())));
    assert_eq!(read.hellos[0].versions, [0xfeff]);
}

#[test]
fn fragments_in_every_order_and_wrapping() {
    let body = body(DTLS_1_2, b"", Some(NAME));
    let len = body.len();
    let parts = [0..200, 150..250, 250..300, 300..len].map(|range| fragment(0, &body, range));
    for parts in orders(&parts) {
        let records: Vec<_> = parts.iter().map(|part| record(22, DTLS_1_2, part)).collect();
        named(&records);
        named(&[records.concat()]);
        named(&[record(22, DTLS_1_2, &parts.concat())]);
        named(&[records[0].clone(), records[0].clone(), records[1..].concat()]);
    }
}

#[test]
fn a_hello_that_is_asked_for_again_is_told_once() {
    let verify = record(22, 0xfeff, &[3, 0, 0, 23, 0, 0, 0, 0, 0, 0, 0, 23, 0xfe, 0xff, 20]);
    let mut read = Read::default();
    assert_eq!(read.datagram(true, &datagram(0, Some(NAME))), Wants::Met);
    read.is_named();

    // Part of the first was lost.
    let whole = body(DTLS_1_2, b"", Some(NAME));
    let lost = record(22, 0xfeff, &fragment(0, &whole, 100..whole.len()));
    let mut read = Read::default();
    assert_eq!(read.datagram(true, &lost), Wants::More);
    assert_eq!(read.datagram(false, &verify), Wants::More);
    let again = body(DTLS_1_2, b"cookie", Some(NAME));
    let parts = [0..50, 50..again.len()].map(|range| fragment(1, &again, range));
    assert_eq!(read.datagram(true, &record(22, 0xfeff, &parts[1])), Wants::More);
    // A late copy of the first changes nothing.
    assert_eq!(read.datagram(true, &lost), Wants::More);
    assert_eq!(read.datagram(true, &record(22, 0xfeff, &parts[0])), Wants::Met);
    read.is_named();

    // The server was seen first.
    let mut read = Read::default();
    assert_eq!(read.datagram(true, &verify), Wants::More);
    assert_eq!(read.datagram(false, &datagram(1, Some(NAME))), Wants::Met);
    read.is_named();
    assert!(read.progress.is_swapped());
}

#[test]
fn what_does_not_come_whole() {
    let whole = body(DTLS_1_2, b"", Some(NAME));
    for (range, names) in [(0..whole.len() - 20, 1), (0..60, 0), (1..whole.len(), 0)] {
        let mut read = Read::default();
        let part = record(22, DTLS_1_2, &fragment(0, &whole, range));
        assert_eq!(read.datagram(true, &part), Wants::More);
        assert!(read.progress.is_waiting() && read.progress.octets() > 0);
        let wants = if names == 1 { Wants::Met } else { Wants::Nothing };
        assert_eq!((read.end(), read.hellos.len(), read.progress.octets()), (wants, names, 0));
    }
    // In the midst of a session, and a hello that is longer than anybody's.
    let mut read = Read::default();
    assert_eq!(read.datagram(true, &record(23, DTLS_1_2, &[9; 80])), Wants::More);
    assert!(read.progress.is_waiting());
    let long = [&[1, 0, 0x50, 0, 0, 0, 0, 0, 0, 0, 0, 9][..], &whole[..9]].concat();
    let mut read = Read::default();
    assert_eq!(read.datagram(true, &record(22, DTLS_1_2, &long)), Wants::Nothing);
    assert!(read.progress.is_waiting(), "it was DTLS");
}

#[test]
fn cut_or_changed_anywhere_it_says_nothing_wrong() {
    let whole = datagram(0, Some(NAME));
    for cut in 0..whole.len() {
        let mut read = Read::default();
        let wants = read.datagram(true, &whole[..cut]);
        assert_ne!(wants, Wants::Met);
        read.end();
        assert!(read.hellos.is_empty() || read.hellos[0].sni.as_deref() == Some(NAME));
        for change in [0x01, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[cut] ^= change;
            let mut read = Read::default();
            if read.datagram(true, &changed) == Wants::More {
                read.datagram(false, &changed[..cut]);
            }
            assert!(read.progress.octets() < 20_000);
            read.end();
            assert!(read.hellos.len() <= 1);
        }
    }
}
