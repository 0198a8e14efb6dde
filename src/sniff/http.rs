//! HTTP/1 request heads: the Host, or the authority that the target names. HTTP/2 without TLS has its own file.

use super::http2::{self, Head};
use super::line::Lines;
use super::{Answer, Evidence, HttpRequest, MAX_NAME, NOT_YET, Openings};

/// Octets of a request head that are looked at; servers refuse heads of more than 8 to 16 KiB.
const MAX_HEAD: usize = 16 * 1024;

const CONNECT: &[u8] = b"CONNECT ";

/// Reads the request at the beginning of the client's opening (RFC 9112 section 3) up to its Host line.
pub(super) fn sniff(openings: &Openings<'_>) -> Answer {
    let bytes = skip_empty_lines(openings.client);
    match method(bytes) {
        Method::Known => {}
        Method::Begun => return Answer::NeedMore,
        Method::Other => return http2(openings.client),
    }
    let mut lines = Lines::new(bytes);
    let Some(first) = lines.next() else {
        return if bytes.len() < MAX_HEAD && !bytes.iter().any(|&b| control(b)) {
            Answer::NeedMore
        } else {
            Answer::NotMine
        };
    };
    let Some(target) = target(first) else { return Answer::NotMine };
    if first.starts_with(CONNECT) {
        return connect(openings, openings.client.len() - bytes.len(), target, lines);
    }
    if let Some(authority) = authority(target) {
        return found(authority);
    }
    for line in lines.by_ref() {
        if line.is_empty() {
            return Answer::Found(Evidence::Http(HttpRequest::default()));
        }
        if let Some(value) = host_line(line) {
            return found(value);
        }
    }
    if bytes.len() < MAX_HEAD {
        Answer::NeedMore
    } else {
        Answer::Found(Evidence::Http(HttpRequest::default()))
    }
}

/// A CONNECT that was never answered; an authority of HTTP/2 behind which more should come.
pub(super) fn cut_short(openings: &Openings<'_>) -> Option<Evidence> {
    if let Some(authority) = http2::cut_short(openings.client) {
        return Some(request(without_user(&authority)));
    }
    let mut lines = Lines::new(skip_empty_lines(openings.client));
    let target = lines.next().filter(|line| line.starts_with(CONNECT)).and_then(target)?;
    Some(request(target))
}

/// The same of a client that begins with HTTP/2.
fn http2(client: &[u8]) -> Answer {
    match http2::head(client) {
        Head::Other => Answer::NotMine,
        Head::Short => Answer::NeedMore,
        Head::Whole(Some(authority)) => Answer::Found(request(without_user(&authority))),
        Head::Whole(None) => Answer::Found(Evidence::Http(HttpRequest::default())),
    }
}

/// A tunnel (RFC 9110 section 9.3.6): what follows the head of the request, and a response that grants it, is another stream.
fn connect(openings: &Openings<'_>, skipped: usize, target: &[u8], mut lines: Lines<'_>) -> Answer {
    if !lines.any(|line| line.is_empty()) {
        return if openings.client.len() < MAX_HEAD {
            Answer::NeedMore
        } else {
            Answer::Found(request(target))
        };
    }
    let client = skipped + lines.at();
    match granted(openings.server) {
        Response::Granted(server) => Answer::Inside(Some(request(target)), client, server),
        Response::Refused => Answer::Found(request(target)),
        // The client does not wait, or its proxy is not to be heard.
        Response::Begun if openings.client.len() > client => {
            Answer::Inside(Some(request(target)), client, NOT_YET)
        }
        Response::Begun => Answer::NeedMore,
    }
}

/// What a proxy says to CONNECT, and so many octets of it.
enum Response {
    Granted(usize),
    Refused,
    Begun,
}

fn granted(server: &[u8]) -> Response {
    let mut lines = Lines::new(server);
    loop {
        let begun = lines.rest();
        let Some(status) = lines.next() else {
            let short = begun.len() < MAX_HEAD && begun.starts_with(b"HTTP/1.");
            return if short || b"HTTP/1.".starts_with(begun) {
                Response::Begun
            } else {
                Response::Refused
            };
        };
        // HTTP/1.1 200 Connection established
        let code = status.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2));
        if !matches!(code, Some(b'1' | b'2')) {
            return Response::Refused;
        }
        if !lines.any(|line| line.is_empty()) {
            return if server.len() < MAX_HEAD { Response::Begun } else { Response::Refused };
        }
        if code == Some(&b'2') {
            return Response::Granted(lines.at());
        }
    }
}

