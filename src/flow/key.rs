//! The canonical key of a flow: both directions of a conversation have the same.

use std::hash::{Hash, Hasher};

use crate::decode::{Endpoint, Segment, Transport};

/// Two ends in numeric order and the transport. VLAN tags are no part of it: a port mirror may tag one direction only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub low: Endpoint,
    pub high: Endpoint,
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
        let transport = segment.transport;
        if (source.ip, source.port) <= (destination.ip, destination.port) {
            (Self { low: source, high: destination, transport }, Side::Low)
        } else {
            (Self { low: destination, high: source, transport }, Side::High)
        }
    }

    pub const fn end(&self, side: Side) -> Endpoint {
        match side {
            Side::Low => self.low,
            Side::High => self.high,
        }
    }
}

/// In three strokes and not six: each costs about as much as a comparison of whole keys.
impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ports = u64::from(self.low.port) << 16 | u64::from(self.high.port);
        state.write_u128(self.low.ip.number());
        state.write_u128(self.high.ip.number());
        state.write_u64(ports << 1 | u64::from(self.transport == Transport::Tcp));
    }
}
