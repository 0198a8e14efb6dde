//! JA4, the fingerprint of a TLS client: what it offers, without the order in which browsers shuffle it.
//!
//! By the description of JA4 (BSD 3-Clause). The other fingerprints of that family have another licence and are not here.

use std::fmt::Write;

use ring::digest::{SHA256, digest};

use super::{ALPN, SERVER_NAME, SUPPORTED_VERSIONS, grease, grease_text, versions};
use crate::sniff::Carrier;
use crate::sniff::reader::Reader;

/// The fingerprint of a hello: its legacy version, its cipher suites and the octets of its extensions.
///
/// ```text
///  t13d1516h2_8daaf6152771_e5627efa2ab1
///  |||  | | | '----------' '-- SHA-256 of the extensions, sorted, and of the signature algorithms
///  |||  | | |      '---------- SHA-256 of the cipher suites, sorted
///  |||  | | '-- ends of the first ALPN protocol
///  |||  | '---- extensions, two digits
///  |||  '------ cipher suites, two digits
///  ||'--------- d: a server name, i: none
///  |'---------- highest version
///  '----------- t, q, d: TCP, QUIC, DTLS
/// ```
pub fn ja4(
    carrier: Carrier,
    legacy_version: u16,
    suites: impl Iterator<Item = u16>,
    extensions: &[u8],
) -> Box<str> {
    let mut suites: Vec<u16> = suites.filter(|&suite| !grease(suite)).collect();
    let mut offered = Offered::read(extensions);
    let version = offered.version.unwrap_or(legacy_version);
    let mut text = String::with_capacity(LENGTH);
    let transport = match carrier {
        Carrier::Tcp => 't',
        Carrier::Quic => 'q',
        Carrier::Dtls => 'd',
    };
    let name = if offered.named { 'd' } else { 'i' };
    let counts = [suites.len(), offered.count].map(|count| count.min(MAX_COUNT));
    let [suite_count, extension_count] = counts;
    let [first, last] = offered.alpn;
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "{transport}{}{name}{suite_count:02}{extension_count:02}{first}{last}",
        version_name(version)
    );
    suites.sort_unstable();
    offered.kinds.sort_unstable();
    let mut listed = Vec::with_capacity(5 * (offered.kinds.len() + offered.algorithms.len()));
    list(&suites, &mut listed);
    push_hash(&listed, &mut text);
    listed.clear();
    list(&offered.kinds, &mut listed);
    if !offered.kinds.is_empty() && !offered.algorithms.is_empty() {
        listed.push(b'_');
        list(&offered.algorithms, &mut listed);
    }
    push_hash(&listed, &mut text);
    text.into()
}

/// What the extensions offer.
struct Offered {
    /// Without GREASE, server name and ALPN.
    kinds: Vec<u16>,
    /// Without GREASE alone.
    count: usize,
    named: bool,
    alpn: [char; 2],
    version: Option<u16>,
    algorithms: Vec<u16>,
}

impl Offered {
    fn read(extensions: &[u8]) -> Self {
        let mut offered = Self {
            kinds: Vec::new(),
            count: 0,
            named: false,
            alpn: ['0', '0'],
            version: None,
            algorithms: Vec::new(),
        };
        let mut reader = Reader::new(extensions);
        while let Some((kind, data)) = reader.u16().zip(reader.vector16()) {
            if grease(kind) {
                continue;
            }
            offered.count += 1;
            match kind {
                SERVER_NAME => offered.named = true,
                ALPN => offered.alpn = alpn_ends(data),
                _ => offered.kinds.push(kind),
            }
            match kind {
                SUPPORTED_VERSIONS => offered.version = versions(data).into_iter().max(),
                SIGNATURE_ALGORITHMS => {
                    let mut list = Reader::new(Reader::new(data).vector16().unwrap_or_default());
                    offered.algorithms =
                        std::iter::from_fn(|| list.u16()).filter(|&one| !grease(one)).collect();
                }
                _ => {}
            }
        }
        offered
    }
}

/// First and last character of the first protocol that is no GREASE; where one of them is no letter or digit, of its hexadecimal form.
fn alpn_ends(data: &[u8]) -> [char; 2] {
    let mut names = Reader::new(Reader::new(data).vector16().unwrap_or_default());
    let name = std::iter::from_fn(|| names.vector8()).find(|name| !grease_text(name));
    let name = name.unwrap_or_default();
    let (Some(&first), Some(&last)) = (name.first(), name.last()) else { return ['0', '0'] };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(first), char::from(last)];
    }
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    [digit(first >> 4), digit(last & 15)]
}

