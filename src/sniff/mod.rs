//! What the opening of a flow says: sniffers without clock and I/O, one file each, and the table that lists them.

mod certificate;
mod database;
pub(crate) mod dhcp;
pub mod dns;
mod dtls;
mod encrypted_dns;
mod evidence;
pub mod http;
mod http2;
mod ldap;
mod line;
pub mod native;
mod patterns;
mod payload;
mod pieces;
mod progress;
mod proxy_protocol;
pub mod quic;
mod reader;
mod response;
mod smtp;
mod socks;
mod starttls;
mod tls;
mod x509;
mod xmpp;

#[cfg(test)]
pub(crate) mod tests;

pub use dns::{DnsAnswer, DnsMessage};
pub use encrypted_dns::{encrypted_dns, private_relay};
pub use evidence::{
    Carrier, Certificate, ClientHello, Dhcp, DhcpEvent, EchOffer, EchOuter, Evidence, HttpRequest,
    HttpResponse, MAX_NAME, Native, Smtp, Tunnel, TunnelKind,
};
pub use patterns::{MAX_MET, MAX_PATTERN, Met, PatternId, Patterns, Sought};
pub use progress::{Counter, MAX_DEPTH, Progress, Wants};
pub use tls::Ja4;

/// Every sniffer, in the order in which they are asked. A new one is a file, a `mod` line and a row here.
pub const SNIFFERS: &[Sniffer] = &[
    Sniffer {
        name: "tls",
        help: "TLS ClientHello over TCP",
        over: Over::Stream { sniff: tls::sniff, cut_short: tls::cut_short },
    },
    Sniffer {
        name: "http",
        help: "HTTP/1 requests, and the first of HTTP/2 without TLS",
        over: Over::Stream { sniff: http::sniff, cut_short: http::cut_short },
    },
    Sniffer {
        name: "dns_tcp",
        help: "DNS over TCP",
        over: Over::Stream { sniff: dns::stream::sniff, cut_short: dns::stream::cut_short },
    },
    Sniffer {
        name: "proxy_protocol",
        help: "the PROXY header in front of a stream",
        over: Over::Stream { sniff: proxy_protocol::sniff, cut_short: |_| None },
    },
    Sniffer {
        name: "socks",
        help: "SOCKS 4, 4a and 5",
        over: Over::Stream { sniff: socks::sniff, cut_short: socks::cut_short },
    },
    Sniffer {
        name: "smtp",
        help: "SMTP, submission and LMTP",
        over: Over::Stream { sniff: smtp::sniff, cut_short: smtp::cut_short },
    },
    Sniffer {
        name: "starttls",
        help: "TLS inside IMAP, POP3, FTP, NNTP and ManageSieve",
        over: Over::Stream { sniff: starttls::sniff, cut_short: |_| None },
    },
    Sniffer {
        name: "xmpp",
        help: "TLS inside XMPP",
        over: Over::Stream { sniff: xmpp::sniff, cut_short: |_| None },
    },
    Sniffer {
        name: "ldap",
        help: "TLS inside LDAP",
        over: Over::Stream { sniff: ldap::sniff, cut_short: |_| None },
    },
    Sniffer {
        name: "database",
        help: "TLS inside PostgreSQL and MySQL",
        over: Over::Stream { sniff: database::sniff, cut_short: |_| None },
    },
    Sniffer {
        name: "rdp",
        help: "Remote Desktop connection requests",
        over: Over::Stream { sniff: native::rdp::sniff, cut_short: native::rdp::cut_short },
    },
    Sniffer {
        name: "rfb",
        help: "VNC greetings",
        over: Over::Stream { sniff: native::rfb::sniff, cut_short: native::rfb::cut_short },
    },
    Sniffer {
        name: "teamviewer",
        help: "TeamViewer over TCP",
        over: Over::Stream {
            sniff: native::teamviewer::sniff,
            cut_short: native::teamviewer::cut_short,
        },
    },
    Sniffer {
        name: "radmin",
        help: "Radmin over TCP",
        over: Over::Stream { sniff: native::radmin::sniff, cut_short: native::radmin::cut_short },
    },
    Sniffer {
        name: "dameware",
        help: "DameWare greetings",
        over: Over::Stream {
            sniff: native::dameware::sniff,
            cut_short: native::dameware::cut_short,
        },
    },
    Sniffer {
        name: "rustdesk",
        help: "RustDesk over TCP",
        over: Over::Stream {
            sniff: native::rustdesk::sniff,
            cut_short: native::rustdesk::cut_short,
        },
    },
    Sniffer {
        name: "openvpn",
        help: "OpenVPN over TCP",
        over: Over::Stream { sniff: native::openvpn::sniff, cut_short: native::openvpn::cut_short },
    },
    Sniffer {
        name: "stun",
        help: "STUN and TURN over TCP",
        over: Over::Stream { sniff: native::stun::sniff, cut_short: native::stun::cut_short },
    },
    Sniffer {
        name: "payload",
        help: "First octets of a stream that signatures look for",
        over: Over::Stream { sniff: payload::sniff, cut_short: |_| None },
    },
    Sniffer {
        name: "http_response",
        help: "HTTP/1 headers, cookies and paths that signatures look for",
        over: Over::Reply(response::sniff),
    },
    Sniffer {
        name: "certificate",
        help: "server certificates up to TLS 1.2",
        over: Over::Reply(certificate::sniff),
    },
    Sniffer { name: "dns", help: "DNS over UDP, mDNS and LLMNR", over: Over::Datagrams(dns::step) },
    Sniffer { name: "dhcp", help: "DHCP for IPv4 and IPv6", over: Over::Datagrams(dhcp::step) },
    Sniffer {
        name: "quic",
        help: "TLS ClientHello in QUIC Initials",
        over: Over::Datagrams(quic::step),
    },
    Sniffer { name: "dtls", help: "DTLS ClientHello", over: Over::Datagrams(dtls::step) },
    Sniffer {
        name: "stun_udp",
        help: "STUN and TURN over UDP, and RTP without them",
        over: Over::Datagrams(native::stun::step),
    },
    Sniffer {
        name: "rdp_udp",
        help: "Remote Desktop over UDP",
        over: Over::Datagrams(native::rdp::step),
    },
    Sniffer {
        name: "teamviewer_udp",
        help: "TeamViewer between two ends",
        over: Over::Datagrams(native::teamviewer::step),
    },
    Sniffer {
        name: "rustdesk_udp",
        help: "RustDesk's registration",
        over: Over::Datagrams(native::rustdesk::step),
    },
    Sniffer {
        name: "wireguard",
        help: "WireGuard",
        over: Over::Datagrams(native::wireguard::step),
    },
    Sniffer {
        name: "ike",
        help: "IKE and IPsec within UDP",
        over: Over::Datagrams(native::ike::step),
    },
    Sniffer {
        name: "openvpn_udp",
        help: "OpenVPN over UDP",
        over: Over::Datagrams(native::openvpn::step),
    },
];

