//! The canonical key of a flow: both directions of a conversation have the same.

use std::hash::{Hash, Hasher};

use crate::decode::{Address, Endpoint, Segment, Transport};

/// Two ends in numeric order and the transport. VLAN tags are no part of it: a port mirror may tag one direction only.
///
/// Addresses and ports stand apart: two [`Endpoint`]s would take 16 octets of padding in each slot of the flow table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    low: Address,
    high: Address,
    low_port: u16,
    high_port: u16,
    pub transport: Transport,
}

/// One end of a key: the sender of a segment, or the client of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Low,
    High,
}

impl Side {
    pub const fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }
}

impl Key {
    /// The key of a segment, and which end sent it.
    pub fn of(segment: &Segment<'_>) -> (Self, Side) {
        let (source, destination) = (segment.source, segment.destination);
        let (low, high, sender) = if (source.ip, source.port) <= (destination.ip, destination.port)
        {
            (source, destination, Side::Low)
        } else {
            (destination, source, Side::High)
        };
        let (low_port, high_port, transport) = (low.port, high.port, segment.transport);
        (Self { low: low.ip, high: high.ip, low_port, high_port, transport }, sender)
    }

    pub const fn end(&self, side: Side) -> Endpoint {
        match side {
            Side::Low => Endpoint { ip: self.low, port: self.low_port },
            Side::High => Endpoint { ip: self.high, port: self.high_port },
        }
    }
}

/// In three strokes and not six: each costs about as much as a comparison of whole keys.
impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ports = u64::from(self.low_port) << 16 | u64::from(self.high_port);
        state.write_u128(self.low.number());
        state.write_u128(self.high.number());
        state.write_u64(ports << 1 | u64::from(self.transport == Transport::Tcp));
    }
}
