//! What a frame says: link, network and transport headers, as a [`Segment`]; or the countable reason why not.

mod address;

pub use address::Address;

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
    /// What was captured of the payload; may be shorter than `payload_len` (snaplen).
    pub payload: &'a [u8],
    /// Octets of payload on the wire, by the IP and UDP length fields.
    pub payload_len: u32,
    /// Octets of the whole frame on the wire.
    pub wire_len: u32,
}
