//! What signatures look for in bytes, compiled for the workers: a sniffer answers with the ids of patterns, never with the
//! bytes that matched.

/// Names one pattern through every reload: it is made of what the pattern says, not of its place in a catalogue, so that a
/// worker with an older snapshot and a collector with a newer one never mean different patterns by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PatternId(pub u64);

/// What a pattern looks at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sought {
    /// A header of an HTTP/1 request or response, by its name and the beginning of its value (empty: any value), in any case.
    Header { name: Box<str>, value: Box<str> },
    /// A cookie that a server sets or a client sends, by its name; with `*` at its end, by the beginning of it.
    Cookie(Box<str>),
    /// The beginning of the path of a request that the server answers well.
    Path(Box<str>),
    /// The beginning of the title of a page, in any case.
    Title(Box<str>),
    /// A text in the first octets of a page, letter by letter.
    Body(Box<str>),
    /// The first octets that one side of a stream sends.
    Payload { server: bool, octets: Box<[u8]> },
}

/// Octets of a pattern at most; also of a header line that are looked at.
pub const MAX_PATTERN: usize = 128;

/// Patterns that one message is said to have met, at most: real ones meet one or two.
pub const MAX_MET: usize = 16;

/// A snapshot of all patterns of a catalogue.
#[derive(Debug, Default)]
pub struct Patterns {
    /// `name: value` in lower case.
    headers: Prefixes,
    /// `name=`, or the beginning of a name.
    cookies: Prefixes,
    paths: Prefixes,
    /// In lower case.
    titles: Prefixes,
    bodies: Vec<(Box<[u8]>, PatternId)>,
    from_client: Prefixes,
    from_server: Prefixes,
}

impl Patterns {
    /// Looks for nothing.
    pub const NONE: &'static Self = &Self {
        headers: Prefixes::NONE,
        cookies: Prefixes::NONE,
        paths: Prefixes::NONE,
        titles: Prefixes::NONE,
        bodies: Vec::new(),
        from_client: Prefixes::NONE,
        from_server: Prefixes::NONE,
    };

    /// Compiles patterns; what is longer than [`MAX_PATTERN`] is never met.
    pub fn new<'a>(sought: impl Iterator<Item = (PatternId, &'a Sought)>) -> Self {
        let mut all = Self::default();
        for (id, sought) in sought {
            match sought {
                Sought::Header { name, value } => {
                    all.headers.push(format!("{name}: {value}").to_lowercase().into_bytes(), id);
                }
                Sought::Cookie(name) => {
                    let whole = format!("{name}=");
                    let head = name.strip_suffix('*').unwrap_or(&whole);
                    all.cookies.push(head.as_bytes().to_vec(), id);
                }
                Sought::Path(head) => all.paths.push(head.as_bytes().to_vec(), id),
                Sought::Title(head) => all.titles.push(head.to_lowercase().into_bytes(), id),
                Sought::Body(text) => {
                    if (1..=MAX_PATTERN).contains(&text.len()) {
                        all.bodies.push((text.as_bytes().into(), id));
                    }
                }
                Sought::Payload { server, octets } => {
                    let table = if *server { &mut all.from_server } else { &mut all.from_client };
                    table.push(octets.to_vec(), id);
                }
            }
        }
        let tables = [
            &mut all.headers,
            &mut all.cookies,
            &mut all.paths,
            &mut all.titles,
            &mut all.from_client,
            &mut all.from_server,
        ];
        tables.into_iter().for_each(Prefixes::sort);
        all
    }

    /// Whether messages of HTTP are worth a look.
    pub(super) const fn look_at_http(&self) -> bool {
        !(self.headers.0.is_empty() && self.cookies.0.is_empty() && self.paths.0.is_empty())
            || self.look_at_pages()
    }

    /// Whether pages are worth a look.
    pub(super) const fn look_at_pages(&self) -> bool {
        !(self.titles.0.is_empty() && self.bodies.is_empty())
    }

    /// The first octets of a page.
    pub fn page(&self, page: &[u8], met: &mut Met) {
        if let Some(title) = title(page) {
            self.titles.find_by(|at| title.get(at).map(u8::to_ascii_lowercase), met);
        }
        for (text, id) in &self.bodies {
            if memchr::memmem::find(page, text).is_some() {
                met.add(*id);
            }
        }
    }

    /// One line of a response's head, without its end. A header that sets a cookie is also taken for it.
    pub fn response_line(&self, line: &[u8], met: &mut Met) {
        let Some((name, value)) = header(line) else { return };
        if name.eq_ignore_ascii_case(b"set-cookie") {
            self.cookies.find(value, met);
        }
        self.header(name, value, met);
    }

    /// One line of a request's head, without its end; the cookies in it also count alone.
    pub fn request_line(&self, line: &[u8], met: &mut Met) {
        let Some((name, value)) = header(line) else { return };
        if name.eq_ignore_ascii_case(b"cookie") {
            for pair in value.split(|&b| b == b';').take(MAX_COOKIES) {
                self.cookies.find(pair.trim_ascii_start(), met);
            }
        }
        self.header(name, value, met);
    }

    fn header(&self, name: &[u8], value: &[u8], met: &mut Met) {
        let (separator, both): (&[u8], _) = (b": ", name.len() + 2);
        let octet = |at: usize| {
            let octet = match at {
                _ if at < name.len() => name.get(at),
                _ if at < both => separator.get(at - name.len()),
                _ => value.get(at - both),
            };
            octet.map(u8::to_ascii_lowercase)
        };
        self.headers.find_by(octet, met);
    }

    /// The path of a request that was answered well.
    pub fn path(&self, path: &[u8], met: &mut Met) {
        self.paths.find(path, met);
    }

    /// The first octets of one side; whether more of them could meet another pattern.
    pub fn payload(&self, server: bool, opening: &[u8], met: &mut Met) -> bool {
        let table = if server { &self.from_server } else { &self.from_client };
        table.find(opening, met)
    }
}

