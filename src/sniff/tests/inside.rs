//! Streams inside streams: proxies and STARTTLS, cut anywhere, in both orders of arrival, one-way, turned and nested.

use super::*;

/// Both sides of a conversation that ends in TLS, and the names met on the way to its server name.
struct Talk {
    client: Vec<u8>,
    server: Vec<u8>,
    names: &'static [&'static str],
}

impl Talk {
    fn new(client: impl Into<Vec<u8>>, server: impl Into<Vec<u8>>) -> Self {
        Self { client: client.into(), server: server.into(), names: &[] }
    }

    fn names(self, names: &'static [&'static str]) -> Self {
        Self { names, ..self }
    }

    /// The other one within this one.
    fn around(&self, inner: &Self, names: &'static [&'static str]) -> Self {
        Self {
            client: [&self.client[..], &inner.client].concat(),
            server: [&self.server[..], &inner.server].concat(),
            names,
        }
    }

    fn with_tls(mut self) -> Self {
        self.client.extend(records(&client_hello(Some(SNI), 30), &[]));
        self.server.extend(SERVER_HELLO);
        self
    }
}

const SNI: &str = "acme.zendesk.com";
const SERVER_HELLO: &[u8] = b"\x16\x03\x03\x00\x04\x02\x00\x00\x00";

fn smtp() -> Talk {
    Talk::new(
        "EHLO desk.acme.com\r\nSTARTTLS\r\n",
        "220-mx.zendesk.com ESMTP\r\n220 welcome\r\n250-mx.zendesk.com\r\n250 STARTTLS\r\n220 go\r\n",
    )
    .names(&["mx.zendesk.com", "desk.acme.com"])
}

fn connect() -> Talk {
    Talk::new(
        "CONNECT acme.zendesk.com:443 HTTP/1.1\r\nHost: other\r\nProxy-Authorization: Basic x\r\n\r\n",
        "HTTP/1.1 200 Connection established\r\nVia: p\r\n\r\n",
    )
    .names(&["acme.zendesk.com"])
}

fn socks5() -> Talk {
    Talk::new(
        b"\x05\x02\x00\x02\x01\x02me\x03key\x05\x01\x00\x03\x10acme.zendesk.com\x01\xbb",
        b"\x05\x02\x01\x00\x05\x00\x00\x01\x0a\0\0\x01\x12\x34",
    )
    .names(&["acme.zendesk.com"])
}

fn prefix() -> Talk {
    Talk::new(&b"PROXY TCP4 192.0.2.1 198.51.100.1 40000 443\r\n"[..], b"")
}

fn prefix2() -> Talk {
    let body = b"\x0a\0\0\x01\x0a\0\0\x02\x11\x11\x01\xbb\x03\0\x04abcd\x02\x00\x0dhelp.acme.com";
    let head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0";
    let length = [u8::try_from(body.len()).unwrap()];
    Talk::new([&head[..], &length, body].concat(), b"").names(&["help.acme.com"])
}

fn ldap() -> Talk {
    let request = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
    let search = b"\x30\x84\0\0\0\x09\x02\x01\x00\x63\x84\0\0\0\x00";
    let answers = b"\x30\x05\x02\x01\x00\x65\x00\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0\x04\0";
    Talk::new([&search[..], request].concat(), answers)
}

fn talks() -> Vec<Talk> {
    let sql = [&[32, 0, 0, 1, 0x8d, 0xae, 0x03, 0x20][..], &[0, 0, 0, 64, 45], &[0; 23]].concat();
    let plain = vec![
        smtp(),
        connect(),
        socks5(),
        prefix(),
        prefix2(),
        ldap(),
        Talk::new(
            b"\x05\x01\x00\x05\x01\x00\x01\xc0\0\x02\x01\x01\xbb",
            b"\x05\x00\x05\x00\x00\x03\x01p\0\x50",
        ),
        Talk::new(b"\x04\x01\x01\xbb\xc0\0\x02\x01me\0", b"\0\x5a\0\0\0\0\0\0"),
        Talk::new(b"\x04\x01\x01\xbb\0\0\0\x01\0help.acme.com\0", b"\0\x5a\0\0\0\0\0\0")
            .names(&["help.acme.com"]),
        Talk::new(&b"PROXY UNKNOWN\r\n"[..], b""),
        Talk::new(
            "a1 CAPABILITY\r\na2 ID (\"name\" \"Thunderbird\")\r\na3 STARTTLS\r\n",
            "* OK ready\r\n* CAPABILITY STARTTLS\r\na1 OK\r\n* ID NIL\r\na2 OK\r\na3 OK go\r\n",
        ),
        Talk::new("CAPA\r\nSTLS\r\n", "+OK ready\r\n+OK list\r\nUSER\r\nSTLS\r\n.\r\n+OK go\r\n"),
        Talk::new("FEAT\r\nAUTH TLS\r\n", "220 ready\r\n211 End\r\n234 go\r\n"),
        Talk::new(
            "<?xml version='1.0'?><stream:stream to='acme.com' xmlns:stream='http://etherx.jabber.org/streams'>\
             <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            "<?xml version='1.0'?><stream:stream id='1' xmlns:stream='http://etherx.jabber.org/streams'>\
             <stream:features/><proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        ),
        Talk::new(&b"\0\0\0\x08\x04\xd2\x16\x2f"[..], b"S"),
        Talk::new(&b"\0\0\0\x08\x04\xd2\x16\x30\0\0\0\x08\x04\xd2\x16\x2f"[..], b"NS"),
        Talk::new(sql, b"\x05\0\0\x00\x0a8.0\0"),
        prefix().around(
            &connect().around(&smtp(), &[]),
            &["acme.zendesk.com", "mx.zendesk.com", "desk.acme.com"],
        ),
        prefix2().around(
            &socks5().around(&smtp(), &[]),
            &["help.acme.com", "acme.zendesk.com", "mx.zendesk.com", "desk.acme.com"],
        ),
    ];
    plain.into_iter().map(Talk::with_tls).collect()
}

