//! What a match looks at beside names: certificates, HTTP, first octets, ALPN, native protocols, addresses, fingerprints;
//! from the keys of a file to checked values.

use std::fmt;

use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;

use super::form::host_name;
use super::rule::Kind;
use super::schema::MatchRow;
use crate::sniff::native::PROTOCOLS;
use crate::sniff::{Certificate, MAX_PATTERN, Sought};

/// The checked value of a match.
#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    /// The value is a name; its kind says of what.
    Name,
    Certificate(CertificateLook),
    /// Compiled for the workers: `http` and `payload`.
    Bytes(Sought),
    /// The value is the beginning of a TXT record.
    Txt,
    /// The value is the beginning of an ALPN protocol.
    Alpn,
    /// The value is a row of [`PROTOCOLS`].
    Protocol,
    Cidr(IpNet),
    /// The value is the whole fingerprint.
    Ja4,
}

/// What a server certificate must say: everything that is given.
#[derive(Clone, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateLook {
    /// A DNS name of the subject, or a name below it.
    pub name: Option<Box<str>>,
    /// Common name of the subject, whole.
    pub subject: Option<Box<str>>,
    /// Common name of the issuer, whole.
    pub issuer: Option<Box<str>>,
    /// Organisation of the subject, else of the issuer, whole.
    pub organisation: Option<Box<str>>,
}

impl CertificateLook {
    /// Whether the certificate says all that is asked beside the name. In any case.
    pub fn fits(&self, certificate: &Certificate) -> bool {
        let same = |wanted: &Option<Box<str>>, seen: &Option<Box<str>>| {
            wanted.as_ref().is_none_or(|wanted| {
                seen.as_ref().is_some_and(|seen| seen.to_lowercase() == wanted.to_lowercase())
            })
        };
        same(&self.subject, &certificate.subject)
            && same(&self.issuer, &certificate.issuer)
            && same(&self.organisation, &certificate.organisation)
    }
}

impl fmt::Display for CertificateLook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("name", &self.name),
            ("subject", &self.subject),
            ("issuer", &self.issuer),
            ("organisation", &self.organisation),
        ];
        let mut between = "";
        for (key, text) in parts {
            if let Some(text) = text {
                write!(f, "{between}{key} {text}")?;
                between = ", ";
            }
        }
        Ok(())
    }
}

/// `http = { header = "Server: ScreenConnect/" }`: one of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRow {
    pub header: Option<String>,
    pub cookie: Option<String>,
    pub path: Option<String>,
    pub title: Option<String>,
    pub body: Option<String>,
}

/// `payload = { from = "server", text = "SRS:Ready" }`, or `hex`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayloadRow {
    pub from: Side,
    pub text: Option<String>,
    pub hex: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Client,
    Server,
}

impl PayloadRow {
    pub fn octets(&self) -> Result<Vec<u8>, Wrong> {
        match (&self.text, &self.hex) {
            (Some(text), None) => Ok(text.as_bytes().to_vec()),
            (None, Some(hex)) => octets(hex)
                .ok_or_else(|| wrong("hex is no row of octets", "write it as \"30 11 00 00\"")),
            _ => Err(wrong("payload needs one of text and hex", "write the one that is readable")),
        }
    }
}

/// `port = 5938` or `port = [5938, 443]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum PortRow {
    One(u16),
    Several(Vec<u16>),
}

impl PortRow {
    pub fn ports(&self) -> Vec<u16> {
        match self {
            Self::One(port) => vec![*port],
            Self::Several(ports) => ports.clone(),
        }
    }
}

/// What is wrong, and the remedy.
pub type Wrong = (String, String);

/// A value as it is shown, and what it means.
pub type Read = Result<(String, Look), Wrong>;

/// The kind, where in the file it is given, and the value as it is shown with what it means; `None` where the match has none
/// of these kinds.
pub fn read(row: &MatchRow) -> Option<(Kind, usize, Read)> {
    if let Some(spot) = &row.certificate {
        return Some((Kind::Certificate, spot.span().start, certificate(spot.get_ref())));
    }
    if let Some(spot) = &row.http {
        return Some((Kind::Http, spot.span().start, http(spot.get_ref())));
    }
    if let Some(spot) = &row.payload {
        let ported = row.port.is_some();
        return Some((Kind::Payload, spot.span().start, payload(spot.get_ref(), ported)));
    }
    let text = |kind, spot: &Spanned<String>, read: fn(&str) -> Result<Look, Wrong>| {
        let value = spot.get_ref();
        (kind, spot.span().start, read(value).map(|look| (value.clone(), look)))
    };
    None.or_else(|| row.alpn.as_ref().map(|spot| text(Kind::Alpn, spot, alpn)))
        .or_else(|| row.protocol.as_ref().map(|spot| text(Kind::Protocol, spot, protocol)))
        .or_else(|| row.cidr.as_ref().map(|spot| text(Kind::Cidr, spot, cidr)))
        .or_else(|| row.ja4.as_ref().map(|spot| text(Kind::Ja4, spot, ja4)))
        .or_else(|| row.txt.as_ref().map(|spot| text(Kind::Txt, spot, txt)))
}

