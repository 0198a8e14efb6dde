//! JA4, the fingerprint of a TLS client: what it offers, without the order in which browsers shuffle it.
//!
//! By the description of JA4 (BSD 3-Clause). The other fingerprints of that family have another licence and are not here.

use ring::digest::{SHA256, digest};

use super::{ALPN, SERVER_NAME, SUPPORTED_VERSIONS, grease, grease_text, versions};
use crate::sniff::Carrier;
use crate::sniff::reader::Reader;

/// What a fingerprint is made of. It is written out only for who asks: sorting and hashing would take more than all else that is
/// read of a hello, and a catalogue that names no fingerprint never asks.
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
#[derive(Clone, Debug)]
pub struct Ja4(Box<Form>);

#[derive(Clone, Debug)]
enum Form {
    Offered {
        /// In ASCII.
        head: [u8; HEAD],
        /// Cipher suites, extensions but server name and ALPN, signature algorithms, as they came; all without GREASE.
        values: Vec<u16>,
        suites: usize,
        kinds: usize,
    },
    Written(Box<str>),
}

impl Ja4 {
    /// The fingerprint of a hello: its legacy version, its cipher suites and the octets of its extensions.
    pub(super) fn of(
        carrier: Carrier,
        legacy_version: u16,
        suites: impl Iterator<Item = u16>,
        extensions: &[u8],
    ) -> Self {
        let mut values = Vec::with_capacity(USUAL);
        values.extend(suites.filter(|&suite| !grease(suite)));
        let suites = values.len();
        let offered = Offered::read(extensions, &mut values);
        let kinds = values.len() - suites;
        let mut algorithms = Reader::new(offered.algorithms);
        values.extend(std::iter::from_fn(|| algorithms.u16()).filter(|&one| !grease(one)));
        let transport = match carrier {
            Carrier::Tcp => b't',
            Carrier::Quic => b'q',
            Carrier::Dtls => b'd',
        };
        let [v0, v1] = *version_name(offered.version.unwrap_or(legacy_version));
        let name = if offered.named { b'd' } else { b'i' };
        let [[s0, s1], [e0, e1]] = [suites, offered.count].map(two_digits);
        let [first, last] = offered.alpn;
        let head = [transport, v0, v1, name, s0, s1, e0, e1, first, last];
        Self(Box::new(Form::Offered { head, values, suites, kinds }))
    }

    pub fn text(&self) -> Box<str> {
        let (head, values, suites, kinds) = match &*self.0 {
            Form::Offered { head, values, suites, kinds } => (head, values, *suites, *kinds),
            Form::Written(text) => return text.clone(),
        };
        let (suites, rest) = values.split_at_checked(suites).unwrap_or_default();
        let (kinds, algorithms) = rest.split_at_checked(kinds).unwrap_or_default();
        let mut text = String::with_capacity(LENGTH);
        text.extend(head.iter().copied().map(char::from));
        let mut listed = Vec::with_capacity(5 * values.len());
        list(&sorted(suites), &mut listed);
        push_hash(&listed, &mut text);
        listed.clear();
        list(&sorted(kinds), &mut listed);
        if !kinds.is_empty() && !algorithms.is_empty() {
            listed.push(b'_');
            list(algorithms, &mut listed);
        }
        push_hash(&listed, &mut text);
        text.into()
    }

    /// Octets that it holds beside itself.
    pub fn octets(&self) -> usize {
        let elsewhere = match &*self.0 {
            Form::Offered { values, .. } => values.capacity() * size_of::<u16>(),
            Form::Written(text) => text.len(),
        };
        size_of::<Form>() + elsewhere
    }
}

/// As it was written out by somebody else.
impl From<&str> for Ja4 {
    fn from(text: &str) -> Self {
        Self(Box::new(Form::Written(text.into())))
    }
}

/// Two are one where they read alike, in whatever order the extensions came.
impl PartialEq for Ja4 {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Ja4 {}

/// What the extensions offer.
struct Offered<'a> {
    /// Without GREASE.
    count: usize,
    named: bool,
    alpn: [u8; 2],
    version: Option<u16>,
    algorithms: &'a [u8],
}

