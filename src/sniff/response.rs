//! HTTP/1 messages that betray software on premise: headers and cookies of both sides, paths that a server answers well, and
//! the beginning of the page where signatures ask for it. Answers with the ids of patterns; nothing else leaves this file.

use super::http;
use super::line::Lines;
use super::{Answer, Evidence, HttpResponse, Met, Openings};

/// Octets of a response's head that are looked at; servers send a few hundred to some thousand.
const MAX_HEAD: usize = 16 * 1024;

/// Octets of a page that are looked at: its title and what stands above it.
const MAX_PAGE: usize = 1024;

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
    let (lines, page) = head.split_at_checked(end + 2).unwrap_or_default();
    let mut lines = Lines::new(lines);
    let answered = lines.next().is_some_and(went_well);
    let mut form = Form::default();
    for line in lines {
        openings.patterns.response_line(line, &mut met);
        form.read(line);
    }
    request(openings, answered, &mut met);
    if met.ids().is_empty() && answered && openings.patterns.look_at_pages() {
        let asked_for_head = openings.client.starts_with(b"HEAD ");
        let wanted = if asked_for_head { 0 } else { form.octets() };
        let page = page.get(2..).unwrap_or_default();
        let page = page.get(..wanted).unwrap_or(page);
        openings.patterns.page(page, &mut met);
        if met.ids().is_empty() && page.len() < wanted && !openings.ended {
            return Answer::NeedMore;
        }
    }
    if met.ids().is_empty() {
        return Answer::NotMine;
    }
    Answer::Found(Evidence::HttpResponse(HttpResponse { patterns: met.into_ids() }))
}

/// What a head says of the body after it.
#[derive(Default)]
struct Form {
    html: bool,
    encoded: bool,
    length: Option<usize>,
}

impl Form {
    fn read(&mut self, line: &[u8]) {
        let Some(colon) = memchr::memchr(b':', line) else { return };
        let (name, value) = line.split_at_checked(colon).unwrap_or_default();
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let is = |wanted: &[u8]| name.trim_ascii().eq_ignore_ascii_case(wanted);
        if is(b"content-type") {
            let html: &[u8] = b"text/html";
            self.html = value.get(..html.len()).is_some_and(|v| v.eq_ignore_ascii_case(html));
        } else if is(b"content-encoding") {
            self.encoded = !value.eq_ignore_ascii_case(b"identity");
        } else if is(b"content-length") {
            self.length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        }
    }

    /// Octets of the page that are worth waiting for.
    fn octets(&self) -> usize {
        let page = self.html && !self.encoded;
        if page { self.length.unwrap_or(MAX_PAGE).min(MAX_PAGE) } else { 0 }
    }
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

    const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=UTF-8\r\n";

    fn page_patterns() -> Patterns {
        let sought = [Sought::Title("Deskly".into()), Sought::Body("made by Deskly".into())];
        Patterns::new(sought.iter().enumerate().map(|(i, s)| (PatternId(i as u64), s)))
    }

    fn of_page(client: &str, server: &str, ended: bool) -> Result<Vec<u64>, bool> {
        let patterns = page_patterns();
        let openings = Openings::new(client.as_bytes(), server.as_bytes(), &patterns);
        match sniff(&Openings { ended, ..openings }) {
            Answer::Found(Evidence::HttpResponse(response)) => {
                Ok(response.patterns.iter().map(|id| id.0).collect())
            }
            Answer::NeedMore => Err(true),
            _ => Err(false),
        }
    }

    #[test]
    fn the_beginning_of_a_page_is_waited_for_and_no_more() {
        let page = "\r\n<html><title>Deskly 7</title>";
        let whole = format!("{PAGE}{page}");
        for len in 0..whole.len() {
            let head = whole.get(..len).unwrap();
            let met = of_page(GET, head, false);
            let known = head.ends_with("<title>Deskly") || head.contains("<title>Deskly ");
            assert_eq!(met, if known { Ok(vec![0]) } else { Err(true) }, "{head}");
        }
        assert_eq!(of_page("", &whole, false), Ok(vec![0]));
        let far = |before: usize| format!("{PAGE}\r\n{}made by Deskly", "x".repeat(before));
        assert_eq!(of_page(GET, &far(1010), false), Ok(vec![1]));
        assert_eq!(of_page(GET, &far(1011), false), Err(false), "past the bound");
        assert_eq!(of_page(GET, &format!("{PAGE}\r\nx"), true), Err(false), "no more comes");
        let short = |length: usize| format!("{PAGE}Content-Length: {length}\r\n\r\nxx");
        assert_eq!(of_page(GET, &short(2), false), Err(false), "that was all");
        assert_eq!(of_page(GET, &short(3), false), Err(true));
    }

    proptest::proptest! {
        #[test]
        fn anything_is_read_as_a_page_without_a_panic(
            page in r"(<|>|title|TITLE|Deskly|made by | |\PC){0,60}",
            length in proptest::option::of("[0-9-]{0,25}"),
            ended: bool,
        ) {
            let length = length.map(|n| format!("Content-Length: {n}\r\n")).unwrap_or_default();
            let whole = format!("{PAGE}{length}\r\n{page}");
            if of_page(GET, &whole, ended) == Err(true) {
                proptest::prop_assert!(!ended && page.len() < MAX_PAGE);
            }
        }
    }

    #[test]
    fn what_is_no_page_is_not_waited_for() {
        let html = "Content-Type: text/html\r\n";
        for (client, head) in [
            (GET, "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n".to_owned()),
            (GET, "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n".to_owned()),
            (GET, "HTTP/1.1 200 OK\r\n".to_owned()),
            (GET, format!("HTTP/1.1 200 OK\r\n{html}Content-Encoding: gzip\r\n")),
            ("HEAD / HTTP/1.1\r\n\r\n", format!("HTTP/1.1 200 OK\r\n{html}")),
        ] {
            assert_eq!(of_page(client, &format!("{head}\r\n"), false), Err(false), "{head}");
        }
        // Nobody looks for pages.
        assert_eq!(met(GET, &format!("{PAGE}\r\n<title>Deskly</title>")), [2]);
        let patterns = patterns();
        let server = format!("{PAGE}\r\n<title>Deskly</title>");
        let openings = Openings::new(b"GET / HTTP/1.1\r\n\r\n", server.as_bytes(), &patterns);
        assert!(matches!(sniff(&openings), Answer::NotMine));
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