/// Whether a segment can be the beginning of a request: a method and a space.
pub fn begins_with_method(segment: &[u8]) -> bool {
    matches!(method(segment), Method::Known)
}

enum Method {
    Known,
    /// Too short to tell.
    Begun,
    Other,
}

fn method(bytes: &[u8]) -> Method {
    // Upper-case letters only, so that most other payload is refused at its first octet.
    match bytes.first() {
        None => return Method::Begun,
        Some(first) if !first.is_ascii_uppercase() => return Method::Other,
        Some(_) => {}
    }
    let end = bytes.iter().take(MAX_METHOD + 1).position(|&b| b == b' ');
    match end.and_then(|end| bytes.get(..end)) {
        Some(token) if METHODS.contains(&token) => Method::Known,
        Some(_) => Method::Other,
        None if METHODS.iter().any(|method| method.starts_with(bytes)) => Method::Begun,
        None => Method::Other,
    }
}

/// RFC 9112 section 2.2: empty lines before a request are to be passed over.
fn skip_empty_lines(bytes: &[u8]) -> &[u8] {
    let lines = bytes.iter().take(4).take_while(|&&b| b == b'\r' || b == b'\n').count();
    bytes.get(lines..).unwrap_or_default()
}

/// The target of a request line. Spaces within, which some clients send, are left to the target.
fn target(line: &[u8]) -> Option<&[u8]> {
    let version = line.len().checked_sub(b" HTTP/1.1".len())?;
    let (head, version) = line.split_at_checked(version)?;
    let [b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9'] = version else {
        return None;
    };
    let method = head.iter().position(|&b| b == b' ')?;
    let target = head.get(method + 1..)?.trim_ascii();
    (!target.is_empty() && !target.iter().any(|&b| control(b))).then_some(target)
}

/// The authority of a target in absolute form (RFC 9112 section 3.2.2: it overrules Host).
fn authority(target: &[u8]) -> Option<&[u8]> {
    let begin = target.windows(3).position(|w| w == b"://")?;
    let (scheme, rest) = target.split_at_checked(begin)?;
    if scheme.is_empty() || !scheme.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let rest = rest.get(3..)?;
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    Some(without_user(authority)).filter(|host| !host.is_empty())
}

/// Names and passwords never leave this place.
fn without_user(authority: &[u8]) -> &[u8] {
    let host = authority.iter().rposition(|&b| b == b'@').map_or(0, |at| at + 1);
    authority.get(host..).unwrap_or_default()
}

/// The value of a Host line.
fn host_line(line: &[u8]) -> Option<&[u8]> {
    let colon = line.iter().position(|&b| b == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    name.trim_ascii_end()
        .eq_ignore_ascii_case(b"host")
        .then(|| value.get(1..).unwrap_or_default().trim_ascii())
}

fn found(authority: &[u8]) -> Answer {
    Answer::Found(request(authority))
}

fn request(authority: &[u8]) -> Evidence {
    let (host, port) = split_port(authority);
    let named = (1..=MAX_NAME).contains(&host.len());
    let host = named.then(|| String::from_utf8_lossy(host).into());
    Evidence::Http(HttpRequest { host, port })
}

/// RFC 3986 section 3.2: `host[:port]`, where an IPv6 address stands in brackets.
fn split_port(authority: &[u8]) -> (&[u8], Option<u16>) {
    let Some(colon) = authority.iter().rposition(|&b| b == b':') else { return (authority, None) };
    let (host, port) = authority.split_at_checked(colon).unwrap_or((authority, &[]));
    let digits = port.get(1..).unwrap_or_default();
    let bare_v6 = host.contains(&b':') && host.last() != Some(&b']');
    if bare_v6 || !digits.iter().all(u8::is_ascii_digit) {
        return (authority, None);
    }
    (host, std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()))
}

fn control(octet: u8) -> bool {
    octet.is_ascii_control() && !matches!(octet, b'\t' | b'\r')
}