impl<'a> Offered<'a> {
    /// Adds their kinds to `kinds`, without GREASE, server name and ALPN.
    fn read(extensions: &'a [u8], kinds: &mut Vec<u16>) -> Self {
        let mut offered =
            Self { count: 0, named: false, alpn: *b"00", version: None, algorithms: &[] };
        let mut reader = Reader::new(extensions);
        while let Some((kind, data)) = reader.u16().zip(reader.vector16()) {
            if grease(kind) {
                continue;
            }
            offered.count += 1;
            match kind {
                SERVER_NAME => offered.named = true,
                ALPN => offered.alpn = alpn_ends(data),
                _ => kinds.push(kind),
            }
            match kind {
                SUPPORTED_VERSIONS => offered.version = versions(data).max(),
                SIGNATURE_ALGORITHMS => {
                    offered.algorithms = Reader::new(data).vector16().unwrap_or_default();
                }
                _ => {}
            }
        }
        offered
    }
}

fn sorted(values: &[u16]) -> Vec<u16> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values
}

/// No count has more.
fn two_digits(count: usize) -> [u8; 2] {
    let count = count.min(MAX_COUNT) as u8;
    [b'0' + count / 10, b'0' + count % 10]
}

/// First and last character of the first protocol that is no GREASE; where one of them is no letter or digit, of its hexadecimal form.
fn alpn_ends(data: &[u8]) -> [u8; 2] {
    let mut names = Reader::new(Reader::new(data).vector16().unwrap_or_default());
    let name = std::iter::from_fn(|| names.vector8()).find(|name| !grease_text(name));
    let name = name.unwrap_or_default();
    let (Some(&first), Some(&last)) = (name.first(), name.last()) else { return *b"00" };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [first, last];
    }
    let ([high, _], [_, low]) = (hex(first), hex(last));
    [high, low]
}

fn version_name(version: u16) -> &'static [u8; 2] {
    match version {
        0x0304 => b"13",
        0x0303 => b"12",
        0x0302 => b"11",
        0x0301 => b"10",
        0x0300 => b"s3",
        0x0002 => b"s2",
        0xfeff => b"d1",
        0xfefd => b"d2",
        0xfefc => b"d3",
        _ => b"00",
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
/// Octets of the text before the hashes.
const HEAD: usize = 10;
/// Of a browser: some 20 suites, 16 extensions, 10 algorithms.
const USUAL: usize = 64;
/// A hash is cut to twelve digits.
const HASH_OCTETS: usize = 6;
const LENGTH: usize = HEAD + 2 * (1 + 2 * HASH_OCTETS);

#[cfg(test)]
mod tests {
    use super::*;

    fn ja4(
        carrier: Carrier,
        version: u16,
        suites: impl Iterator<Item = u16>,
        extensions: &[u8],
    ) -> Box<str> {
        Ja4::of(carrier, version, suites, extensions).text()
    }

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
    fn what_reads_alike_is_one_fingerprint() {
        let [one, two] = [extension(0x0005, &[]), extension(0x0017, &[])];
        let of = |extensions: [&Vec<u8>; 2]| {
            let octets = extensions.map(Vec::as_slice).concat();
            Ja4::of(Carrier::Tcp, 0x0303, [0x1301, 0x1302].into_iter(), &octets)
        };
        let (straight, shuffled) = (of([&one, &two]), of([&two, &one]));
        assert_eq!(straight, shuffled);
        assert_eq!(straight, Ja4::from(&*straight.text()));
        assert_ne!(straight, of([&one, &one]));
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
            (&b"\x02h2"[..], *b"h2"),
            (b"\x01h", *b"hh"),
            (b"\x03\xab12", *b"a2"),
            (b"\x02\x0a\x0a", *b"00"),
            (b"\x02\x0a\x0a\x02h3", *b"h3"),
            (b"\x00", *b"00"),
            (b"\x05h2", *b"00"),
        ] {
            let list = [&u16::try_from(name.len()).unwrap().to_be_bytes()[..], name].concat();
            assert_eq!(alpn_ends(&list), ends, "{name:?}");
        }
    }
}
