//! TLS ClientHello: over any number of segments and records, whole or cut short.

use tls_parser::parse_tls_handshake_client_hello;

use super::reader::Reader;
use super::{Answer, Carrier, ClientHello, Ech, Evidence, MAX_NAME, Openings};

/// Reads the ClientHello at the beginning of the client's opening (RFC 8446 sections 4.1.2 and 5.1).
pub(super) fn sniff(openings: &Openings<'_>) -> Answer {
    let mut joined = Vec::new();
    match hello(openings.client, &mut joined) {
        Hello::Whole(body) => match frame(body) {
            Some(hello) => Answer::Found(Evidence::Tls(hello)),
            None => Answer::NotMine,
        },
        Hello::Begun(_) => Answer::NeedMore,
        Hello::Other => Answer::NotMine,
    }
}

/// What a hello that will not be completed says for certain: its server name, if that was reached.
pub(super) fn cut_short(openings: &Openings<'_>) -> Option<Evidence> {
    let mut joined = Vec::new();
    let body = match hello(openings.client, &mut joined) {
        Hello::Begun(body) => body,
        Hello::Whole(_) | Hello::Other => return None,
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
    match begun.get(HANDSHAKE_HEADER..want).and_then(frame) {
        Some(hello) => Message::Whole(ClientHello { carrier, ..hello }),
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
    frame(body).map(|hello| ClientHello { carrier, ..hello })
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

enum Hello<'a> {
    /// The body of the handshake message.
    Whole(&'a [u8]),
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
        return Hello::Whole(first.get(HANDSHAKE_HEADER..want).unwrap_or_default());
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
    if joined.len() >= want { Hello::Whole(body) } else { Hello::Begun(body) }
}

enum Record<'a> {
    /// A fragment of handshake; the last one of the opening may be cut.
    Handshake(&'a [u8]),
    /// Nothing of the fragment is there yet.
    Cut,
    Other,
}

fn record<'a>(reader: &mut Reader<'a>) -> Record<'a> {
    // What is there of the header must fit: noise is refused at its first octet.
    match reader.rest() {
        [] | [HANDSHAKE] | [HANDSHAKE, MAJOR] | [HANDSHAKE, MAJOR, 0..=MAX_MINOR] => Record::Cut,
        [HANDSHAKE, MAJOR, 0..=MAX_MINOR, high] if usize::from(*high) <= MAX_FRAGMENT >> 8 => {
            Record::Cut
        }
        [HANDSHAKE, MAJOR, 0..=MAX_MINOR, high, low, rest @ ..] => {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            // RFC 8446 section 5.1: no fragment of handshake is empty.
            if len == 0 || len > MAX_FRAGMENT {
                return Record::Other;
            }
            let (fragment, rest) = rest.split_at_checked(len).unwrap_or((rest, &[]));
            *reader = Reader::new(rest);
            if fragment.is_empty() { Record::Cut } else { Record::Handshake(fragment) }
        }
        _ => Record::Other,
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

fn frame(body: &[u8]) -> Option<ClientHello> {
    let (_, hello) = parse_tls_handshake_client_hello(body).ok()?;
    Some(extensions(hello.version.0, hello.ext.unwrap_or_default()))
}

/// Walks the extensions as far as they go (RFC 8446 section 4.2).
fn extensions(legacy_version: u16, bytes: &[u8]) -> ClientHello {
    let mut hello = ClientHello::default();
    let mut reader = Reader::new(bytes);
    while let Some((kind, data)) = reader.u16().zip(reader.vector16()) {
        match kind {
            SERVER_NAME if hello.sni.is_none() => hello.sni = server_name(data),
            ALPN if hello.alpn.is_empty() => hello.alpn = protocols(data),
            SUPPORTED_VERSIONS if hello.versions.is_empty() => hello.versions = versions(data),
            ENCRYPTED_CLIENT_HELLO | ENCRYPTED_SERVER_NAME => hello.ech = Ech::Unknown,
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
fn versions(data: &[u8]) -> Vec<u16> {
    let mut list = Reader::new(Reader::new(data).vector8().unwrap_or_default());
    std::iter::from_fn(|| list.u16()).filter(|&version| !grease(version)).collect()
}

/// RFC 8701: 0x0a0a, 0x1a1a ... 0xfafa.
fn grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

fn grease_text(name: &[u8]) -> bool {
    name.first_chunk().is_some_and(|pair| name.len() == 2 && grease(u16::from_be_bytes(*pair)))
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const MAJOR: u8 = 3;
/// TLS 1.3 writes 3,1 or 3,3 into records; 3,4 is seen from careless clients.
const MAX_MINOR: u8 = 4;
/// RFC 8446 section 5.1.
const MAX_FRAGMENT: usize = 1 << 14;
const HANDSHAKE_HEADER: usize = 4;
const RANDOM: usize = 32;
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
/// The draft before ECH, of which only the name is hidden.
const ENCRYPTED_SERVER_NAME: u16 = 0xffce;
