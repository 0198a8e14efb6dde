//! What a frame says: link, network and transport headers, as a [`Segment`]; or the countable reason why not.

mod address;
mod link;
mod network;
mod refusal;
mod transport;

#[cfg(test)]
mod tests;

pub use address::Address;
pub use refusal::Refusal;

use crate::capture::Frame;

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
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    pub source: Endpoint,
    pub destination: Endpoint,
    pub transport: Transport,
    /// `Some` exactly for TCP.
    pub tcp: Option<Tcp>,
    /// The outermost VLAN id, for evidence; no part of the flow key.
    pub vlan: Option<u16>,
    /// The identification of an IPv4 packet (RFC 791); 0 for IPv6.
    pub id: u16,
    /// What was captured of transport header and payload.
    pub datagram: &'a [u8],
    /// What was captured of the payload; may be shorter than `payload_len` (snaplen).
    pub payload: &'a [u8],
    /// Octets of payload on the wire, by the IP and UDP length fields.
    pub payload_len: u32,
    /// Octets of the whole frame on the wire.
    pub wire_len: u32,
}

/// Reads link, network and transport headers of one frame; copies and allocates nothing.
///
/// A frame cut by snaplen gives a segment wherever its ports were captured (for TCP: the 20 fixed octets of the header).
/// The length fields of IP and UDP say what was on the wire: padding of short Ethernet frames is no payload. A length field
/// of zero (segmentation offload, jumbograms) and one of UDP that cannot be are replaced by what the frame holds.
///
/// The first fragment of a datagram is passed on with the payload that it has, so that the ports and most names are seen;
/// later fragments have no ports and are refused as [`Refusal::Fragment`].
#[inline]
pub fn decode<'a>(frame: &Frame<'a>) -> Result<Segment<'a>, Refusal> {
    let inner = link::strip(frame)?;
    let packet = network::read(inner.version, inner.rest)?;
    let (ports, tcp, rest) = transport::read(packet.protocol, packet.rest)?;
    Ok(Segment {
        source: Endpoint { ip: packet.source, port: ports.0 },
        destination: Endpoint { ip: packet.destination, port: ports.1 },
        transport: if tcp.is_some() { Transport::Tcp } else { Transport::Udp },
        tcp,
        vlan: inner.vlan,
        id: packet.id,
        datagram: packet.rest.bytes,
        payload: rest.bytes,
        payload_len: rest.wire,
        wire_len: frame.wire_len,
    })
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
