//! TLS that begins inside LDAP (RFC 4511 section 4.14).

use super::line::TLS;
use super::reader::Reader;
use super::{Answer, NOT_YET, Openings};

/// Reads the client's messages up to the extended request that asks for TLS.
pub(super) fn sniff(openings: &Openings<'_>) -> Answer {
    let mut client = Messages::new(openings.client);
    for _ in 0..MAX_MESSAGES {
        match client.next() {
            Step::Short => return Answer::NeedMore,
            Step::Message(message) if message.is_start_tls() => {
                return match client.rest() {
                    [] => Answer::NeedMore,
                    [TLS, ..] => {
                        let server = answer_to(message.id, openings.server).unwrap_or(NOT_YET);
                        Answer::Inside(None, client.at, server)
                    }
                    _ => Answer::NotMine,
                };
            }
            Step::Message(message) if BEFORE.contains(&message.operation) => {}
            Step::Message(_) | Step::Other => return Answer::NotMine,
        }
    }
    Answer::NotMine
}

/// Where the server's answer to a message ends.
fn answer_to(id: &[u8], server: &[u8]) -> Option<usize> {
    let mut messages = Messages::new(server);
    loop {
        match messages.next() {
            Step::Message(message) if message.id == id => return Some(messages.at),
            Step::Message(_) => {}
            Step::Short | Step::Other => return None,
        }
    }
}

/// LDAPMessage of RFC 4511 section 4.1.1.
///
/// ```text
/// 30 len  02 len messageID  77 len  80 len "1.3.6.1.4.1.1466.20037"
/// ```
struct Message<'a> {
    id: &'a [u8],
    operation: u8,
    body: &'a [u8],
}

impl Message<'_> {
    fn is_start_tls(&self) -> bool {
        let mut body = Reader::new(self.body);
        self.operation == EXTENDED_REQUEST
            && body.u8() == Some(REQUEST_NAME)
            && length(&mut body).and_then(|len| body.take(len)) == Some(START_TLS)
    }
}

enum Step<'a> {
    Message(Message<'a>),
    Short,
    Other,
}

struct Messages<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Messages<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Step<'a> {
        let rest = self.rest();
        // What there is of a header must fit: other protocols are refused at their first octets.
        match rest {
            [] | [SEQUENCE] | [SEQUENCE, 0x81] | [SEQUENCE, 0x82] | [SEQUENCE, 0x82, _] => {
                return Step::Short;
            }
            [SEQUENCE, 0x84, more @ ..] if more.len() < 4 => return Step::Short,
            _ => {}
        }
        let mut reader = Reader::new(rest);
        let (Some(SEQUENCE), Some(len)) = (reader.u8(), length(&mut reader)) else {
            return Step::Other;
        };
        if len > MAX_MESSAGE {
            return Step::Other;
        }
        match reader.rest() {
            [] | [INTEGER] | [INTEGER, 1..=4] | [INTEGER, 1..=4, _] => return Step::Short,
            [INTEGER, 1..=4, ..] => {}
            _ => return Step::Other,
        }
        let Some(content) = reader.take(len) else { return Step::Short };
        self.at = self.bytes.len() - reader.rest().len();
        message(content).map_or(Step::Other, Step::Message)
    }
}

fn message(content: &[u8]) -> Option<Message<'_>> {
    let mut reader = Reader::new(content);
    let (Some(INTEGER), Some(id)) = (reader.u8(), reader.vector8()) else { return None };
    let operation = reader.u8()?;
    let len = length(&mut reader)?;
    Some(Message { id, operation, body: reader.take(len)? })
}

/// A definite length of BER (X.690 section 8.1.3) in at most four octets.
fn length(reader: &mut Reader<'_>) -> Option<usize> {
    match reader.u8()? {
        short @ 0..=0x7f => Some(short.into()),
        0x81 => reader.u8().map(usize::from),
        0x82 => reader.u16().map(usize::from),
        // Active Directory and its clients write every length like this.
        0x84 => {
            let (high, low) = (reader.u16()?, reader.u16()?);
            (high == 0).then_some(low.into())
        }
        _ => None,
    }
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const EXTENDED_REQUEST: u8 = 0x77;
const REQUEST_NAME: u8 = 0x80;
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// What clients send before: a search of the root, an abandon.
const BEFORE: &[u8] = &[0x63, 0x50];

/// Messages before the request for TLS.
const MAX_MESSAGES: usize = 8;

/// Octets of one of them.
const MAX_MESSAGE: usize = 4_096;