/// Cookies of one line that are looked at: browsers send up to some 180 (RFC 6265 section 6.1 asks for 50).
const MAX_COOKIES: usize = 256;

/// The patterns that one message met, each once.
#[derive(Debug, Default)]
pub struct Met(Vec<PatternId>);

impl Met {
    pub fn ids(&self) -> &[PatternId] {
        &self.0
    }

    pub fn into_ids(self) -> Vec<PatternId> {
        self.0
    }

    fn add(&mut self, id: PatternId) {
        if self.0.len() < MAX_MET && !self.0.contains(&id) {
            self.0.push(id);
        }
    }
}

/// Strings in order, searched for those that a text begins with.
#[derive(Debug, Default)]
struct Prefixes(Vec<(Box<[u8]>, PatternId)>);

impl Prefixes {
    const NONE: Self = Self(Vec::new());

    fn push(&mut self, head: Vec<u8>, id: PatternId) {
        if (1..=MAX_PATTERN).contains(&head.len()) {
            self.0.push((head.into(), id));
        }
    }

    fn sort(&mut self) {
        self.0.sort_unstable();
    }

    /// Adds all that `text` begins with; whether a longer text could begin with more. Narrows the rows octet by octet: most
    /// texts leave none after two or three.
    fn find(&self, text: &[u8], met: &mut Met) -> bool {
        self.find_by(|at| text.get(at).copied(), met)
    }

    /// The same for a text whose octets are told one by one, by their place.
    fn find_by(&self, octet: impl Fn(usize) -> Option<u8>, met: &mut Met) -> bool {
        let mut rows = self.0.as_slice();
        for depth in 0.. {
            // Those that end here stand before the longer ones.
            while let Some(((head, id), rest)) = rows.split_first() {
                if head.len() > depth {
                    break;
                }
                met.add(*id);
                rows = rest;
            }
            if rows.is_empty() {
                return false;
            }
            let Some(octet) = octet(depth) else { return true };
            let from = rows.partition_point(|(head, _)| head.get(depth) < Some(&octet));
            rows = rows.get(from..).unwrap_or_default();
            let until = rows.partition_point(|(head, _)| head.get(depth) == Some(&octet));
            rows = rows.get(..until).unwrap_or_default();
        }
        false
    }
}

/// What follows the first tag of a title, to the end of the page.
fn title(page: &[u8]) -> Option<&[u8]> {
    let tag: &[u8] = b"title";
    let mut tags = memchr::memchr_iter(b'<', page).filter_map(|at| page.get(at + 1..));
    let rest = tags.find_map(|rest| {
        let (name, rest) = rest.split_at_checked(tag.len())?;
        let ends = matches!(rest.first(), Some(b'>' | b' ' | b'\t' | b'\r' | b'\n'));
        (name.eq_ignore_ascii_case(tag) && ends).then_some(rest)
    })?;
    let end = memchr::memchr(b'>', rest)?;
    Some(rest.get(end + 1..)?.trim_ascii_start())
}

