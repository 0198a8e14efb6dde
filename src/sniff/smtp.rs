//! SMTP, submission and LMTP before they are encrypted: the names of both ends and the domains of the envelope (RFC 5321).

use super::line::{Lines, TLS, host_name, is_text, may_begin, split_word, tls_at};
use super::{Answer, Evidence, NOT_YET, Openings, Smtp};

/// Reads the client's commands. What it says up to the first body is one answer, each later envelope another; where TLS
/// begins, all is asked again.
pub(super) fn sniff(openings: &Openings<'_>) -> Answer {
    let client = openings.client;
    if client.is_empty() {
        return server_alone(openings.server);
    }
    if !openings.emitted && !FIRST.iter().any(|verb| may_begin(client, verb)) {
        return Answer::NotMine;
    }
    let mut said = Said::new(openings);
    match said.read() {
        Stop::NotMine => Answer::NotMine,
        Stop::Tls(at) => {
            let server = tls_at(openings.server).unwrap_or(NOT_YET);
            Answer::Inside(said.evidence(), at, server)
        }
        Stop::Body(at) => match said.evidence() {
            Some(evidence) => Answer::Emit(evidence, at, 0),
            None => Answer::NeedMore,
        },
        Stop::Binary if said.is_certain() => said.evidence().map_or(Answer::NotMine, Answer::Found),
        Stop::Binary => Answer::NotMine,
        Stop::Short => Answer::NeedMore,
    }
}

/// What an envelope that will not be completed says.
pub(super) fn cut_short(openings: &Openings<'_>) -> Option<Evidence> {
    let client = openings.client;
    if client.is_empty() {
        let greeting = greeting(openings.server).filter(|_| is_smtp(openings.server));
        return greeting
            .map(|host| Evidence::Smtp(Smtp { greeting: Some(host), ..Smtp::default() }));
    }
    if !openings.emitted && !FIRST.iter().any(|verb| may_begin(client, verb)) {
        return None;
    }
    let mut said = Said::new(openings);
    match said.read() {
        Stop::NotMine => None,
        Stop::Binary if !said.is_certain() => None,
        _ => said.evidence(),
    }
}

/// What was read so far.
struct Said<'a> {
    lines: Lines<'a>,
    smtp: Smtp,
    /// A command that only SMTP has was read.
    known: bool,
}

/// Why reading stopped.
enum Stop {
    NotMine,
    Short,
    /// A body follows at this offset, whose announcement is left for the next look.
    Body(usize),
    /// TLS begins at this offset.
    Tls(usize),
    /// No text any more.
    Binary,
}

impl<'a> Said<'a> {
    fn new(openings: &Openings<'a>) -> Self {
        let greeting = if openings.emitted { None } else { greeting(openings.server) };
        Self {
            lines: Lines::new(openings.client),
            smtp: Smtp { greeting, ..Smtp::default() },
            known: openings.emitted,
        }
    }

    fn read(&mut self) -> Stop {
        loop {
            let begin = self.lines.at();
            let Some(line) = self.lines.next() else { return self.at_the_end() };
            if line.len() > MAX_LINE || !line.iter().all(|&b| is_text(b)) {
                return self.refuse();
            }
            let (verb, argument) = split_word(line);
            match verb.to_ascii_uppercase().as_slice() {
                b"EHLO" | b"HELO" | b"LHLO" if !argument.is_empty() => {
                    self.smtp.hello = host_name(split_word(argument).0);
                }
                b"MAIL" if after(argument, b"FROM:").is_some() => {
                    self.smtp.sender = after(argument, b"FROM:").and_then(domain);
                }
                b"RCPT" if after(argument, b"TO:").is_some() => {
                    if let Some(to) = after(argument, b"TO:").and_then(domain)
                        && self.smtp.recipients.len() < MAX_RECIPIENTS
                        && !self.smtp.recipients.contains(&to)
                    {
                        self.smtp.recipients.push(to);
                    }
                }
                b"STARTTLS" | b"X-ANONYMOUSTLS" if self.known => {
                    // Whether the server agreed shows in what the client says next.
                    match self.lines.rest() {
                        [] => return Stop::Short,
                        [TLS, ..] => return Stop::Tls(self.lines.at()),
                        _ => {}
                    }
                }
                b"DATA" if self.known => match self.skip_body(begin) {
                    None => {}
                    Some(stop) => return stop,
                },
                b"BDAT" if self.known => match self.skip_chunk(begin, argument) {
                    None => {}
                    Some(stop) => return stop,
                },
                _ if self.known => {}
                _ => return Stop::NotMine,
            }
            self.known = true;
        }
    }

    fn at_the_end(&self) -> Stop {
        let rest = self.lines.rest();
        if rest.len() > MAX_LINE || !rest.iter().all(|&b| is_text(b)) {
            return self.refuse();
        }
        Stop::Short
    }

    const fn refuse(&self) -> Stop {
        if self.known { Stop::Binary } else { Stop::NotMine }
    }

