//! TLS ClientHello: over any number of segments and records, whole or cut short, and the second one after a retry.

mod ja4;
pub(super) mod record;
mod v2;

use ring::digest::{SHA256, digest};
use tls_parser::parse_tls_handshake_client_hello;

pub use self::ja4::Ja4;
use self::record::{ALERT, CHANGE_CIPHER_SPEC, MAJOR, Messages, Record, behind, record};
use super::reader::Reader;
use super::{Answer, Carrier, ClientHello, EchOffer, EchOuter, Evidence, MAX_NAME, Openings};

/// Reads the ClientHello at the beginning of the client's opening (RFC 8446 sections 4.1.2 and 5.1). Where TLS 1.3 is offered
/// the server may ask for another hello, which has the last word: the first is told at once.
pub(super) fn sniff(openings: &Openings<'_>) -> Answer {
    if openings.emitted {
        return second(openings);
    }
    let mut joined = Vec::new();
    match hello(openings.client, &mut joined) {
        Hello::Whole(body, len) => match frame(body, Carrier::Tcp) {
            Some(hello) if hello.versions.iter().any(|&version| version >= TLS_1_3) => {
                Answer::Emit(Evidence::Tls(hello), len, 0)
            }
            Some(hello) => Answer::Found(Evidence::Tls(hello)),
            None => Answer::NotMine,
        },
        Hello::Begun(_) => Answer::NeedMore,
        Hello::Other => v2::sniff(openings.client),
    }
}

/// What a hello that will not be completed says for certain: its server name, if that was reached.
pub(super) fn cut_short(openings: &Openings<'_>) -> Option<Evidence> {
    let client = if openings.emitted { behind_change(openings.client)? } else { openings.client };
    let mut joined = Vec::new();
    let body = match hello(client, &mut joined) {
        Hello::Begun(body) => body,
        Hello::Whole(..) | Hello::Other => return None,
    };
    named(body).map(Evidence::Tls)
}

/// A ClientHello that comes without records.
#[derive(Debug)]
pub(super) enum Message {
    Whole(ClientHello),
    /// It may become one.
    Begun,
    Other,
}

/// Reads the handshake message that `begun` begins, as QUIC and DTLS carry it.
pub(super) fn message(begun: &[u8], carrier: Carrier) -> Message {
    let Some(want) = message_length(begun) else { return Message::Other };
    if begun.len() < want {
        return Message::Begun;
    }
    match begun.get(HANDSHAKE_HEADER..want).and_then(|body| frame(body, carrier)) {
        Some(hello) => Message::Whole(hello),
        None => Message::Other,
    }
}

/// What the message says for certain when no more of it comes, as [`cut_short`].
pub(super) fn message_cut_short(begun: &[u8], carrier: Carrier) -> Option<Evidence> {
    message_length(begun)?;
    let hello = named(begun.get(HANDSHAKE_HEADER..)?)?;
    Some(Evidence::Tls(ClientHello { carrier, ..hello }))
}

/// Reads the body of a ClientHello whose length its carrier told.
pub(super) fn body(body: &[u8], carrier: Carrier) -> Option<ClientHello> {
    frame(body, carrier)
}

/// What the beginning of such a body says for certain.
pub(super) fn body_cut_short(begun: &[u8], carrier: Carrier) -> Option<ClientHello> {
    named(begun).map(|hello| ClientHello { carrier, ..hello })
}

/// As much of a hello as is there, if its server name is.
fn named(body: &[u8]) -> Option<ClientHello> {
    let mut reader = Reader::new(body);
    let version = reader.u16()?;
    reader.take(RANDOM)?;
    reader.vector8()?; // session id
    reader.vector16()?; // cipher suites
    reader.vector8()?; // compression methods
    reader.u16()?; // extensions
    let hello = extensions(version, reader.rest());
    hello.sni.is_some().then_some(hello)
}

/// The hello that answers a HelloRetryRequest (RFC 8446 section 4.1.4). A client that goes on with anything else was not
/// asked for one, and its side is not waited for any longer than the server's first octets.
fn second(openings: &Openings<'_>) -> Answer {
    if is_retry(openings.server) == Some(false) {
        return Answer::NotMine;
    }
    let Some(client) = behind_change(openings.client) else { return Answer::NeedMore };
    let mut joined = Vec::new();
    match hello(client, &mut joined) {
        Hello::Whole(body, _) => match frame(body, Carrier::Tcp) {
            Some(hello) => Answer::Found(Evidence::Tls(hello)),
            None => Answer::NotMine,
        },
        Hello::Begun(_) => Answer::NeedMore,
        Hello::Other => Answer::NotMine,
    }
}

