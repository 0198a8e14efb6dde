//! What names a flow, and how: the values that sniffers answer with.

use std::net::IpAddr;

/// Octets of a name that is still taken for one. DNS allows 253 (RFC 1035 section 2.3.4); attacks on servers come with longer
/// ones, which an analyst wants to see, but one flow must not carry 16 KiB of them to the collector.
pub const MAX_NAME: usize = 1_024;

/// Names are lossy UTF-8 as they stood on the wire; whoever matches them lower-cases them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    Tls(ClientHello),
    Http(HttpRequest),
    Dns(DnsMessage),
}

impl Evidence {
    /// Octets that it holds beside itself, about.
    pub fn octets(&self) -> usize {
        match self {
            Self::Tls(hello) => {
                let names = hello.alpn.iter().map(|n| n.len() + size_of::<Box<str>>());
                hello.sni.as_ref().map_or(0, |n| n.len()) + names.sum::<usize>()
            }
            Self::Http(request) => request.host.as_ref().map_or(0, |n| n.len()),
            Self::Dns(message) => {
                let answer = |a: &DnsAnswer| size_of::<DnsAnswer>() + a.name.len() + a.data.len();
                message.question.len() + message.answers.iter().map(answer).sum::<usize>()
            }
        }
    }
}

/// A ClientHello (RFC 8446 section 4.1.2).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ClientHello {
    /// host_name of server_name (RFC 6066 section 3).
    pub sni: Option<Box<str>>,
    /// ALPN (RFC 7301) in the client's order.
    pub alpn: Vec<Box<str>>,
    /// supported_versions without GREASE, or legacy_version where the extension is absent.
    pub versions: Vec<u16>,
    pub ech: Ech,
}

/// What is known of encrypted_client_hello in a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ech {
    #[default]
    None,
    Grease,
    Real,
    /// The extension is there; whether real or GREASE is not known.
    Unknown,
}

/// An HTTP/1 request head.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct HttpRequest {
    /// Host header without port, or the authority of an absolute-form target.
    pub host: Option<Box<str>>,
    /// The port that stood behind the host.
    pub port: Option<u16>,
}

/// One DNS message (RFC 1035 section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsMessage {
    pub id: u16,
    pub response: bool,
    pub rcode: u8,
    pub question: Box<str>,
    pub qtype: u16,
    pub answers: Vec<DnsAnswer>,
}

/// One record of the answer section, with its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsAnswer {
    pub name: Box<str>,
    /// TYPE as a number; shown by its mnemonic.
    pub rtype: u16,
    pub ttl: u32,
    /// Presentation form of the data: an address, a target name ...
    pub data: Box<str>,
    /// The address of an A or AAAA record.
    pub address: Option<IpAddr>,
}
