//! The `[[example]]`s of a signature file: what could be seen, and what the catalogue must say of it.

use std::fmt;
use std::net::IpAddr;

use super::Verdict;
use super::catalog::Catalog;
use super::check::Entry;
use super::look::{PayloadRow, Side};
use super::rule::Kind;
use super::schema::{ExampleRow, Expect};
use crate::sniff::{Certificate, Met};

/// One `[[example]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    pub given: Given,
    /// Of the server, where matches ask for one.
    pub port: u16,
    pub expect: Expect,
    pub line: usize,
}

/// Something that the wire may show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    Host(String),
    Mail(String),
    Txt(String),
    Certificate(Certificate),
    Alpn(String),
    Protocol(String),
    /// A line of an HTTP/1 response's head.
    Header(String),
    /// The name of a cookie.
    Cookie(String),
    /// The target of a request that was answered well.
    Path(String),
    /// The title of a page.
    Title(String),
    /// The beginning of a page.
    Body(String),
    Payload {
        server: bool,
        octets: Vec<u8>,
    },
    Address(IpAddr),
    Ja4(String),
}

impl Given {
    /// From the keys of a file; what is wrong with them otherwise.
    pub fn read(row: &ExampleRow) -> Result<Self, String> {
        let text = |to: fn(String) -> Self, text: &Option<String>| text.clone().map(to);
        let all = [
            text(Self::Host, &row.host),
            text(Self::Mail, &row.mail),
            text(Self::Alpn, &row.alpn),
            text(Self::Protocol, &row.protocol),
            text(Self::Header, &row.header),
            text(Self::Cookie, &row.cookie),
            text(Self::Path, &row.path),
            text(Self::Title, &row.title),
            text(Self::Body, &row.body),
            text(Self::Ja4, &row.ja4),
            text(Self::Txt, &row.txt),
            row.address.map(Self::Address),
            row.certificate.as_ref().map(|shown| Self::Certificate(shown.clone().into())),
            row.payload.as_ref().map(Self::payload).transpose()?,
        ];
        let mut given = all.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err("the example shows nothing".to_owned()),
            (Some(_), Some(_)) => Err("the example shows more than one thing".to_owned()),
        }
    }

    fn payload(row: &PayloadRow) -> Result<Self, String> {
        let octets = row.octets().map_err(|(what, _)| what)?;
        Ok(Self::Payload { server: row.from == Side::Server, octets })
    }

    /// The kind of match that it tries.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Host(_) => Kind::Domain,
            Self::Mail(_) => Kind::Mail,
            Self::Certificate(_) => Kind::Certificate,
            Self::Alpn(_) => Kind::Alpn,
            Self::Protocol(_) => Kind::Protocol,
            Self::Header(_) | Self::Cookie(_) | Self::Path(_) | Self::Title(_) | Self::Body(_) => {
                Kind::Http
            }
            Self::Payload { .. } => Kind::Payload,
            Self::Address(_) => Kind::Cidr,
            Self::Ja4(_) => Kind::Ja4,
            Self::Txt(_) => Kind::Txt,
        }
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => f.write_str(name),
            Self::Mail(name) => write!(f, "mail {name}"),
            Self::Certificate(shown) => {
                let texts = [&shown.subject, &shown.issuer, &shown.organisation];
                let texts = shown.names.iter().chain(texts.into_iter().flatten());
                let texts: Vec<&str> = texts.map(|t| &**t).collect();
                write!(f, "certificate {}", texts.join(", "))
            }
            Self::Alpn(protocol) => write!(f, "alpn {protocol}"),
            Self::Protocol(protocol) => write!(f, "protocol {protocol}"),
            Self::Header(line) => write!(f, "header {line}"),
            Self::Cookie(name) => write!(f, "cookie {name}"),
            Self::Path(path) => write!(f, "path {path}"),
            Self::Title(title) => write!(f, "title {title}"),
            Self::Body(text) => write!(f, "body {text}"),
            Self::Payload { server, octets } => {
                let side = if *server { "server" } else { "client" };
                write!(f, "payload {side} {}", octets.escape_ascii())
            }
            Self::Address(address) => write!(f, "address {address}"),
            Self::Ja4(print) => write!(f, "ja4 {print}"),
            Self::Txt(text) => write!(f, "txt {text}"),
        }
    }
}

impl Catalog {
    /// What the catalogue says of an example: the way that the same takes when it comes from the wire.
    pub fn judge(&self, given: &Given, port: u16) -> Option<Verdict> {
        let met = |look: &dyn Fn(&mut Met)| {
            let mut met = Met::default();
            look(&mut met);
            met.into_ids().into_iter().find_map(|id| self.pattern(id, port))
        };
        // Whether the workers look into pages or not.
        let patterns = self.all_patterns();
        match given {
            Given::Host(host) => self.host(host),
            Given::Mail(domain) => self.mail(domain),
            Given::Certificate(certificate) => self.certificate(certificate, port),
            Given::Alpn(protocol) => self.alpn(protocol),
            Given::Protocol(protocol) => self.protocol(protocol, port),
            Given::Header(line) => met(&|met| patterns.response_line(line.as_bytes(), met)),
            Given::Cookie(name) => {
                met(&|met| patterns.response_line(format!("Set-Cookie: {name}=x").as_bytes(), met))
            }
            Given::Path(path) => met(&|met| patterns.path(path.as_bytes(), met)),
            Given::Title(title) => {
                met(&|met| patterns.page(format!("<title>{title}</title>").as_bytes(), met))
            }
            Given::Body(text) => met(&|met| patterns.page(text.as_bytes(), met)),
            Given::Payload { server, octets } => met(&|met| {
                patterns.payload(*server, octets, met);
            }),
            Given::Address(address) => self.address(*address),
            Given::Ja4(print) => self.ja4(print),
            Given::Txt(text) => self.txt(text),
        }
    }
}

/// What is wrong with what came, if anything.
pub fn failure(catalog: &Catalog, entry: &Entry, example: &Example) -> Option<String> {
    let found = catalog.judge(&example.given, example.port);
    let owner = found.as_ref().and_then(|found| catalog.entry(&found.vendor.id));
    if !entry.own && owner.is_some_and(|owner| owner.own) {
        // The shipped file cannot know what an own one claims.
        return None;
    }
    let came = found.as_ref().map_or_else(
        || "none".to_owned(),
        |f| say(&f.vendor.id, f.role.name(), f.tenant.as_deref(), f.ambiguous),
    );
    let wanted = match &example.expect {
        Expect::Nobody => "none".to_owned(),
        Expect::Somebody(e) => {
            let vendor = e.vendor.as_deref().unwrap_or(&entry.vendor.id);
            let ambiguous = found.as_ref().is_some_and(|f| f.ambiguous);
            let ambiguous = e.ambiguous.unwrap_or(ambiguous);
            say(vendor, e.role.name(), e.tenant.as_deref(), ambiguous)
        }
    };
    let given = example.given.to_string();
    (came != wanted).then(|| format!("example {given:?}: expected {wanted}, got {came}"))
}

fn say(vendor: &str, role: &str, tenant: Option<&str>, ambiguous: bool) -> String {
    let tenant = tenant.map_or_else(|| "no tenant".to_owned(), |t| format!("tenant {t:?}"));
    let ambiguous = if ambiguous { ", ambiguous" } else { "" };
    format!("{vendor} as {role}, {tenant}{ambiguous}")
}