/// A client that wants to pass for one of TLS 1.2 sends an empty change_cipher_spec before its second hello (RFC 8446
/// appendix D.4).
fn behind_change(client: &[u8]) -> Option<&[u8]> {
    behind(client, CHANGE_CIPHER_SPEC, 1)
}

/// Whether the server's first message is a HelloRetryRequest; `None` where that cannot be told yet.
fn is_retry(server: &[u8]) -> Option<bool> {
    let mut messages = Messages::new(behind(server, ALERT, 2)?);
    let mut joined = Vec::new();
    let Some((kind, len)) = messages.header() else {
        return messages.is_broken().then_some(false);
    };
    if kind != SERVER_HELLO || len < VERSION + RANDOM {
        return Some(false);
    }
    let begin = messages.take(VERSION + RANDOM, &mut joined);
    let random = begin.get(VERSION..).unwrap_or_default();
    let same = RETRY.iter().zip(random).all(|(wanted, seen)| wanted == seen);
    (!same || random.len() == RANDOM).then_some(same)
}

enum Hello<'a> {
    /// The body of the handshake message, and the octets of the records that hold it.
    Whole(&'a [u8], usize),
    /// As much of the body as is there.
    Begun(&'a [u8]),
    Other,
}

/// Takes the handshake message out of its records. The first record is borrowed, several are joined in `joined`.
///
/// ```text
///  record                                    record
/// +----+-------+---------+-----------------+----+-------+---------+----------
/// | 22 | 03 xx | length  | 01 | length (3) | body ...  | 22 | 03 xx | length | body ...
/// +----+-------+---------+-----------------+----+-------+---------+----------
/// ```
fn hello<'a>(bytes: &'a [u8], joined: &'a mut Vec<u8>) -> Hello<'a> {
    let mut records = Reader::new(bytes);
    let first = match record(&mut records) {
        Record::Handshake(fragment) => fragment,
        Record::Cut => &[],
        Record::Other => return Hello::Other,
    };
    let Some(mut want) = message_length(first) else { return Hello::Other };
    if first.len() >= want {
        let body = first.get(HANDSHAKE_HEADER..want).unwrap_or_default();
        return Hello::Whole(body, bytes.len() - records.rest().len());
    }
    joined.extend_from_slice(first);
    while joined.len() < want {
        match record(&mut records) {
            Record::Handshake(fragment) => joined.extend_from_slice(fragment),
            Record::Cut => break,
            Record::Other => return Hello::Other,
        }
        // The first record may have held less than the header of the message.
        match message_length(joined) {
            Some(known) => want = known,
            None => return Hello::Other,
        }
    }
    let body = joined.get(HANDSHAKE_HEADER..want.min(joined.len())).unwrap_or_default();
    if joined.len() >= want {
        Hello::Whole(body, bytes.len() - records.rest().len())
    } else {
        Hello::Begun(body)
    }
}

/// Octets of the handshake message that `begun` begins, header included; with too little to tell, one more than there is.
/// `None` where it is no ClientHello.
fn message_length(begun: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(begun);
    if reader.u8().is_some_and(|kind| kind != CLIENT_HELLO) {
        return None;
    }
    let Some(len) = reader.u24() else {
        // The highest octet of the length is enough to refuse noise.
        return reader
            .u8()
            .is_none_or(|high| u32::from(high) <= MAX_HELLO >> 16)
            .then_some(begun.len() + 1);
    };
    if !(MIN_HELLO..=MAX_HELLO).contains(&len) || reader.u8().is_some_and(|major| major != MAJOR) {
        return None;
    }
    usize::try_from(len).ok().map(|len| HANDSHAKE_HEADER + len)
}

fn frame(body: &[u8], carrier: Carrier) -> Option<ClientHello> {
    let (_, hello) = parse_tls_handshake_client_hello(body).ok()?;
    let (version, bytes) = (hello.version.0, hello.ext.unwrap_or_default());
    let ja4 = Ja4::of(carrier, version, hello.ciphers.iter().map(|suite| suite.0), bytes);
    Some(ClientHello { carrier, ja4: Some(ja4), ..extensions(version, bytes) })
}

/// Walks the extensions as far as they go (RFC 8446 section 4.2).
fn extensions(legacy_version: u16, bytes: &[u8]) -> ClientHello {
    let mut hello = ClientHello::default();
    let mut reader = Reader::new(bytes);
    while let Some((kind, data)) = reader.u16().zip(reader.vector16()) {
        match kind {
            SERVER_NAME if hello.sni.is_none() => hello.sni = server_name(data),
            ALPN if hello.alpn.is_empty() => hello.alpn = protocols(data),
            SUPPORTED_VERSIONS if hello.versions.is_empty() => {
                hello.versions = versions(data).collect()
            }
            ENCRYPTED_CLIENT_HELLO => hello.ech = Some(Box::new(ech(data))),
            ENCRYPTED_SERVER_NAME if hello.ech.is_none() => {
                hello.ech = Some(Box::new(EchOffer::Esni))
            }
            _ => {}
        }
    }
    if hello.versions.is_empty() {
        hello.versions.push(legacy_version);
    }
    hello
}

/// RFC 6066 section 3: a list of (type, name); host_name is type 0.
fn server_name(data: &[u8]) -> Option<Box<str>> {
    let mut names = Reader::new(Reader::new(data).vector16()?);
    loop {
        let (kind, name) = (names.u8()?, names.vector16()?);
        if kind == 0 {
            let host = (1..=MAX_NAME).contains(&name.len());
            return host.then(|| String::from_utf8_lossy(name).into());
        }
    }
}

/// RFC 7301 section 3.1.
fn protocols(data: &[u8]) -> Vec<Box<str>> {
    let mut names = Reader::new(Reader::new(data).vector16().unwrap_or_default());
    std::iter::from_fn(|| names.vector8())
        .filter(|name| !grease_text(name))
        .map(|name| String::from_utf8_lossy(name).into())
        .take(MAX_ALPN)
        .collect()
}

/// RFC 8446 section 4.2.1.
fn versions(data: &[u8]) -> impl Iterator<Item = u16> + '_ {
    let mut list = Reader::new(Reader::new(data).vector8().unwrap_or_default());
    std::iter::from_fn(move || list.u16()).filter(|&version| !grease(version))
}