    /// RFC 5321 section 4.1.1.4: a body ends with a line that holds a dot alone. Nothing of it is taken.
    fn skip_body(&mut self, begin: usize) -> Option<Stop> {
        if self.has_news() {
            return Some(Stop::Body(begin));
        }
        match self.lines.find(|line| line == b".") {
            Some(_) => None,
            None => Some(Stop::Short),
        }
    }

    /// RFC 3030 section 2: so many octets, whatever they are.
    fn skip_chunk(&mut self, begin: usize, argument: &[u8]) -> Option<Stop> {
        if self.has_news() {
            return Some(Stop::Body(begin));
        }
        let size = std::str::from_utf8(split_word(argument).0).ok().and_then(|n| n.parse().ok());
        match size {
            Some(size) if self.lines.pass(size) => None,
            Some(_) => Some(Stop::Short),
            None => Some(Stop::Binary),
        }
    }

    fn has_news(&self) -> bool {
        let Smtp { greeting: _, hello, sender, recipients } = &self.smtp;
        hello.is_some() || sender.is_some() || !recipients.is_empty()
    }

    /// More was read than one word that other protocols could have by chance.
    fn is_certain(&self) -> bool {
        let Smtp { greeting, hello: _, sender, recipients } = &self.smtp;
        greeting.is_some() || sender.is_some() || !recipients.is_empty()
    }

    fn evidence(self) -> Option<Evidence> {
        (self.has_news() || self.smtp.greeting.is_some()).then_some(Evidence::Smtp(self.smtp))
    }
}

/// A tap that shows the server's direction alone: the greeting, and where its TLS begins.
fn server_alone(server: &[u8]) -> Answer {
    match tls_at(server) {
        Some(at) if is_smtp(server) => {
            let smtp = Smtp { greeting: greeting(server), ..Smtp::default() };
            Answer::Inside(smtp.greeting.is_some().then_some(Evidence::Smtp(smtp)), 0, at)
        }
        _ => Answer::NeedMore,
    }
}

/// RFC 5321 section 4.2: `220 mail.acme.com ESMTP ready`, or several lines with a hyphen behind the code.
fn greeting(server: &[u8]) -> Option<Box<str>> {
    let line = Lines::new(server).next()?;
    let text = line.strip_prefix(b"220")?;
    let ([b' ' | b'-', text @ ..] | text) = text;
    host_name(split_word(text).0).filter(|host| host.contains('.'))
}

/// Other protocols greet with 220 as well.
fn is_smtp(server: &[u8]) -> bool {
    let line = Lines::new(server).next().unwrap_or_default();
    line.starts_with(b"220") && line.windows(4).any(|w| w.eq_ignore_ascii_case(b"SMTP"))
}

/// What stands behind the keyword of an argument. Spaces before a path are wrong and common.
fn after<'a>(argument: &'a [u8], keyword: &[u8]) -> Option<&'a [u8]> {
    let (begin, path) = argument.split_at_checked(keyword.len())?;
    begin.eq_ignore_ascii_case(keyword).then(|| path.trim_ascii_start())
}

/// The domain of a path, and only where the path is one: what is not understood may hold a local part.
///
/// ```text
///   <@one.example,@two.example:"a@b > c"@acme.com> SIZE=1000
///    '------- route --------' '-- local -' domain
/// ```
fn domain(path: &[u8]) -> Option<Box<str>> {
    let (path, close) = match path.strip_prefix(b"<") {
        Some(path) => (path, Some(b'>')),
        None => (path, None),
    };
    let path = match path {
        [b'@', ..] => {
            let route = path.iter().position(|b| matches!(b, b':' | b'>' | b'"' | b' '))?;
            path.get(route..)?.strip_prefix(b":")?
        }
        _ => path,
    };
    let local = match path {
        [b'"', quoted @ ..] => 2 + closing_quote(quoted)?,
        _ => path.iter().position(|b| b"@<>()[],;:\\\" ".contains(b))?,
    };
    let domain = path.get(local..)?.strip_prefix(b"@").filter(|_| local > 0)?;
    let end = domain.iter().position(|b| matches!(b, b'>' | b' ')).unwrap_or(domain.len());
    let (domain, rest) = domain.split_at_checked(end)?;
    let closed =
        matches!((close, rest), (Some(_), [b'>'] | [b'>', b' ', ..]) | (None, [] | [b' ', ..]));
    host_name(domain).filter(|_| closed)
}

fn closing_quote(quoted: &[u8]) -> Option<usize> {
    let mut escaped = false;
    quoted.iter().position(|&b| {
        let closes = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        closes
    })
}

/// What can be the first that is seen of a client.
const FIRST: &[&[u8]] = &[b"EHLO ", b"HELO ", b"LHLO ", b"MAIL FROM:", b"RCPT TO:"];

/// RFC 4954 section 4 gives lines of AUTH 12,288 octets; all others are shorter.
const MAX_LINE: usize = 12_288;

