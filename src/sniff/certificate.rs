//! The certificate of a TLS server, in the clear up to TLS 1.2: over any number of segments and records, whole or cut short.

use super::reader::Reader;
use super::tls::record::{ALERT, MAJOR, Messages, behind};
use super::{Answer, Evidence, Openings, x509};

/// Reads the server's first flight (RFC 5246 section 7.3): ServerHello, Certificate. `NotMine` as soon as it is known that no
/// certificate will be seen: TLS 1.3, a resumed session, a suite without certificates.
pub(super) fn sniff(openings: &Openings<'_>) -> Answer {
    // A warning, as that the name is unknown, may stand in front (RFC 6066 section 3).
    let Some(bytes) = behind(openings.server, ALERT, ALERT_LENGTH) else {
        return Answer::NeedMore;
    };
    let mut messages = Messages::new(bytes);
    let mut joined = Vec::new();
    match hello(&mut messages, &mut joined) {
        Some(true) => {}
        Some(false) => return Answer::NotMine,
        None => return more(&messages),
    }
    match first_certificate(&mut messages) {
        Some(0) => Answer::NotMine,
        None => more(&messages),
        Some(len) => {
            let whole = { messages }.skip(len);
            if !whole && !openings.ended && !messages.is_broken() {
                return Answer::NeedMore;
            }
            let certificate = x509::read(messages.take(len, &mut joined));
            if certificate.is_empty() {
                return Answer::NotMine;
            }
            Answer::Found(Evidence::Certificate(certificate))
        }
    }
}

/// Whether the ServerHello leaves the certificate in the clear; `None` where it is not whole.
fn hello(messages: &mut Messages<'_>, joined: &mut Vec<u8>) -> Option<bool> {
    let mut ahead = *messages;
    let header = ahead.header();
    if header.is_none() {
        // What is there of the header must fit.
        let kind = { *messages }.take(2, joined).to_vec();
        *messages = ahead;
        return match kind.as_slice() {
            [] | [SERVER_HELLO] | [SERVER_HELLO, 0] => None,
            _ => Some(false),
        };
    }
    let (kind, len) = header?;
    if kind != SERVER_HELLO || !(MIN_HELLO..=MAX_HELLO).contains(&len) {
        return Some(false);
    }
    let body = ahead.take(len, joined);
    let clear = clear_version(body);
    *messages = ahead;
    if body.len() < len && clear != Some(false) { None } else { Some(clear == Some(true)) }
}

/// Whether a version with certificates in the clear was chosen (RFC 8446 section 4.1.3); `None` where the hello is cut.
fn clear_version(hello: &[u8]) -> Option<bool> {
    let mut reader = Reader::new(hello);
    let version = reader.u16()?;
    if !(SSL_3..=TLS_1_2).contains(&version) {
        return Some(false);
    }
    reader.take(RANDOM)?;
    reader.vector8()?; // session id
    reader.take(SUITE_AND_COMPRESSION)?;
    if reader.rest().is_empty() {
        return Some(true);
    }
    reader.u16()?;
    while let Some((kind, _)) = reader.u16().zip(reader.vector16()) {
        // Only TLS 1.3 answers this extension.
        if kind == SUPPORTED_VERSIONS {
            return Some(false);
        }
    }
    Some(true)
}

/// Goes to the first certificate of the list; its length, 0 where there is none.
///
/// ```text
/// +----+------------+-----------------+------------+-------------+----
/// | 11 | length (3) | list length (3) | length (3) | certificate | length (3) ...
/// +----+------------+-----------------+------------+-------------+----
/// ```
fn first_certificate(messages: &mut Messages<'_>) -> Option<usize> {
    loop {
        let (kind, len) = messages.header()?;
        match kind {
            CERTIFICATE if len > LIST_HEADER => {
                let (list, first) = (messages.u24()?, messages.u24()?);
                let fits = list + LENGTH == len && first + LENGTH <= list;
                return Some(if fits { first } else { 0 });
            }
            // RFC 4680: may stand in front of the certificate.
            SUPPLEMENTAL_DATA => {
                if !messages.skip(len) {
                    return None;
                }
            }
            _ => return Some(0),
        }
    }
}

fn more(messages: &Messages<'_>) -> Answer {
    if messages.is_broken() { Answer::NotMine } else { Answer::NeedMore }
}

const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const SUPPLEMENTAL_DATA: u8 = 23;
const ALERT_LENGTH: u8 = 2;
const RANDOM: usize = 32;
const SUITE_AND_COMPRESSION: usize = 3;
/// Version, random, empty session id, suite, compression method.
const MIN_HELLO: usize = 2 + RANDOM + 1 + SUITE_AND_COMPRESSION;
/// The extensions have a length of two octets; more cannot be meant.
const MAX_HELLO: usize = 0xffff;
const LENGTH: usize = 3;
const LIST_HEADER: usize = 2 * LENGTH;
const SUPPORTED_VERSIONS: u16 = 43;
const SSL_3: u16 = u16::from_be_bytes([MAJOR, 0]);
const TLS_1_2: u16 = u16::from_be_bytes([MAJOR, 3]);

#[cfg(test)]
pub(super) mod tests;
