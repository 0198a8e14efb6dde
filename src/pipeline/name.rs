//! A name of a flow, how it was seen, and which of several decides.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::Serialize;

use crate::sniff::{Carrier, TunnelKind};

/// How a flow was seen to be named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Name {
    pub via: Via,
    pub name: Arc<str>,
}

impl Name {
    /// Whether it is an address, with a port or without, and no name.
    pub fn is_address(&self) -> bool {
        let bare = self.name.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok() || self.name.parse::<SocketAddr>().is_ok()
    }
}

/// Where a name comes from, by the order of what it proves: an address can be anybody's, a handshake is the client's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// A question in the flow itself: it names what was asked for, not the flow.
    DnsQuery,
    /// The address alone.
    Address,
    /// The verdict of an earlier flow between the same ends.
    Remembered,
    /// Its server is declared in `[own]`.
    OwnServer,
    /// The protocol is a product's own: by what it says first,
    Payload,
    /// by what a client offers within TLS,
    Alpn,
    /// or by a sniffer that knows it.
    Native,
    /// How its client says hello; programs share TLS libraries.
    Ja4,
    /// An answer that gave the client the server's address.
    Dns,
    Smtp,
    Certificate,
    HttpResponse,
    /// What a proxy was asked for.
    Socks,
    ProxyProtocol,
    HttpHost,
    DtlsSni,
    QuicSni,
    TlsSni,
}

impl Via {
    pub const fn name(self) -> &'static str {
        match self {
            Self::DnsQuery => "dns_query",
            Self::Address => "address",
            Self::Remembered => "remembered",
            Self::OwnServer => "own_server",
            Self::Payload => "payload",
            Self::Alpn => "alpn",
            Self::Native => "native",
            Self::Ja4 => "ja4",
            Self::Dns => "dns",
            Self::Smtp => "smtp",
            Self::Certificate => "certificate",
            Self::HttpResponse => "http_response",
            Self::Socks => "socks",
            Self::ProxyProtocol => "proxy_protocol",
            Self::HttpHost => "http_host",
            Self::DtlsSni => "dtls_sni",
            Self::QuicSni => "quic_sni",
            Self::TlsSni => "tls_sni",
        }
    }

    /// The ends themselves said it, in the flow that it names.
    pub const fn is_handshake(self) -> bool {
        self.rank() >= Self::Certificate.rank()
    }

    /// It is the name of a host, as the catalogue of names knows it.
    pub const fn is_host(self) -> bool {
        matches!(self, Self::Dns | Self::Remembered | Self::Smtp) || self.rank() > Self::Smtp.rank()
    }

    /// It shows the product itself, whatever host name it goes by: on premise that is anybody's.
    pub const fn is_product(self) -> bool {
        matches!(
            self,
            Self::Payload | Self::Alpn | Self::Native | Self::Certificate | Self::HttpResponse
        )
    }

    /// A name of a higher rank decides alone; one of a lower rank helps where the higher is nobody's. What both ends say in
    /// the clear has one rank: the last of it owns what follows.
    pub const fn rank(self) -> u8 {
        match self {
            Self::DnsQuery => 0,
            Self::Address => 1,
            Self::Remembered | Self::OwnServer => 2,
            Self::Payload | Self::Alpn | Self::Native | Self::Ja4 => 3,
            Self::Dns => 4,
            Self::Smtp | Self::Certificate | Self::HttpResponse => 5,
            Self::Socks | Self::ProxyProtocol | Self::HttpHost => 6,
            Self::DtlsSni | Self::QuicSni | Self::TlsSni => 6,
        }
    }
}

impl From<Carrier> for Via {
    fn from(carrier: Carrier) -> Self {
        match carrier {
            Carrier::Tcp => Self::TlsSni,
            Carrier::Quic => Self::QuicSni,
            Carrier::Dtls => Self::DtlsSni,
        }
    }
}

impl From<TunnelKind> for Via {
    fn from(kind: TunnelKind) -> Self {
        match kind {
            TunnelKind::Socks => Self::Socks,
            TunnelKind::ProxyProtocol => Self::ProxyProtocol,
        }
    }
}
