//! TLS that begins inside IMAP, POP3 (RFC 2595, RFC 9051), FTP (RFC 4217), NNTP (RFC 4642) or ManageSieve (RFC 5804).

use super::line::{Lines, TLS, is_text, may_begin, split_word, tls_at};
use super::{Answer, NOT_YET, Openings};

/// Reads the client's commands up to the one after which TLS begins. Whoever logs in before it will not ask for TLS.
pub(super) fn sniff(openings: &Openings<'_>) -> Answer {
    if openings.client.is_empty() {
        return server_alone(openings.server);
    }
    let mut lines = Lines::new(openings.client);
    for _ in 0..MAX_LINES {
        let Some(line) = lines.next() else {
            let rest = lines.rest();
            return if rest.is_empty() || may_be_command(rest) {
                Answer::NeedMore
            } else {
                Answer::NotMine
            };
        };
        if line.len() > MAX_LINE {
            return Answer::NotMine;
        }
        let (tag, tagged) = split_word(line);
        match command(line).or_else(|| command(tagged).filter(|_| is_tag(tag))) {
            None => return Answer::NotMine,
            Some(Command::Other) => {}
            Some(Command::StartTls) => match lines.rest() {
                [] => return Answer::NeedMore,
                [TLS, ..] => {
                    let server = tls_at(openings.server).unwrap_or(NOT_YET);
                    return Answer::Inside(None, lines.at(), server);
                }
                // Refused: the client goes on without, or asks in another way.
                _ => {}
            },
        }
    }
    Answer::NotMine
}

#[derive(Clone, Copy)]
enum Command {
    StartTls,
    Other,
}

fn command(line: &[u8]) -> Option<Command> {
    let is = |known: &&[u8]| line.eq_ignore_ascii_case(known);
    if START.iter().any(is) {
        return Some(Command::StartTls);
    }
    let (verb, argument) = split_word(line);
    let known = BARE.iter().any(is)
        || WITH_ARGUMENTS.iter().any(|known| verb.eq_ignore_ascii_case(known))
            && argument.iter().all(|&b| is_text(b));
    known.then_some(Command::Other)
}

/// Whether more octets can make a command of what is there, with or without an IMAP tag before it.
fn may_be_command(begun: &[u8]) -> bool {
    let verb = |begun: &[u8]| {
        let known = START.iter().chain(BARE).chain(WITH_ARGUMENTS);
        known.into_iter().any(|known| may_begin(begun, known))
    };
    let short = begun.len() <= MAX_LINE && begun.iter().all(|&b| is_text(b));
    let tag = begun.iter().position(|&b| b == b' ').unwrap_or(begun.len());
    let (tag, tagged) = begun.split_at_checked(tag).unwrap_or((begun, &[]));
    let tag = tag.strip_suffix(b"\r").unwrap_or(tag);
    short && (verb(begun) || is_tag(tag) && verb(tagged.trim_ascii_start()))
}

/// RFC 9051 section 9: `tag`.
fn is_tag(word: &[u8]) -> bool {
    (1..=MAX_TAG).contains(&word.len())
        && word.iter().all(|&b| b.is_ascii_graphic() && !b"(){%*\"\\+".contains(&b))
}

/// A tap that shows the server's direction alone.
fn server_alone(server: &[u8]) -> Answer {
    match tls_at(server) {
        Some(at) if GREETINGS.iter().any(|greeting| server.starts_with(greeting)) => {
            Answer::Inside(None, 0, at)
        }
        _ => Answer::NeedMore,
    }
}

const START: &[&[u8]] = &[b"STARTTLS", b"STLS", b"AUTH TLS", b"AUTH SSL", b"AUTH TLS-C"];

/// What clients ask before, and what stands alone in its line.
const BARE: &[&[u8]] = &[
    b"AUTH",
    b"AUTH GSSAPI",
    b"CAPA",
    b"CAPABILITIES",
    b"CAPABILITY",
    b"FEAT",
    b"NOOP",
    b"SYST",
    b"UTF8",
];

const WITH_ARGUMENTS: &[&[u8]] = &[b"CLNT", b"HELP", b"HOST", b"ID", b"LANG", b"MODE", b"OPTS"];

/// IMAP, POP3, FTP, NNTP.
const GREETINGS: &[&[u8]] = &[b"* OK", b"+OK", b"220", b"200 ", b"201 "];

/// Lines before the command: clients ask for capabilities and say who they are.
const MAX_LINES: usize = 16;

/// Octets of one of them; that of ID is the longest (RFC 2971 section 3.3).
const MAX_LINE: usize = 2_048;

/// Octets of an IMAP tag: clients number their commands, or count in hexadecimal.
const MAX_TAG: usize = 24;