/// Domains of one envelope: those of a mailing list are as many as its readers, and the first few name the vendor as well.
const MAX_RECIPIENTS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sniff::{Patterns, Progress, Wants};

    /// Every answer, with the sides growing in steps, and what is left at the end.
    fn read(client: &[u8], server: &[u8], step: usize) -> (Vec<Smtp>, Wants) {
        let (mut progress, mut seen) = (Progress::default(), Vec::new());
        let mut out = |evidence| match evidence {
            Evidence::Smtp(smtp) => seen.push(smtp),
            other => panic!("{other:?}"),
        };
        let mut wants = Wants::More;
        for end in (0..client.len()).step_by(step).skip(1).chain([client.len()]) {
            let openings = Openings::new(client.get(..end).unwrap(), server, Patterns::NONE);
            wants = progress.stream(&openings, &mut out);
        }
        if wants == Wants::More {
            progress.end(&Openings::new(client, server, Patterns::NONE), &mut out);
        }
        (seen, wants)
    }

    fn names(names: &[&str]) -> Vec<Box<str>> {
        names.iter().map(|name| Box::from(*name)).collect()
    }

    #[test]
    fn each_envelope_is_an_answer_and_bodies_are_passed_over() {
        let client = "EHLO desk.acme.com\r\nMAIL FROM:<me@acme.com> SIZE=9\r\nRCPT TO:<a@zendesk.com>\r\n\
            rcpt to: <b@zendesk.com>\r\nRCPT TO:<c@help.example>\r\nDATA\r\nRCPT TO:<x@body.example>\r\n..\r\n.\r\n\
            MAIL FROM:<>\r\nRCPT TO:<d@two.example>\r\nBDAT 26 LAST\r\nRCPT TO:<y@body.example>QUIT\r\n";
        let client = client.replace("..\r\n.", "..\r\n \r\n.");
        let server = b"220-mx.zendesk.com ESMTP\r\n220 hi\r\n250 ok\r\n";
        for step in [1, 2, 7, 50, 1_000] {
            let (seen, wants) = read(client.as_bytes(), server, step);
            assert_eq!(
                seen,
                [
                    Smtp {
                        greeting: Some("mx.zendesk.com".into()),
                        hello: Some("desk.acme.com".into()),
                        sender: Some("acme.com".into()),
                        recipients: names(&["zendesk.com", "help.example"]),
                    },
                    Smtp { recipients: names(&["two.example"]), ..Smtp::default() },
                ],
                "{step}"
            );
            assert_eq!(wants, Wants::More);
        }
    }

    #[test]
    fn a_local_part_never_leaves() {
        for (path, expected) in [
            ("<me@acme.com>", Some("acme.com")),
            ("<me@acme.com> ORCPT=rfc822;you@other.example", Some("acme.com")),
            ("me@acme.com", Some("acme.com")),
            ("<\"a@b > c\"@acme.com>", Some("acme.com")),
            ("<\"a\\\"@secret.example\"@acme.com>", Some("acme.com")),
            ("<@one.example,@two.example:me@acme.com>", Some("acme.com")),
            ("<@one.example:\"a:b@c\"@acme.com>", Some("acme.com")),
            ("<j\u{f6}rg@b\u{fc}cher.example>", Some("b\u{fc}cher.example")),
            ("<me+tag=x/y@acme.com>", Some("acme.com")),
            ("<>", None),
            ("<Postmaster>", None),
            ("<secret>@acme.com", None),
            ("<a@secret.example>@acme.com", None),
            ("<a@secret@acme.com>", None),
            ("a@secret@acme.com", None),
            ("<@acme.com>", None),
            ("<\"secret@acme.com>", None),
            ("<\"secret\"x@acme.com>", None),
            ("<a b@acme.com>", None),
            ("<me@[192.0.2.1]>", None),
            ("<me@acme.com", None),
            ("<a,b@acme.com>", None),
        ] {
            assert_eq!(domain(path.as_bytes()).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn what_is_no_mail_is_left_alone() {
        let (seen, _) = read(b"EHLO a\r\nAUTH LOGIN\r\nbWU=\r\nc2VjcmV0\r\nQUIT\r\n", b"", 3);
        assert_eq!(seen, [Smtp { hello: Some("a".into()), ..Smtp::default() }]);
        for client in ["EHLO\r\n", "MAIL for you\r\n", "HALP\r\n", "EHLO a\u{1}\r\n"] {
            assert_eq!(
                read(client.as_bytes(), b"hi\r\n", 1),
                (Vec::new(), Wants::Nothing),
                "{client:?}"
            );
        }
        let lists = "RCPT TO:<a@b.example>\r\n".repeat(3)
            + &(0..200).map(|n| format!("RCPT TO:<a@n{n}.example>\r\n")).collect::<String>();
        let (seen, _) = read(lists.as_bytes(), b"", 1_000);
        assert_eq!(seen.first().map(|smtp| smtp.recipients.len()), Some(MAX_RECIPIENTS));
    }
}