/// One row of [`SNIFFERS`].
#[derive(Clone, Copy, Debug)]
pub struct Sniffer {
    /// Also the value of the label `sniffer`.
    pub name: &'static str,
    pub help: &'static str,
    pub over: Over,
}

#[derive(Clone, Copy, Debug)]
pub enum Over {
    /// What the client says, and with it whose protocol the stream is: the first of them that finds something ends the
    /// asking of all the others.
    Stream {
        /// A function of the two openings, asked again each time that they have grown.
        sniff: fn(&Openings<'_>) -> Answer,
        /// What is certain of openings that will not grow any more.
        cut_short: fn(&Openings<'_>) -> Option<Evidence>,
    },
    /// What the server says, asked beside the others and after them: a certificate, the head of a response. It answers
    /// `Found` at most once. Where no more will come, it is asked a last time, and `NeedMore` is then as good as `NotMine`.
    Reply(fn(&Openings<'_>) -> Answer),
    /// A step: state, whether the client sent it, datagram.
    Datagrams(fn(&mut State, bool, &[u8]) -> Answer),
}

/// The first in-order bytes of each direction of a stream, from the offset at which the sniffer was told to begin.
#[derive(Clone, Copy, Debug)]
pub struct Openings<'a> {
    pub client: &'a [u8],
    pub server: &'a [u8],
    /// The sniffer asked has emitted a message of this stream before: the openings begin behind it.
    pub emitted: bool,
    /// No more will come: what is certain is asked for.
    pub ended: bool,
    /// What signatures look for in bytes.
    pub patterns: &'a Patterns,
}

impl<'a> Openings<'a> {
    pub const fn new(client: &'a [u8], server: &'a [u8], patterns: &'a Patterns) -> Self {
        Self { client, server, emitted: false, ended: false, patterns }
    }
}

/// What a datagram sniffer remembers of a flow.
#[derive(Debug, Default)]
pub struct State {
    /// The sniffer's own.
    pub word: u32,
    /// How often keys were tried, and one; 0 while nothing looked like QUIC.
    pub tried: u8,
    /// A record of DTLS was seen.
    pub dtls: bool,
    /// A bound of the sniffer bit in this step.
    pub limited: bool,
    /// What was found in this step was said by the client, and that is the side given as the server's.
    pub swapped: bool,
    /// Octets kept of a hello that comes in several datagrams.
    pub kept: Option<Box<Kept>>,
}

/// What a sniffer over datagrams holds back until it is whole.
#[derive(Debug)]
pub enum Kept {
    Quic(quic::Assembly),
    Dtls(dtls::Flight),
    Rtp(native::rtp::Call),
}

impl Kept {
    /// Octets of memory that it takes.
    fn octets(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Quic(assembly) => assembly.octets(),
                Self::Dtls(flight) => flight.octets(),
                Self::Rtp(_) => 0,
            }
    }

    /// The sniffer that holds it.
    const fn sniffer(&self) -> &'static str {
        match self {
            Self::Quic(_) => "quic",
            Self::Dtls(_) => "dtls",
            Self::Rtp(_) => "stun_udp",
        }
    }

    /// What is certain of it when nothing more comes, and whether the side given as the client's said it.
    fn cut_short(&self) -> (Option<Evidence>, bool) {
        match self {
            Self::Quic(assembly) => assembly.cut_short(),
            Self::Dtls(flight) => flight.cut_short(),
            Self::Rtp(_) => (None, true),
        }
    }
}

/// The five answers of a sniffer.
#[derive(Debug)]
pub enum Answer {
    /// These bytes are not of my protocol; do not ask again.
    NotMine,
    /// They may be; ask again when there are more. Too short is never an error.
    NeedMore,
    /// All that I can tell.
    Found(Evidence),
    /// One message is done, of so many bytes of the client and of the server; go on with what follows.
    Emit(Evidence, usize, usize),
    /// Start again, with every sniffer, on what follows these offsets (client, server): STARTTLS, CONNECT, SOCKS, PROXY. A
    /// server's offset of [`NOT_YET`] has the sniffer asked for it again when the server says more.
    Inside(Option<Evidence>, usize, usize),
}

/// The client went on, and what the server answered is not there: it may come later, or the tap shows one direction.
pub const NOT_YET: usize = usize::MAX;
