//! What names a flow, and how: the values that sniffers answer with.

use std::net::IpAddr;

use super::PatternId;
use super::dns::DnsMessage;
use super::tls::Ja4;

/// Octets of a name that is still taken for one. DNS allows 253 (RFC 1035 section 2.3.4); attacks on servers come with longer
/// ones, which an analyst wants to see, but one flow must not carry 16 KiB of them to the collector.
pub const MAX_NAME: usize = 1_024;

/// Names are lossy UTF-8 as they stood on the wire; whoever matches them lower-cases them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    Tls(ClientHello),
    Certificate(Certificate),
    Http(HttpRequest),
    HttpResponse(HttpResponse),
    /// First octets that signatures look for.
    Payload(Vec<PatternId>),
    Dns(DnsMessage),
    Smtp(Smtp),
    Dhcp(Dhcp),
    Tunnel(Tunnel),
    Native(Native),
}

impl Evidence {
    /// A bound cut it short.
    pub const fn is_limited(&self) -> bool {
        matches!(self, Self::Certificate(certificate) if certificate.left_out > 0)
    }

    /// Octets that it holds beside itself, about.
    pub fn octets(&self) -> usize {
        match self {
            Self::Tls(hello) => {
                let print = hello.ja4.as_ref().map_or(0, Ja4::octets);
                len(hello.sni.as_deref()) + print + all(&hello.alpn)
            }
            Self::Certificate(certificate) => {
                let texts = [&certificate.subject, &certificate.issuer, &certificate.organisation];
                all(&certificate.names)
                    + texts.map(|text| len(text.as_deref())).iter().sum::<usize>()
            }
            Self::Http(request) => len(request.host.as_deref()),
            Self::Payload(patterns) => patterns.len() * size_of::<PatternId>(),
            Self::HttpResponse(response) => response.patterns.len() * size_of::<PatternId>(),
            Self::Smtp(smtp) => {
                let texts = [&smtp.greeting, &smtp.hello, &smtp.sender];
                all(&smtp.recipients) + texts.map(|text| len(text.as_deref())).iter().sum::<usize>()
            }
            Self::Dhcp(dhcp) => {
                len(dhcp.name.as_deref()) + dhcp.addresses.len() * size_of::<(IpAddr, u32)>()
            }
            Self::Tunnel(tunnel) => tunnel.host.len(),
            Self::Native(_) => 0,
            Self::Dns(message) => message.octets(),
        }
    }
}

fn len(text: Option<&str>) -> usize {
    text.map_or(0, str::len)
}

fn all(texts: &[Box<str>]) -> usize {
    texts.iter().map(|text| text.len() + size_of::<Box<str>>()).sum()
}

/// A ClientHello (RFC 8446 section 4.1.2).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ClientHello {
    pub carrier: Carrier,
    /// host_name of server_name (RFC 6066 section 3).
    pub sni: Option<Box<str>>,
    /// ALPN (RFC 7301) in the client's order.
    pub alpn: Vec<Box<str>>,
    /// supported_versions without GREASE, or legacy_version where the extension is absent.
    pub versions: Vec<u16>,
    pub ech: Option<Box<EchOffer>>,
    /// The JA4 fingerprint; `None` of a hello that was cut short.
    pub ja4: Option<Ja4>,
}

/// What a ClientHello travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Carrier {
    #[default]
    Tcp,
    Quic,
    Dtls,
}

/// The first certificate of a server, in the clear up to TLS 1.2 (RFC 5280 section 4.1).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Certificate {
    /// dNSNames of the subject alternative name, in their order.
    pub names: Vec<Box<str>>,
    /// Common name of the subject.
    pub subject: Option<Box<str>>,
    /// Common name of the issuer.
    pub issuer: Option<Box<str>>,
    /// Organisation of the subject, else of the issuer.
    pub organisation: Option<Box<str>>,
    /// Names beyond the bound.
    pub left_out: u32,
}

impl Certificate {
    /// It says nothing.
    pub const fn is_empty(&self) -> bool {
        self.names.is_empty()
            && self.subject.is_none()
            && self.issuer.is_none()
            && self.organisation.is_none()
    }
}

/// The extension of a hello under which its true name may be hidden: facts, no judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EchOffer {
    /// encrypted_client_hello of an outer hello, real or GREASE (RFC 9849 section 5).
    Outer(EchOuter),
    /// encrypted_client_hello of an inner hello: a client-facing server has opened it, the name is the true one.
    Inner,
    /// encrypted_server_name, the draft before ECH.
    Esni,
    /// encrypted_client_hello with a body that no version has.
    Malformed,
}

/// What an outer hello shows of ECH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchOuter {
    /// KDF and AEAD ids (RFC 9180 sections 7.2 and 7.3).
    pub suite: (u16, u16),
    pub config_id: u8,
    /// Octets of the encapsulated key; 0 in the second hello of a handshake.
    pub enc: u16,
    /// Octets of the encrypted inner hello.
    pub payload: u16,
    /// The first octets of SHA-256 over the body: a second hello repeats it, or does not.
    pub digest: u64,
}

/// An HTTP/1 request head.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct HttpRequest {
    /// Host header without port, or the authority of an absolute-form target.
    pub host: Option<Box<str>>,
    /// The port that stood behind the host.
    pub port: Option<u16>,
}

/// The head of an HTTP/1 response, and of the request before it, as far as signatures ask for it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct HttpResponse {
    /// Those that were met.
    pub patterns: Vec<PatternId>,
}

/// What an SMTP conversation says of its ends before it is encrypted (RFC 5321). Never a local part.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Smtp {
    /// Host name in the server's greeting.
    pub greeting: Option<Box<str>>,
    /// Host name in HELO, EHLO or LHLO.
    pub hello: Option<Box<str>>,
    /// Domain of MAIL FROM.
    pub sender: Option<Box<str>>,
    /// Domains of RCPT TO, each once.
    pub recipients: Vec<Box<str>>,
}

/// What a machine and its DHCP server say of its addresses (RFC 2131, RFC 8415).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dhcp {
    pub event: DhcpEvent,
    /// The hardware address, where the message shows one.
    pub mac: Option<[u8; 6]>,
    /// Host name that the client gave.
    pub name: Option<Box<str>>,
    /// Addresses, and the seconds for which a server gave them.
    pub addresses: Vec<(IpAddr, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DhcpEvent {
    Asked,
    Granted,
    Released,
}

/// The host that a client asked a proxy for, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    pub kind: TunnelKind,
    pub host: Box<str>,
    pub port: Option<u16>,
}

/// Which protocol of proxies said so; HTTP has an evidence of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelKind {
    Socks,
    ProxyProtocol,
}

/// A protocol that is a product's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Native {
    /// As signatures name it: `teamviewer`, `rdp` ...
    pub protocol: &'static str,
}