/// The IANA registry of methods, and what Exchange, UPnP and caches add. `PRI` is HTTP/2's (RFC 9113 section 3.4).
const METHODS: &[&[u8]] = &[
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"CONNECT",
    b"PATCH",
    b"TRACE",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"REPORT",
    b"SEARCH",
    b"MKCALENDAR",
    b"ACL",
    b"BIND",
    b"UNBIND",
    b"REBIND",
    b"LINK",
    b"UNLINK",
    b"CHECKIN",
    b"CHECKOUT",
    b"UNCHECKOUT",
    b"MERGE",
    b"MKACTIVITY",
    b"MKWORKSPACE",
    b"UPDATE",
    b"LABEL",
    b"BASELINE-CONTROL",
    b"VERSION-CONTROL",
    b"ORDERPATCH",
    b"MKREDIRECTREF",
    b"UPDATEREDIRECTREF",
    b"QUERY",
    b"SUBSCRIBE",
    b"UNSUBSCRIBE",
    b"NOTIFY",
    b"POLL",
    b"BCOPY",
    b"BDELETE",
    b"BMOVE",
    b"BPROPFIND",
    b"BPROPPATCH",
    b"M-SEARCH",
    b"PURGE",
    b"RPC_IN_DATA",
    b"RPC_OUT_DATA",
    b"RPC_CONNECT",
    b"SSTP_DUPLEX_POST",
    b"CCM_POST",
    b"PROPFIND",
];
/// The longest of them.
const MAX_METHOD: usize = 17;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sniff::Patterns;

    fn host(head: &str) -> Option<(Option<String>, Option<u16>)> {
        match sniff(&Openings::new(head.as_bytes(), b"", Patterns::NONE)) {
            Answer::Found(Evidence::Http(request)) => {
                Some((request.host.map(String::from), request.port))
            }
            Answer::Inside(Some(Evidence::Http(request)), ..) => {
                Some((request.host.map(String::from), request.port))
            }
            Answer::NotMine => None,
            other => panic!("{other:?}"),
        }
    }

    fn named(host: &str, port: Option<u16>) -> Option<(Option<String>, Option<u16>)> {
        Some((Some(host.to_owned()), port))
    }

    #[test]
    fn finds_the_host_however_it_is_written() {
        let acme = named("acme.zendesk.com", None);
        for head in [
            "GET / HTTP/1.1\r\nHost: acme.zendesk.com\r\n",
            "\r\nPOST /a b HTTP/1.0\nAccept: */*\nhOST:acme.zendesk.com \n",
            "GET / HTTP/1.1\r\nX-Host: no\r\nHost :\tacme.zendesk.com\t\r\n\r\nHost: other",
            "GET http://acme.zendesk.com HTTP/1.1\r\nHost: other\r\n",
            "GET ftp://me:secret@acme.zendesk.com/?a@b HTTP/1.1\r\n",
            "PROPFIND / HTTP/1.1\r\nA: b\r\n\tfolded\r\nHost: acme.zendesk.com\r\n",
        ] {
            assert_eq!(host(head), acme, "{head:?}");
        }
        let head = "CONNECT acme.zendesk.com:443 HTTP/1.1\r\nHost: other\r\n\r\nx";
        assert_eq!(host(head), named("acme.zendesk.com", Some(443)));
        assert_eq!(host("GET / HTTP/1.1\r\nHost: [::1]:80\r\n"), named("[::1]", Some(80)));
        assert_eq!(host("GET / HTTP/1.1\r\nHost: [::1]\r\n"), named("[::1]", None));
        assert_eq!(host("GET / HTTP/1.1\r\nHost: ::1\r\n"), named("::1", None));
        assert_eq!(host("GET / HTTP/1.1\r\nA: b\r\n\r\n"), Some((None, None)));
        assert_eq!(host("GET / HTTP/1.1\r\nHost:\r\n\r\n"), Some((None, None)));
    }

    #[test]
    fn leaves_other_protocols_alone() {
        for head in [
            "OPTIONS rtsp://camera/ RTSP/1.0\r\n",
            "GET /\r\n",
            "GET  HTTP/1.1\r\n",
            "HTTP/1.1 200 OK\r\n",
            "GETAWAY / HTTP/1.1\r\n",
            "EHLO me\r\n",
            "GET \u{1}",
        ] {
            assert_eq!(host(head), None, "{head:?}");
        }
    }
}
