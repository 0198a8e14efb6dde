//! What has to be said: findings, the cases that collect them, and the outbox that delivers them.

mod attack;
mod case;
pub mod event;
pub mod finding;
pub mod format;
pub mod lasting;
mod loss;
pub mod outbox;
mod reason;
mod session;
mod silent;
pub mod sink;
pub mod summary;
pub mod suppressed;
mod upload;

use serde::{Deserialize, Serialize};

pub use case::{Cases, Counter, LEFT, Raised, Row};
pub use event::{Event, Sensor};
pub use finding::{FINDINGS, Finding, FlowFacts, Severity, Sighting, Veil};
pub use lasting::{Cause, Lasting};
pub use loss::{LossOptions, Losses, Measure, Measured};
pub use outbox::{Outbox, SinkStats, audit_letters};
pub use reason::{Reason, Shallow};
pub use session::Session;
pub use silent::{DayOf, Met};
pub use summary::Summary;
pub use suppressed::{Contact, Kept, Suppressed};
pub use upload::Upload;

/// `[alert]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Days of packet time, from the first packet ever seen, in which `first_seen` only learns.
    pub learn_days: u32,
    /// A case says something at most once in so many hours.
    pub window_hours: u32,
    /// A case closes after so many hours without a contact.
    pub quiet_hours: u32,
    /// Open cases and learned (vendor, group) pairs, each; a vendor with thousands of tenants seen on the wire must not
    /// take all memory.
    pub max_cases: usize,
    /// Clients that all open cases together tell apart; beyond it counts are lower bounds and say so.
    pub max_clients: usize,
    /// Octets that a client may send a vendor in one hour before `upload_spike` looks at it.
    pub upload_floor: u64,
    /// Median absolute deviations above the median of the group's hours that are usual ...
    pub upload_deviations: u32,
    /// ... once so many days are known of the group and the vendor.
    pub upload_learn_days: u32,
    /// Clients a day, in the mean, that a sanctioned vendor must have had ...
    pub silent_clients: u32,
    /// ... over so many working days (fewer would call a project's end a silence) ...
    pub silent_known_days: u32,
    /// ... before so many without one raise `sanctioned_silent`: a week, so that no long weekend does.
    pub silent_days: u32,
    pub loss: LossOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            learn_days: 14,
            window_hours: 24,
            quiet_hours: 24,
            max_cases: 10_000,
            max_clients: 1_000_000,
            upload_floor: 50_000_000,
            upload_deviations: 8,
            upload_learn_days: 28,
            silent_clients: 5,
            silent_known_days: 20,
            silent_days: 5,
            loss: LossOptions::default(),
        }
    }
}

impl Options {
    /// Octets that cases can hold at most.
    pub fn memory(&self) -> u64 {
        // A case: 20 names of clients and 5 flows of at most 255 octets a name, and its key; a client: 8 octets of hash in a
        // set that is at least half full; a learned pair: two short names.
        (self.max_cases as u64) * (8_192 + 256 + upload::USUAL_MEMORY)
            + (self.max_clients as u64) * 18
            + upload::SENDERS_MEMORY
            + silent::MEMORY
            + Suppressed::MEMORY
    }
}
