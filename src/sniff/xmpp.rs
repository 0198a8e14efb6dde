//! TLS that begins inside XMPP (RFC 6120 section 5.4).

use super::line::{is_text, may_begin, tls_at};
use super::{Answer, NOT_YET, Openings};

/// Looks for the client's `<starttls/>` behind the head of its stream.
pub(super) fn sniff(openings: &Openings<'_>) -> Answer {
    let client = openings.client;
    if client.is_empty() {
        let server = openings.server;
        return match tls_at(server) {
            Some(at) if is_stream(server) && said(b"<proceed", server.get(..at)) => {
                Answer::Inside(None, 0, at)
            }
            _ => Answer::NeedMore,
        };
    }
    if !HEADS.iter().any(|head| may_begin(client, head)) {
        return Answer::NotMine;
    }
    match tls_at(client) {
        Some(at) if is_stream(client) && said(b"<starttls", client.get(..at)) => {
            Answer::Inside(None, at, tls_at(openings.server).unwrap_or(NOT_YET))
        }
        Some(_) => Answer::NotMine,
        None if client.len() > HEAD && !is_stream(client) => Answer::NotMine,
        None if !client.iter().all(|&b| is_text(b)) => Answer::NotMine,
        None => Answer::NeedMore,
    }
}

/// Other protocols begin with `<?xml` as well; a stream of XMPP names its own namespace in its first tag.
fn is_stream(text: &[u8]) -> bool {
    let head = text.get(..text.len().min(HEAD)).unwrap_or_default();
    HEADS.iter().any(|begin| head.starts_with(begin)) && holds(head, b"etherx.jabber.org/streams")
}

fn said(tag: &[u8], text: Option<&[u8]>) -> bool {
    let text = text.unwrap_or_default();
    let tag = memchr::memmem::rfind(text, tag).and_then(|at| text.get(at..));
    tag.is_some_and(|tag| tag.contains(&b'>'))
}

fn holds(text: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(text, word).is_some()
}

const HEADS: &[&[u8]] = &[b"<?xml ", b"<stream:stream "];

/// Octets in which the head of a stream names its namespace.
const HEAD: usize = 512;
