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

/// A [`Delta`] as a flow keeps it, in less room. Frames are counted in 32 bits: a flow reports each few seconds, and where it
/// cannot, a core takes ten minutes to read so many.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unreported {
    pub(super) since: Time,
    pub(super) sent: Few,
    pub(super) received: Few,
    pub(super) minute: u32,
    pub(super) minute_bursts: u32,
    pub(super) minute_payload: u64,
    pub(super) quiet: u64,
}

/// A [`Tally`] of few frames.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Few {
    bytes: u64,
    packets: u32,
    spoken: u32,
}

impl Few {
    /// One frame of so many octets on the wire.
    #[inline]
    pub(super) fn count(&mut self, bytes: u32, spoken: bool) {
        self.bytes += u64::from(bytes);
        self.packets = self.packets.saturating_add(1);
        self.spoken = self.spoken.saturating_add(u32::from(spoken));
    }

    pub(super) const fn is_empty(self) -> bool {
        self.packets == 0
    }
}

impl From<Few> for Tally {
    fn from(few: Few) -> Self {
        Self { bytes: few.bytes, packets: few.packets.into(), spoken: few.spoken.into() }
    }
}

impl Unreported {
    pub(super) const fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.received.is_empty()
    }

    pub(super) fn delta(&self) -> Delta {
        let Self { since, sent, received, minute, minute_bursts, minute_payload, quiet } = *self;
        let (sent, received) = (sent.into(), received.into());
        Delta { since, sent, received, minute, minute_payload, minute_bursts, quiet }
    }
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
