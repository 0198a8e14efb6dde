//! What a frame says: link, network and transport headers, through tunnels and fragments, as a [`Segment`]; or the countable
//! reason why not.

mod address;
mod counter;
mod decoder;
mod fragment;
mod link;
mod network;
mod options;
mod refusal;
mod short;
mod transport;
mod tunnel;
mod wireless;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod wrap;

pub use address::Address;
pub use counter::Counter;
pub use decoder::Decoder;
pub use options::{MAX_TUNNEL_DEPTH, Options};
pub use refusal::Refusal;
pub use tunnel::{Tunnel, Tunnels};

/// One end of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    pub ip: Address,
    pub port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    Tcp,
    Udp,
}

impl Transport {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// The part of a TCP header that flows need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    pub sequence: u32,
    pub acknowledgment: u32,
    pub syn: bool,
    pub ack: bool,
    pub fin: bool,
    pub rst: bool,
}

/// What a frame says once decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    pub source: Endpoint,
    pub destination: Endpoint,
    pub transport: Transport,
    /// `Some` exactly for TCP.
    pub tcp: Option<Tcp>,
    /// The outermost VLAN id, in a tunnel that of the frame inside if it has one; for evidence, no part of the flow key.
    pub vlan: Option<u16>,
    /// The identification of an IPv4 packet (RFC 791); 0 for IPv6.
    pub id: u16,
    /// What was captured of transport header and payload.
    pub datagram: &'a [u8],
    /// What it came through.
    pub tunnels: Tunnels,
    /// What was captured of the payload; may be shorter than `payload_len` (snaplen).
    pub payload: &'a [u8],
    /// Octets of payload on the wire, by the IP and UDP length fields.
    pub payload_len: u32,
    /// Octets on the wire of the whole frame; of a reassembled datagram, of all its frames.
    pub wire_len: u32,
}

/// What follows a header: the octets that were captured, and how many there were on the wire.
#[derive(Clone, Copy, Debug)]
struct Rest<'a> {
    bytes: &'a [u8],
    wire: u32,
}

impl<'a> Rest<'a> {
    /// Without its first `octets`, of which the capture may lack some.
    fn skip(self, octets: usize) -> Self {
        Self {
            bytes: self.bytes.get(octets..).unwrap_or_default(),
            wire: self.wire.saturating_sub(u32::try_from(octets).unwrap_or(u32::MAX)),
        }
    }

    /// Only the first `wire` octets: what is behind them is padding. More than the frame holds is what a cut frame says.
    fn limit(self, wire: u32) -> Self {
        let bytes = usize::try_from(wire).ok().and_then(|n| self.bytes.get(..n));
        Self { bytes: bytes.unwrap_or(self.bytes), wire }
    }
}
