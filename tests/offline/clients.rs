//! What real clients showed on the wire (tests/captures): each flow that said a name has it, by the way it was said, and
//! no GREASE is taken for real ECH, nor real ECH for none.

use serde_json::Value;

use crate::program::{DEFAULTS, saastap};

/// Capture, server, how the name was told, the names of its flows in the order of their beginnings.
const NAMED: &[(&str, &str, &str, &[&str])] = &[
    ("quic-chromium", "198.18.1.40:443", "quic_sni", &["app.intercom.com"]),
    ("quic-chromium", "198.18.1.41:443", "quic_sni", &["js.intercomcdn.com"]),
    ("quic-firefox", "198.18.1.40:443", "quic_sni", &["app.intercom.com"]),
    ("quic-firefox", "198.18.1.41:443", "quic_sni", &["js.intercomcdn.com"]),
    ("quic-curl", "198.18.1.42:443", "quic_sni", &["acme.freshdesk.com"]),
    ("quic-go", "198.18.1.42:443", "quic_sni", &["acme.freshdesk.com"]),
    ("quic-aioquic", "198.18.1.42:443", "quic_sni", &["acme.freshdesk.com"]),
    ("quic-aioquic", "198.18.1.40:443", "quic_sni", &["app.intercom.com"]),
    ("quic-versions", "198.18.1.42:443", "quic_sni", &["acme.freshdesk.com"]),
    ("quic-versions", "198.18.1.40:443", "quic_sni", &["app.intercom.com"]),
    ("quic-versions", "198.18.1.29:443", "quic_sni", &["acme.helpjuice.com"]),
    ("quic-retry", "198.18.1.42:443", "quic_sni", &["acme.freshdesk.com"]),
    ("quic-resumed", "198.18.1.42:443", "quic_sni", &["acme.freshdesk.com"; 2]),
    ("quic-ipv6", "2001:db8::1:42:443", "quic_sni", &["acme.freshdesk.com"]),
    ("ech-quic", "198.18.1.43:443", "quic_sni", &["cloudflare-ech.com"; 2]),
    ("ech-doh", "198.18.1.43:443", "quic_sni", &["cloudflare-ech.com"; 2]),
    ("hello-retry", "198.18.1.47:443", "tls_sni", &["acme.kayako.com"]),
    ("dtls-cookie", "198.18.1.47:4433", "dtls_sni", &["acme.kayako.com"]),
    ("dtls-fragments", "198.18.1.47:4433", "dtls_sni", &["acme.kayako.com"]),
    ("dns-over-quic", "198.18.1.46:853", "quic_sni", &["cloudflare-dns.com"]),
    ("dns-over-tls", "198.18.1.46:853", "tls_sni", &["cloudflare-dns.com"]),
    ("http-proxy", "198.18.1.48:3128", "tls_sni", &["acme.helpjuice.com"]),
    ("http-proxy", "198.18.1.48:3128", "http_host", &["news.example"; 2]),
    ("socks4", "198.18.1.48:1080", "tls_sni", &["acme.helpjuice.com"]),
    ("socks4", "198.18.1.48:1080", "http_host", &["news.example"]),
    ("socks5", "198.18.1.48:1080", "tls_sni", &["acme.helpjuice.com", "acme.zendesk.com"]),
    ("socks5", "198.18.1.48:1081", "http_host", &["news.example"]),
    ("proxy-protocol", "198.18.1.55:443", "tls_sni", &["acme.helpjuice.com"; 2]),
    ("smtp-plain", "198.18.1.50:25", "smtp", &["mx.freshdesk.com"; 2]),
    ("smtp-plain", "198.18.1.50:25", "smtp", &["acme.freshdesk.com"; 2]),
    ("smtp-plain", "198.18.1.50:25", "smtp", &["supplier.zendesk.com"]),
    ("smtp-starttls", "198.18.1.50:25", "tls_sni", &["mx.freshdesk.com"; 2]),
    ("imap-starttls", "198.18.1.51:143", "tls_sni", &["mail.acme.example"]),
    ("pop3-starttls", "198.18.1.51:110", "tls_sni", &["mail.acme.example"]),
    ("ldap-starttls", "198.18.1.52:389", "tls_sni", &["directory.acme.example"]),
    ("xmpp-starttls", "198.18.1.53:5222", "tls_sni", &["chat.acme.example"]),
    ("postgresql-tls", "198.18.1.54:5432", "tls_sni", &["tickets-db.acme.example"]),
];

/// Captures with real ECH, and the server that took it. The other flows there have none, or GREASE.
const HIDDEN: &[(&str, &str)] = &[
    ("ech-chromium", "198.18.1.43:443"),
    ("ech-quic", "198.18.1.43:443"),
    ("ech-firefox", "198.18.1.43:443"),
    ("ech-retry", "198.18.1.43:443"),
    ("ech-doh", "198.18.1.43:443"),
];

/// Captures of browsers that sent GREASE and nothing else.
const GREASE: &[&str] =
    &["chromium-pq-ech", "ech-grease-retry", "quic-chromium", "quic-firefox", "agent-console"];

fn flows(capture: &str) -> Vec<Value> {
    let file = format!("tests/captures/{capture}.pcap");
    saastap(&["--config", DEFAULTS, "read", "--flows", &file]).lines()
}

fn server(flow: &Value) -> String {
    format!("{}:{}", flow["server"]["ip"].as_str().unwrap(), flow["server"]["port"])
}

#[test]
fn every_name_that_a_client_said_is_known() {
    let mut missed = Vec::new();
    for (capture, wanted, via, names) in NAMED {
        let mut told = Vec::new();
        for flow in flows(capture).iter().filter(|f| server(f) == *wanted) {
            let said = flow["names"].as_array().into_iter().flatten();
            told.extend(said.filter(|n| n["via"] == **via).map(|n| n["name"].clone()));
        }
        told.retain(|name| names.iter().any(|n| name == n));
        if told.len() != names.len() {
            missed.push(format!("{capture} {wanted}: {told:?}, not {names:?}"));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn who_writes_to_whom_and_with_what_password_is_not_told() {
    for (capture, secrets) in [
        ("smtp-plain", &["jane", "doe", "support", "help", "jobs"][..]),
        ("smtp-starttls", &["jane", "doe", "support"][..]),
        ("socks5", &["jane", "secret"][..]),
        ("rdp", &["jane"][..]),
    ] {
        let file = format!("tests/captures/{capture}.pcap");
        let octets = std::fs::read(&file).unwrap();
        let told = saastap(&["--config", DEFAULTS, "read", "--flows", &file]).well();
        let told = told.replace("acme.helpjuice.com", "").replace("\"helpjuice", "");
        let told = told.replace("signatures/helpdesk/", "");
        for secret in secrets {
            let shown = octets.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(shown || capture == "smtp-starttls", "{capture} does not hold {secret}");
            assert!(!told.contains(secret), "{capture} tells {secret}: {told}");
        }
    }
}

#[test]
fn real_and_grease_are_told_apart() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    let mut judge = |capture: &str, flow: &Value, hidden: bool| {
        let Some(verdict) = flow["ech"].as_str() else { return };
        seen += 1;
        if hidden != (verdict == "real") || (verdict == "unknown" && GREASE.contains(&capture)) {
            wrong.push(format!("{capture} {} is {verdict}", server(flow)));
        }
    };
    for (capture, behind) in HIDDEN {
        for flow in flows(capture) {
            judge(capture, &flow, server(&flow) == *behind);
        }
    }
    for capture in GREASE {
        for flow in flows(capture) {
            judge(capture, &flow, false);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen >= 20, "{seen} hellos");
}
