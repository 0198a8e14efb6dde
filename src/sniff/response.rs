//! Heads of HTTP/1 messages that betray software on premise: headers and cookies of both sides, and paths that a server
//! answers well. Answers with the ids of patterns; nothing of the heads leaves this file.

use super::http;
use super::line::Lines;
use super::{Answer, Evidence, HttpResponse, Met, Openings};

/// Octets of a response's head that are looked at; servers send a few hundred to some thousand.
const MAX_HEAD: usize = 16 * 1024;

pub(super) fn sniff(openings: &Openings<'_>) -> Answer {
    let head = openings.server;
    let begin: &[u8] = b"HTTP/1.";
    // Whoever speaks of something else, or of nothing that anybody looks for, is not waited for.
    let asked = openings.client.is_empty() || http::begins_with_method(openings.client);
    if !asked || !openings.patterns.look_at_http() {
        return Answer::NotMine;
    }
    if head.is_empty() {
        return Answer::NeedMore;
    }
    if !head.iter().zip(begin).all(|(seen, wanted)| seen == wanted) {
        return Answer::NotMine;
    }
    let Some(end) = memchr::memmem::find(head, b"\r\n\r\n") else {
        let more = head.len() < MAX_HEAD;
        return if more { Answer::NeedMore } else { Answer::NotMine };
    };
    let mut met = Met::default();
    let mut lines = Lines::new(head.get(..end + 2).unwrap_or_default());
    let answered = lines.next().is_some_and(went_well);
    for line in lines {
        openings.patterns.response_line(line, &mut met);
    }
    request(openings, answered, &mut met);
    if met.ids().is_empty() {
        return Answer::NotMine;
    }
    Answer::Found(Evidence::HttpResponse(HttpResponse { patterns: met.into_ids() }))
}

/// What the request before it says: its path, if it was answered well, and the cookies that only its own server gave.
fn request(openings: &Openings<'_>, answered: bool, met: &mut Met) {
    let mut lines = Lines::new(openings.client.get(..MAX_HEAD).unwrap_or(openings.client));
    let path = lines.next().and_then(|line| line.split(|&b| b == b' ').nth(1)).map(path);
    if let Some(path) = path.filter(|_| answered) {
        openings.patterns.path(path, met);
    }
    for line in lines.take_while(|line| !line.is_empty()) {
        openings.patterns.request_line(line, met);
    }
}

/// Of an absolute form, what follows the authority.
fn path(target: &[u8]) -> &[u8] {
    let Some(authority) = memchr::memmem::find(target, b"://") else { return target };
    let rest = target.get(authority + 3..).unwrap_or_default();
    memchr::memchr(b'/', rest).and_then(|at| rest.get(at..)).unwrap_or_default()
}

/// 2xx, or 401: others answer for paths that are not there.
fn went_well(status: &[u8]) -> bool {
    matches!(status.split(|&b| b == b' ').nth(1), Some([b'2', _, _] | b"401"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sniff::{PatternId, Patterns, Progress, Sought};

    fn patterns() -> Patterns {
        let sought = [
            Sought::Header { name: "Server".into(), value: "ScreenConnect/".into() },
            Sought::Cookie("OSTSESSID".into()),
            Sought::Path("/otrs/".into()),
            Sought::Header { name: "User-Agent".into(), value: "NetSupport Manager/".into() },
        ];
        Patterns::new(sought.iter().enumerate().map(|(i, s)| (PatternId(i as u64), s)))
    }

    fn met(client: &str, server: &str) -> Vec<u64> {
        let patterns = patterns();
        let mut met = Vec::new();
        let openings = Openings::new(client.as_bytes(), server.as_bytes(), &patterns);
        Progress::default().stream(&openings, &mut |evidence| {
            if let Evidence::HttpResponse(response) = evidence {
                met.extend(response.patterns.iter().map(|id| id.0));
            }
        });
        met
    }

    const GET: &str = "GET /otrs/index.pl HTTP/1.1\r\nHost: help.acme.example\r\n\r\n";

    #[test]
    fn headers_cookies_and_paths_betray_software() {
        for (client, server, ids) in [
            (GET, "HTTP/1.1 200 OK\r\nserver: ScreenConnect/22.5-1\r\n\r\n", &[0, 2][..]),
            (GET, "HTTP/1.1 404 Not Found\r\nSet-Cookie: OSTSESSID=1\r\n\r\n", &[1]),
            (GET, "HTTP/1.1 302 Found\r\n\r\n", &[]),
            (GET, "HTTP/1.1 200 OK\r\n\r\nServer: ScreenConnect/1\r\n\r\n", &[2]),
            ("GET / HTTP/1.1\r\nCookie: a=b; OSTSESSID=1\r\n\r\n", "HTTP/1.1 304 x\r\n\r\n", &[1]),
            (
                "POST http://192.0.2.1/otrs/x HTTP/1.1\r\nUser-Agent: NetSupport Manager/1.3\r\n\r\n",
                "HTTP/1.1 200 OK\r\n\r\n",
                &[2, 3],
            ),
            ("", "HTTP/1.0 200 OK\r\nServer: ScreenConnect/22.5-1\r\n\r\n", &[0]),
            (GET, "HTTP/1.1 200 OK\r\nServer: ScreenConnect/22", &[]),
            (GET, "SSH-2.0-x\r\nServer: ScreenConnect/22\r\n\r\n", &[]),
        ] {
            assert_eq!(met(client, server), ids, "{server}");
        }
    }

    #[test]
    fn a_head_without_end_is_given_up() {
        let patterns = patterns();
        let server = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(MAX_HEAD));
        let openings = Openings::new(b"", server.as_bytes(), &patterns);
        assert!(matches!(sniff(&openings), Answer::NotMine));
        let openings =
            Openings::new(b"", server.as_bytes().get(..100).unwrap_or_default(), &patterns);
        assert!(matches!(sniff(&openings), Answer::NeedMore));
        let openings = Openings::new(b"\x16\x03\x01", b"", &patterns);
        assert!(matches!(sniff(&openings), Answer::NotMine));
    }
}