fn version_name(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    }
}

/// Four digits each, between commas. By hand: through `format!` it would take most of what a hello costs in all.
fn list(values: &[u16], out: &mut Vec<u8>) {
    for (at, value) in values.iter().enumerate() {
        let [high, low] = value.to_be_bytes();
        let ([a, b], [c, d]) = (hex(high), hex(low));
        out.extend_from_slice(if at == 0 { &[] } else { b"," });
        out.extend_from_slice(&[a, b, c, d]);
    }
}

/// An underscore, and the head of the hash; zeros for nothing.
fn push_hash(listed: &[u8], text: &mut String) {
    let hash = digest(&SHA256, listed);
    let shown: [u8; HASH_OCTETS] = match hash.as_ref().first_chunk() {
        Some(head) if !listed.is_empty() => *head,
        _ => [0; HASH_OCTETS],
    };
    text.push('_');
    text.extend(shown.into_iter().flat_map(hex).map(char::from));
}

const fn hex(octet: u8) -> [u8; 2] {
    const fn digit(nibble: u8) -> u8 {
        if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble }
    }
    [digit(octet >> 4), digit(octet & 15)]
}

const SIGNATURE_ALGORITHMS: u16 = 13;
/// Counts have two digits.
const MAX_COUNT: usize = 99;
/// A hash is cut to twelve digits.
const HASH_OCTETS: usize = 6;
const LENGTH: usize = 10 + 2 * (1 + 2 * HASH_OCTETS);

#[cfg(test)]
mod tests {
    use super::*;

    fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
        let len = u16::try_from(data.len()).unwrap();
        [&kind.to_be_bytes()[..], &len.to_be_bytes(), data].concat()
    }

    fn octets(values: &[u16]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_be_bytes()).collect()
    }

    /// The lists of the example in JA4's description, in their order there, among GREASE.
    #[test]
    fn the_published_example_is_met() {
        let suites = [
            0x2a2a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
            0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
        ];
        let algorithms = octets(&[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]);
        let kinds = [
            0x7a7a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023,
            0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0x0015, 0x1a1a,
        ];
        let extensions = |last: u16| -> Vec<u8> {
            let data = |kind: u16| match kind {
                0x0010 => [&[0, 12][..], b"\x02h2\x08http/1.1"].concat(),
                0x000d => [&[0, 16][..], &algorithms].concat(),
                0x002b => vec![6, 0x3a, 0x3a, 3, 4, 3, 3],
                _ => Vec::new(),
            };
            kinds.iter().chain([&last]).flat_map(|&kind| extension(kind, &data(kind))).collect()
        };
        let of = |carrier, last| ja4(carrier, 0x0303, suites.into_iter(), &extensions(last));
        assert_eq!(&*of(Carrier::Tcp, 0x2a2a), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        assert_eq!(&*of(Carrier::Quic, 0x2a2a), "q13d1516h2_8daaf6152771_e5627efa2ab1");
        assert_ne!(&*of(Carrier::Tcp, 0x0039), &*of(Carrier::Tcp, 0x2a2a));
    }

    #[test]
    fn a_hello_that_offers_nothing_has_zeros() {
        let none = ja4(Carrier::Dtls, 0xfefd, [0x0a0a].into_iter(), &[]);
        assert_eq!(&*none, "dd2i000000_000000000000_000000000000");
        let many = ja4(Carrier::Tcp, 0x0301, 0..200, &[]);
        assert!(many.starts_with("t10i990000_"), "{many}");
    }

    #[test]
    fn odd_protocols_show_the_ends_of_their_hexadecimal_form() {
        for (name, ends) in [
            (&b"\x02h2"[..], ['h', '2']),
            (b"\x01h", ['h', 'h']),
            (b"\x03\xab12", ['a', '2']),
            (b"\x02\x0a\x0a", ['0', '0']),
            (b"\x02\x0a\x0a\x02h3", ['h', '3']),
            (b"\x00", ['0', '0']),
            (b"\x05h2", ['0', '0']),
        ] {
            let list = [&u16::try_from(name.len()).unwrap().to_be_bytes()[..], name].concat();
            assert_eq!(alpn_ends(&list), ends, "{name:?}");
        }
    }
}