/// How many of these kinds the match has.
pub fn count(row: &MatchRow) -> usize {
    let given = [
        row.certificate.is_some(),
        row.http.is_some(),
        row.payload.is_some(),
        row.alpn.is_some(),
        row.protocol.is_some(),
        row.cidr.is_some(),
        row.ja4.is_some(),
        row.txt.is_some(),
    ];
    given.into_iter().filter(|given| *given).count()
}

fn certificate(row: &CertificateLook) -> Read {
    let texts = [&row.name, &row.subject, &row.issuer, &row.organisation];
    if texts.iter().all(|t| t.is_none()) || texts.iter().any(|t| t.as_deref() == Some("")) {
        let mend = "write at least one of name, subject, issuer, organisation";
        return Err(wrong("the certificate says nothing", mend));
    }
    if let Some(name) = &row.name {
        host_name(name)
            .map_err(|(what, mend)| wrong(&format!("certificate name {name:?} {what}"), mend))?;
    }
    Ok((row.to_string(), Look::Certificate(row.clone())))
}

fn http(row: &HttpRow) -> Read {
    let HttpRow { header, cookie, path, title, body } = row;
    let (shown, sought) = match (header, cookie, path, title, body) {
        (Some(line), None, None, None, None) => {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let (name, value) = (name.trim(), value.trim_start());
            let token = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            if name.is_empty() || !name.bytes().all(token) {
                let mend =
                    "write it as \"Server: ScreenConnect/\", or the name alone for any value";
                return Err(wrong(&format!("header {line:?} has no name"), mend));
            }
            if value.is_empty() && EVERYDAY.contains(&&*name.to_ascii_lowercase()) {
                let mend = "add the beginning of its value, as in \"Server: ScreenConnect/\"";
                return Err(wrong(&format!("header {line:?} is sent by every server"), mend));
            }
            (line.clone(), Sought::Header { name: name.into(), value: value.into() })
        }
        (None, Some(name), None, None, None) => {
            let head = name.strip_suffix('*').unwrap_or(name);
            let token = |b: u8| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}*".contains(&b);
            if head.len() < SHORT || !head.bytes().all(token) {
                let mend = "write the name alone, of at least 4 characters; * may stand at its end";
                return Err(wrong(&format!("cookie {name:?} is no name of one product"), mend));
            }
            (format!("cookie {name}"), Sought::Cookie(name.as_str().into()))
        }
        (None, None, Some(path), None, None) => {
            if !path.starts_with('/') || path.len() < SHORT || path.contains(['*', '?', ' ']) {
                let mend = "write its beginning, from / on, of at least 4 characters, without *";
                return Err(wrong(&format!("path {path:?} is no path of one product"), mend));
            }
            (format!("path {path}"), Sought::Path(path.as_str().into()))
        }
        (None, None, None, Some(title), None) => {
            if title.len() < SHORT_TITLE || title.trim() != title || title.contains('<') {
                let mend = "write its beginning, of at least 8 characters, with the product's name";
                return Err(wrong(&format!("title {title:?} is no title of one product"), mend));
            }
            (format!("title {title}"), Sought::Title(title.as_str().into()))
        }
        (None, None, None, None, Some(text)) => {
            if text.len() < SHORT_TEXT {
                let mend = "write at least 12 characters that only the product's pages have";
                return Err(wrong(&format!("body {text:?} is no text of one product"), mend));
            }
            (format!("body {text}"), Sought::Body(text.as_str().into()))
        }
        _ => {
            let mend = "write one [[match]] for each";
            return Err(wrong("http needs one of header, cookie, path, title and body", mend));
        }
    };
    if shown.len() > MAX_PATTERN - 8 {
        return Err(wrong("the pattern is too long", "write its beginning: 120 octets at most"));
    }
    Ok((shown, Look::Bytes(sought)))
}