/// What is found as both sides grow: names, and whether the reply behind all that was met.
struct Hearing {
    progress: Progress,
    table: Vec<Sniffer>,
    names: Vec<String>,
    replies: usize,
    wants: Wants,
}

impl Hearing {
    fn new() -> Self {
        let mut table: Vec<_> =
            SNIFFERS.iter().filter(|row| !matches!(row.over, Over::Reply(_))).copied().collect();
        table.push(Sniffer { name: "reply", help: "", over: Over::Reply(reply) });
        Self {
            progress: Progress::default(),
            table,
            names: Vec::new(),
            replies: 0,
            wants: Wants::More,
        }
    }

    fn hear(&mut self, client: &[u8], server: &[u8]) {
        let (names, replies) = (&mut self.names, &mut self.replies);
        let openings = Openings::new(client, server, Patterns::NONE);
        let mut out = |evidence| match evidence {
            Evidence::Native(_) => *replies += 1,
            evidence => names.extend(all_names(&evidence)),
        };
        self.wants = self.progress.stream_by(&self.table, &openings, &mut out);
    }

    fn end(&mut self, client: &[u8], server: &[u8]) {
        let names = &mut self.names;
        let openings = Openings::new(client, server, Patterns::NONE);
        self.progress
            .end_by(&self.table, &openings, &mut |evidence| names.extend(all_names(&evidence)));
    }
}

fn reply(openings: &Openings<'_>) -> Answer {
    match openings.server {
        begun if begun.len() < SERVER_HELLO.len() && SERVER_HELLO.starts_with(begun) => {
            Answer::NeedMore
        }
        whole if whole.starts_with(SERVER_HELLO) => {
            Answer::Found(Evidence::Native(Native { protocol: "reply" }))
        }
        _ => Answer::NotMine,
    }
}

fn all_names(evidence: &Evidence) -> Vec<String> {
    match evidence {
        Evidence::Smtp(smtp) => {
            let ends = [&smtp.greeting, &smtp.hello, &smtp.sender];
            ends.into_iter().flatten().chain(&smtp.recipients).map(|n| n.to_string()).collect()
        }
        Evidence::Tunnel(tunnel) => vec![tunnel.host.to_string()],
        other => name(other).map(str::to_owned).into_iter().collect(),
    }
}

fn expected(talk: &Talk) -> Vec<&str> {
    talk.names.iter().copied().chain([SNI]).collect()
}

#[test]
fn both_sides_are_found_whatever_the_cuts_and_the_order_of_arrival() {
    for talk in talks() {
        let (client, server) = (&talk.client[..], &talk.server[..]);
        let shown = String::from_utf8_lossy(client).into_owned();
        // Octet by octet, one side wholly before the other.
        for client_first in [true, false] {
            let mut hearing = Hearing::new();
            for cut in 1..=client.len() + server.len() {
                let (sent, received) = if client_first {
                    (cut.min(client.len()), cut.saturating_sub(client.len()))
                } else {
                    (cut.saturating_sub(server.len()), cut.min(server.len()))
                };
                assert_ne!(hearing.wants, Wants::Nothing, "{shown:?} at {cut}");
                hearing.hear(&client[..sent], &server[..received]);
            }
            let mut names = expected(&talk);
            if client_first {
                // A greeting that comes after the hello has no part in what names it.
                names.retain(|name| *name != "mx.zendesk.com");
            }
            assert_eq!(hearing.names, names, "{shown:?}, client first: {client_first}");
            assert_eq!((hearing.replies, hearing.wants), (1, Wants::Met), "{shown:?}");
            assert!(!hearing.progress.is_swapped());
        }
        // Everything up to the hello, and then the rest.
        for cut in 0..=server.len() {
            let mut hearing = Hearing::new();
            hearing.hear(&client[..client.len() - 1], &server[..cut]);
            hearing.hear(client, &server[..cut]);
            hearing.hear(client, server);
            assert_eq!(hearing.names.last().map(String::as_str), Some(SNI));
            assert_eq!(hearing.replies, 1, "{shown:?} at {cut}");
        }
    }
}