/// Name and value of a header line.
fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().take(MAX_PATTERN).position(|&b| b == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    Some((name.trim_ascii_end(), value.get(1..)?.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sought() -> Vec<Sought> {
        let header =
            |name: &str, value: &str| Sought::Header { name: name.into(), value: value.into() };
        vec![
            header("Server", "ScreenConnect/"),
            header("X-AREQUESTID", ""),
            Sought::Cookie("OSTSESSID".into()),
            Sought::Cookie("_zammad_session_*".into()),
            Sought::Path("/otrs/".into()),
            Sought::Path("/otrs/index.pl".into()),
            Sought::Payload { server: true, octets: (*b"SRS:Ready").into() },
            Sought::Title("3CX Phone".into()),
            Sought::Body("glpi:csrf_token".into()),
        ]
    }

    fn patterns() -> Patterns {
        let sought = sought();
        Patterns::new(sought.iter().enumerate().map(|(i, s)| (PatternId(i as u64), s)))
    }

    fn met(look: impl FnOnce(&Patterns, &mut Met)) -> Vec<u64> {
        let mut met = Met::default();
        look(&patterns(), &mut met);
        met.into_ids().into_iter().map(|id| id.0).collect()
    }

    #[test]
    fn headers_are_met_in_any_case_from_the_beginning_of_their_value() {
        let line = |line: &str| met(|p, m| p.response_line(line.as_bytes(), m));
        assert_eq!(line("server:  screenconnect/22.5.1-7"), [0]);
        assert_eq!(line("Server: ScreenConnect"), [0u64; 0]);
        assert_eq!(line("Server: not ScreenConnect/1"), [0u64; 0]);
        assert_eq!(line("X-Server: ScreenConnect/1"), [0u64; 0]);
        assert_eq!(line("x-arequestid: 5x1"), [1]);
        assert_eq!(line("x-arequestid2: 5x1"), [0u64; 0]);
        assert_eq!(line("no header"), [0u64; 0]);
        assert_eq!(line(&format!("{}: x", "a".repeat(5000))), [0u64; 0]);
    }

    #[test]
    fn cookies_are_met_by_their_whole_name_or_its_beginning() {
        let set = |line: &str| met(|p, m| p.response_line(line.as_bytes(), m));
        assert_eq!(set("Set-Cookie: OSTSESSID=1; path=/"), [2]);
        assert_eq!(set("set-cookie: OSTSESSIDX=1"), [0u64; 0]);
        assert_eq!(set("Set-Cookie: _zammad_session_ab12=1"), [3]);
        let sent = |line: &str| met(|p, m| p.request_line(line.as_bytes(), m));
        assert_eq!(sent("Cookie: a=b; OSTSESSID=2;_zammad_session_x=OSTSESSID="), [2, 3]);
        assert_eq!(sent("Set-Cookie: OSTSESSID=2"), [0u64; 0]);
    }

    #[test]
    fn pages_are_met_by_their_title_or_a_text() {
        let page = |page: &str| met(|p, m| p.page(page.as_bytes(), m));
        assert_eq!(page("<html><TITLE>\n 3cx phone System</TITLE>"), [7]);
        assert_eq!(page("<title lang=\"en\">3CX Phone"), [7]);
        assert_eq!(page("<meta property=\"glpi:csrf_token\"><title>3CX Phone</title>"), [7, 8]);
        for nobodys in [
            "<title>Our 3CX Phone</title>",
            "<titles>3CX Phone",
            "<title>3CX Pho",
            "<title",
            "<",
            "",
            "3CX Phone",
            "GLPI:csrf_token",
        ] {
            assert_eq!(page(nobodys), [0u64; 0], "{nobodys}");
        }
    }

    #[test]
    fn all_paths_that_begin_so_are_met() {
        assert_eq!(met(|p, m| p.path(b"/otrs/index.pl?Action=x", m)), [4, 5]);
        assert_eq!(met(|p, m| p.path(b"/otrs", m)), [0u64; 0]);
    }

    #[test]
    fn an_opening_that_may_still_meet_a_pattern_is_waited_for() {
        let mut met = Met::default();
        let patterns = patterns();
        for len in 0..9 {
            assert!(patterns.payload(true, b"SRS:Ready".get(..len).unwrap(), &mut met));
            assert!(met.ids().is_empty());
        }
        assert!(!patterns.payload(true, b"SRS:Ready\0", &mut met));
        assert_eq!(met.ids(), [PatternId(6)]);
        assert!(!patterns.payload(true, b"SSH-2.0", &mut met));
        assert!(!patterns.payload(false, b"SRS:Ready", &mut met));
    }

    #[test]
    fn what_one_message_meets_is_bounded() {
        let many: Vec<Sought> = (0..100).map(|i| Sought::Path("/".repeat(i + 1).into())).collect();
        let rows = many.iter().enumerate().map(|(i, s)| (PatternId(i as u64), s));
        let patterns = Patterns::new(rows);
        let mut met = Met::default();
        patterns.path("/".repeat(5000).as_bytes(), &mut met);
        assert_eq!(met.ids().len(), MAX_MET);
    }
}