fn payload(row: &PayloadRow, ported: bool) -> Read {
    let octets = row.octets()?;
    let least = if ported { SHORT } else { SHORT_ANYWHERE };
    if octets.len() < least || octets.len() > MAX_PATTERN {
        let what = format!("{} octets are not one product's", octets.len());
        return Err(wrong(&what, "write 6 to 128 octets; 4 are enough where port says which port"));
    }
    let (side, server) = match row.from {
        Side::Client => ("client", false),
        Side::Server => ("server", true),
    };
    let shown = format!("{side} {}", octets.escape_ascii());
    Ok((shown, Look::Bytes(Sought::Payload { server, octets: octets.into() })))
}

/// A token that proves control of a domain is a name of the vendor's own, `=` or `:`, and a value.
fn txt(value: &str) -> Result<Look, Wrong> {
    let graphic = value.bytes().all(|b| b.is_ascii_graphic());
    if value.len() < LEAST_TXT || !graphic || value.starts_with("v=") {
        let mend = "write its beginning up to the value, as in \"acme-domain-verification=\"";
        return Err(wrong(&format!("txt {value:?} is not one vendor's"), mend));
    }
    Ok(Look::Txt)
}

fn alpn(value: &str) -> Result<Look, Wrong> {
    // RFC 7301 section 6 and the IANA registry: these say nothing of a product.
    let common =
        ["http/", "h2", "h3", "spdy/", "stun.", "ftp", "imap", "pop3", "xmpp", "dot", "doq"];
    if value.len() < SHORT || common.iter().any(|c| value.starts_with(c)) {
        let mend = "write the beginning of a protocol that is the product's own";
        return Err(wrong(&format!("alpn {value:?} is not one product's"), mend));
    }
    Ok(Look::Alpn)
}

fn protocol(value: &str) -> Result<Look, Wrong> {
    if PROTOCOLS.iter().any(|p| p.name == value) {
        return Ok(Look::Protocol);
    }
    let names: Vec<&str> = PROTOCOLS.iter().map(|p| p.name).collect();
    Err(wrong(
        &format!("no sniffer knows protocol {value:?}"),
        &format!("write one of {}", names.join(", ")),
    ))
}

fn cidr(value: &str) -> Result<Look, Wrong> {
    let net: IpNet = value
        .parse()
        .map_err(|_| wrong(&format!("cidr {value:?} is no network"), "write it as 192.0.2.0/24"))?;
    let widest = if net.addr().is_ipv4() { 16 } else { 32 };
    if net.trunc() != net || net.prefix_len() < widest {
        let what = format!("cidr {value:?} is too wide, or has bits behind its prefix");
        return Err(wrong(&what, "write the network itself, of /16 (IPv6: /32) at most"));
    }
    Ok(Look::Cidr(net))
}

/// Octets of a TXT record that are one vendor's.
const LEAST_TXT: usize = 8;

/// Shape of JA4 (FoxIO's description of it): ten characters, twelve hexadecimal digits, twelve.
fn ja4(value: &str) -> Result<Look, Wrong> {
    let parts: Vec<&str> = value.split('_').collect();
    let hex = |s: &str| {
        s.len() == 12 && s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    match parts.as_slice() {
        [a, b, c] if a.len() == 10 && a.starts_with(['t', 'q', 'd']) && hex(b) && hex(c) => {
            Ok(Look::Ja4)
        }
        _ => Err(wrong(
            &format!("ja4 {value:?} is no JA4 fingerprint"),
            "write it whole, as t13d1516h2_8daaf6152771_b186095e22b6",
        )),
    }
}

fn octets(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = hex.bytes().filter(|b| *b != b' ').collect();
    let pair = |pair: &[u8]| {
        let text =
            std::str::from_utf8(pair).ok().filter(|t| t.len() == 2 && !t.starts_with('+'))?;
        u8::from_str_radix(text, 16).ok()
    };
    digits.chunks(2).map(pair).collect()
}

fn wrong(what: &str, mend: &str) -> Wrong {
    (what.to_owned(), mend.to_owned())
}

/// Headers that say something only by their value.
const EVERYDAY: &[&str] = &[
    "server",
    "date",
    "content-type",
    "content-length",
    "set-cookie",
    "connection",
    "cache-control",
    "location",
    "x-powered-by",
    "vary",
    "etag",
    "via",
    "pragma",
    "expires",
    "last-modified",
    "transfer-encoding",
    "x-frame-options",
    "strict-transport-security",
    "x-request-id",
    "content-encoding",
    "user-agent",
    "host",
    "accept",
    "cookie",
    "referer",
    "authorization",
];

/// Octets that are the least to tell one product, with something else beside them; and alone.
const SHORT: usize = 4;
const SHORT_ANYWHERE: usize = 6;

/// The same of titles and texts of pages, which people write.
const SHORT_TITLE: usize = 8;
const SHORT_TEXT: usize = 12;