/// RFC 9849 section 5.
///
/// ```text
/// +---+---------+----------+---------------+-----------------+-----+---------------------+---------
/// | 0 | KDF (2) | AEAD (2) | config id (1) | length of enc (2) | enc | length of payload (2) | payload
/// +---+---------+----------+---------------+-----------------+-----+---------------------+---------
/// ```
fn ech(data: &[u8]) -> EchOffer {
    match data {
        [ECH_INNER] => EchOffer::Inner,
        [ECH_OUTER, outer @ ..] => {
            ech_outer(data, Reader::new(outer)).map_or(EchOffer::Malformed, EchOffer::Outer)
        }
        _ => EchOffer::Malformed,
    }
}

fn ech_outer(data: &[u8], mut reader: Reader<'_>) -> Option<EchOuter> {
    let suite = (reader.u16()?, reader.u16()?);
    let config_id = reader.u8()?;
    let [enc, payload] = [reader.vector16()?, reader.vector16()?];
    let [enc, payload] = [enc, payload].map(|part| u16::try_from(part.len()).unwrap_or(u16::MAX));
    let digest =
        digest(&SHA256, data).as_ref().first_chunk().map(|first| u64::from_be_bytes(*first));
    reader.rest().is_empty().then_some(EchOuter {
        suite,
        config_id,
        enc,
        payload,
        digest: digest.unwrap_or_default(),
    })
}

/// RFC 8701: 0x0a0a, 0x1a1a ... 0xfafa.
fn grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

fn grease_text(name: &[u8]) -> bool {
    name.first_chunk().is_some_and(|pair| name.len() == 2 && grease(u16::from_be_bytes(*pair)))
}

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const HANDSHAKE_HEADER: usize = 4;
const VERSION: usize = 2;
const RANDOM: usize = 32;
const TLS_1_3: u16 = 0x0304;
/// The random of a ServerHello that is a HelloRetryRequest (RFC 8446 section 4.1.3).
const RETRY: [u8; RANDOM] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];
/// Version, random, empty session id, one cipher suite, one compression method.
const MIN_HELLO: u32 = 2 + 32 + 1 + 2 + 2 + 2;
/// Cipher suites and extensions have lengths of two octets each: more cannot be meant.
const MAX_HELLO: u32 = 0x1_ffff;
/// Browsers offer two or three.
const MAX_ALPN: usize = 16;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
const ECH_OUTER: u8 = 0;
const ECH_INNER: u8 = 1;
/// The draft before ECH, of which only the name is hidden.
const ENCRYPTED_SERVER_NAME: u16 = 0xffce;
