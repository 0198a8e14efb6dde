//! `[usage]`: the thresholds of engagement, and how much is kept.

use serde::{Deserialize, Serialize};

/// `[usage]`. Days are of UTC and of packet time.
#[derive(Deserialize, Serialize, Clone, Debug, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// A minute is active where the client sent at least this many octets of payload ...
    pub minute_payload: u64,
    /// ... in at least this many bursts, over all flows of counting roles to one tenant.
    pub minute_bursts: u32,
    /// Active minutes of a day that make a visit.
    pub visit_minutes: u32,
    /// Active minutes of a day that make a use.
    pub use_minutes: u32,
    /// Days with an active minute that make a use; clients of kind `host` only.
    pub use_days: u32,
    /// ... within this many days.
    pub use_window_days: u32,
    /// Octets sent in a day, by counting roles and beyond the keep-alive rhythm, that make a use.
    pub use_sent: u64,
    /// Active minutes that make a use of an ambiguous name without an agent companion ...
    pub ambiguous_minutes: u32,
    /// ... on each of this many days within the window; clients of kind `host` only.
    pub ambiguous_days: u32,
    /// Remote assistance and media: a flow is a session, and more than the presence of an agent, once both ends had much to
    /// say for so many seconds ...
    pub session_seconds: u32,
    /// ... together so many octets on the wire a second.
    pub session_rate: u32,
    /// Usages kept in memory; the oldest give way.
    pub max_usages: usize,
    /// Tenants kept apart for one vendor; further ones count as tenant `other`.
    pub max_tenants_per_vendor: usize,
    /// Rows (client, vendor, tenant, role) of the present hour, and of those that are not yet told, kept in memory; what is beyond
    /// counts for client `other`.
    pub max_hour_rows: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            minute_payload: 2_000,
            minute_bursts: 3,
            visit_minutes: 2,
            use_minutes: 10,
            use_days: 3,
            use_window_days: 14,
            use_sent: 5_000_000,
            ambiguous_minutes: 30,
            ambiguous_days: 3,
            session_seconds: 30,
            session_rate: 500,
            max_usages: 200_000,
            max_tenants_per_vendor: 1_000,
            max_hour_rows: 50_000,
        }
    }
}

impl Options {
    /// Octets that the inventory can hold at most.
    pub fn memory(&self) -> u64 {
        let days = self.days_kept() as u64 * DAY_OCTETS;
        (self.max_usages as u64).saturating_mul(USAGE_OCTETS.saturating_add(days))
    }

    /// The same for hours that are not told.
    pub const fn hours_memory(&self) -> u64 {
        (self.max_hour_rows as u64).saturating_mul(HOUR_OCTETS)
    }

    /// Days of detail kept for each usage: the window, and one more for what comes late.
    pub(super) fn days_kept(&self) -> usize {
        self.use_window_days.clamp(1, MOST_WINDOW_DAYS) as usize + 1
    }
}

/// A longer window would judge by days that retention (30 days) has erased.
const MOST_WINDOW_DAYS: u32 = 30;

/// Octets of one day of detail.
const DAY_OCTETS: u64 = size_of::<super::Day>() as u64;

/// Octets of a row of an hour: its place in a map that may be half empty, in the queue of changes, and its texts.
const HOUR_OCTETS: u64 = 600;

/// Octets of a usage without its days: the row, its ledger with open minutes, map entries, the key (in the maps, in the
/// queue of changes, and in the sweep that evicts) and a tenant's name.
const USAGE_OCTETS: u64 = 1_000;
