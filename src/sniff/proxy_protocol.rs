//! The header that a proxy puts in front of a stream, in text (version 1) or binary (version 2), as HAProxy specifies it.

use super::line::{may_begin, split_word};
use super::reader::Reader;
use super::{Answer, Evidence, MAX_NAME, Openings, Tunnel, TunnelKind};

/// Reads the header at the beginning of the client's opening. The addresses in it are those of another leg and stay here;
/// the name that the proxy's own client asked for is evidence.
pub(super) fn sniff(openings: &Openings<'_>) -> Answer {
    match openings.client {
        [b'P', ..] => text(openings.client),
        [b'\r', ..] => binary(openings.client),
        [] => Answer::NeedMore,
        _ => Answer::NotMine,
    }
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 40000 443` CR LF, 107 octets at most.
fn text(client: &[u8]) -> Answer {
    if !may_begin(client, b"PROXY ") || !client.starts_with(client.get(..6).unwrap_or(b"P")) {
        return Answer::NotMine;
    }
    let head = client.get(..client.len().min(MAX_TEXT)).unwrap_or_default();
    let Some(end) = memchr::memchr(b'\n', head) else {
        let graphic = head.iter().all(|b| b.is_ascii_graphic() || matches!(b, b' ' | b'\r'));
        return if head.len() < MAX_TEXT && graphic { Answer::NeedMore } else { Answer::NotMine };
    };
    let line = head.get(6..end).unwrap_or_default().trim_ascii_end();
    let (family, ends) = split_word(line);
    let known = match family {
        b"TCP4" | b"TCP6" => ends.split(|&b| b == b' ').count() == 4,
        b"UNKNOWN" => true,
        _ => false,
    };
    if known { Answer::Inside(None, end + 1, 0) } else { Answer::NotMine }
}

/// ```text
/// 0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a | 2x | family, transport | length (2) | addresses | TLVs: kind, length (2), value
/// ```
fn binary(client: &[u8]) -> Answer {
    let common = client.len().min(SIGNATURE.len());
    if client.get(..common) != SIGNATURE.get(..common) {
        return Answer::NotMine;
    }
    let mut reader = Reader::new(client.get(SIGNATURE.len()..).unwrap_or_default());
    let (Some(version), Some(family)) = (reader.u8(), reader.u8()) else { return Answer::NeedMore };
    if !matches!(version, 0x20 | 0x21) || family >> 4 > 3 || family & 0xf > 2 {
        return Answer::NotMine;
    }
    let Some(len) = reader.u16() else { return Answer::NeedMore };
    if usize::from(len) > MAX_BINARY {
        return Answer::NotMine;
    }
    let Some(body) = reader.take(len.into()) else { return Answer::NeedMore };
    let header = client.len() - reader.rest().len();
    let addresses = match family >> 4 {
        1 => 2 * (4 + 2),
        2 => 2 * (16 + 2),
        3 => 2 * 108,
        _ => 0,
    };
    let extensions = body.get(addresses..).unwrap_or_default();
    Answer::Inside(authority(extensions).map(Evidence::Tunnel), header, 0)
}

fn authority(extensions: &[u8]) -> Option<Tunnel> {
    let mut reader = Reader::new(extensions);
    while let Some((kind, value)) = reader.u8().zip(reader.vector16()) {
        if kind == AUTHORITY && (1..=MAX_NAME).contains(&value.len()) {
            let host = String::from_utf8_lossy(value).into();
            return Some(Tunnel { kind: TunnelKind::ProxyProtocol, host, port: None });
        }
    }
    None
}

/// Section 2.1: the longest line of version 1, its CR LF counted.
const MAX_TEXT: usize = 107;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Octets of a binary header that is still taken for one; the specification wants at least 536 understood, and certificates
/// of clients make it longer.
const MAX_BINARY: usize = 8_192;

/// PP2_TYPE_AUTHORITY of section 2.2.
const AUTHORITY: u8 = 0x02;