#[test]
fn one_direction_tells_what_it_has() {
    for talk in talks() {
        let mut hearing = Hearing::new();
        hearing.hear(&talk.client, b"");
        let mut names = expected(&talk);
        names.retain(|name| *name != "mx.zendesk.com");
        assert_eq!(hearing.names, names);
        let mut turned = Hearing::new();
        turned.hear(b"", &talk.client);
        assert_eq!(turned.names, names);
        assert!(turned.progress.is_swapped());
        turned.progress.swap_sides();
        turned.hear(&talk.client, &talk.server);
        assert_eq!(turned.replies, 1);
    }
    let mut replies = 0;
    for talk in talks() {
        let mut hearing = Hearing::new();
        hearing.hear(b"", &talk.server);
        replies += hearing.replies;
        assert!(hearing.names.iter().all(|name| name == "mx.zendesk.com"));
    }
    assert_eq!(replies, 8, "those that greet in text, and those with nothing before TLS");
}

#[test]
fn a_proxy_that_refuses_leaves_the_name_it_was_asked_for() {
    for (talk, refusal) in [
        (connect(), &b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"[..]),
        (socks5(), b"\x05\x02\x01\x00\x05\x05\x00\x01\0\0\0\0\0\0"),
        (socks5(), b"\x05\x02\x01\x01"),
    ] {
        let mut hearing = Hearing::new();
        hearing.hear(&talk.client, b"");
        hearing.hear(&talk.client, refusal);
        assert_eq!(
            (&hearing.names[..], hearing.wants),
            (&["acme.zendesk.com".to_owned()][..], Wants::Met)
        );
    }
    for talk in [connect(), socks5()] {
        let mut hearing = Hearing::new();
        hearing.hear(&talk.client, b"");
        assert_eq!((hearing.names.len(), hearing.wants), (0, Wants::More));
        hearing.end(&talk.client, b"");
        assert_eq!(hearing.names, ["acme.zendesk.com"]);
    }
}

#[test]
fn what_follows_a_tunnel_may_be_of_any_kind() {
    let request = "GET / HTTP/1.1\r\nHost: help.acme.com\r\n\r\n";
    for (talk, names) in [(connect(), 2), (socks5(), 2), (prefix(), 1)] {
        let inner = Talk::new(request, "");
        let both = talk.around(&inner, &[]);
        let mut hearing = Hearing::new();
        hearing.hear(&both.client, &both.server);
        assert_eq!(hearing.names.len(), names);
        assert_eq!(hearing.names.last().map(String::as_str), Some("help.acme.com"));
    }
    // A server that speaks first.
    let both = socks5().around(&Talk::new("", "220 mx.zendesk.com ESMTP\r\n"), &[]);
    let mut hearing = Hearing::new();
    hearing.hear(&both.client, &both.server);
    hearing.end(&both.client, &both.server);
    assert_eq!(hearing.names, ["acme.zendesk.com", "mx.zendesk.com"]);
}

#[test]
fn what_only_resembles_is_refused() {
    for (client, server) in [
        // GSSAPI; a method that was not offered; a command that opens no stream.
        (&b"\x05\x01\x01\x01\x01\0\x02ab"[..], &b"\x05\x01"[..]),
        (b"\x05\x01\x00\x05\x01\x00\x01\0\0\0\0\0\0", b"\x05\xff"),
        (b"\x05\x01\x00\x05\x03\x00\x01\0\0\0\0\0\0", b"\x05\x00"),
        (b"\x04\x01\0\0\xc0\0\x02\x01me\0", b""),
        (b"\x04\x01\0\x50\xc0\0\x02\x01\x01me\0", b""),
        (b"PROXY TCP5 a b c d\r\n", b""),
        (b"PROXY TCP4 a b c\r\n", b""),
        (b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0", b""),
        (b"a LOGIN me secret\r\n", b""),
        (b"USER me\r\n", b""),
        (b"EHLO\r\n", b""),
        (b"<?xml version='1.0'?><html>\x00", b""),
        (b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00", b""),
        (b"\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\x29\0\x03\0\0user", b"N"),
    ] {
        let mut hearing = Hearing::new();
        hearing.hear(client, server);
        hearing.end(client, server);
        assert!(hearing.names.is_empty());
        let (wants, _) = stream(&mut Progress::default(), client, b"SSH-2.0-a\r\n");
        assert_eq!(wants, Wants::Nothing, "{:?}", String::from_utf8_lossy(client));
    }
}

#[test]
fn long_openings_octet_by_octet_are_read_in_bounded_time() {
    // Every look begins anew, so that what one look costs is what counts: lines are read once in each.
    for line in ["NOOP\r\n", "a NOOP\r\n", "RCPT TO:<a@b.example>\r\n", "<a/>"] {
        let begin = if line.starts_with('<') {
            "<stream:stream etherx.jabber.org/streams>"
        } else {
            "EHLO a\r\n"
        };
        let client = begin.to_owned() + &line.repeat(16 * 1024 / line.len());
        let mut hearing = Hearing::new();
        for cut in (1..client.len()).step_by(101) {
            hearing.hear(&client.as_bytes()[..cut], b"");
        }
        assert_eq!(hearing.wants, Wants::More);
    }
}
