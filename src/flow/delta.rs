//! What a flow did since it was last reported: octets, frames and client activity.

use serde::Serialize;

use crate::time::Time;

/// Octets on the wire and frames of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub bytes: u64,
    pub packets: u64,
    /// Frames with payload among them: what was said, and not only acknowledged.
    #[serde(skip)]
    pub spoken: u64,
}

impl Tally {
    pub const fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.packets += other.packets;
        self.spoken += other.spoken;
    }
}

/// What a flow did since it was last reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// When it was last reported; its beginning where that never was.
    pub since: Time,
    /// Client to server, and back.
    pub sent: Tally,
    pub received: Tally,
    /// The minute of the last client activity, its octets of payload and bursts beyond the keep-alive rhythm.
    pub minute: u32,
    pub minute_payload: u64,
    pub minute_bursts: u32,
    /// Octets of payload that the client sent in the keep-alive rhythm.
    pub quiet: u64,
}

impl Delta {
    pub const fn is_empty(&self) -> bool {
        self.sent.packets == 0 && self.received.packets == 0
    }

    /// Adds octets and frames of another; minutes have no meaning in such a sum.
    pub const fn add(&mut self, other: &Self) {
        self.sent.add(&other.sent);
        self.received.add(&other.received);
    }
}
