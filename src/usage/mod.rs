//! Who uses what: the inventory of usages and how deep each use is.

mod activity;
mod candidates;
mod crowd;
mod hourly;
mod inventory;
mod ledger;
mod options;
mod retire;
#[cfg(test)]
mod tests;
mod visibility;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::identity::ClientKind;
use crate::signature::{Deployment, Role};
use crate::time::Time;

pub use self::activity::{Activity, Pulse};
pub use self::candidates::{Candidate, Candidates, MEMORY as CANDIDATES_MEMORY, Ticket};
pub use self::crowd::{Crowds, DNS_RECORD};
pub use self::hourly::{HourCounter, HourUsage, Hours, OTHER, Over, beginning, hour_of};
pub use self::inventory::{Counter, Inventory};
pub use self::ledger::counts;
pub use self::options::Options;
pub use self::retire::PAST;
pub use self::visibility::{Share, Shares, Visibility};

/// How deep the use is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engagement {
    /// Seconds.
    Glance,
    /// Minutes.
    Visit,
    /// By the thresholds of `[usage]`.
    Use,
}

impl Engagement {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Glance => "glance",
            Self::Visit => "visit",
            Self::Use => "use",
        }
    }
}

/// What a usage is counted by. State is no part of it: it is computed from the policy in force when it is shown or sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    pub group: Arc<str>,
    pub client: Arc<str>,
    /// Vendor id.
    pub vendor: Arc<str>,
    pub tenant: Option<Arc<str>>,
    pub role: Role,
}

/// What one report of one flow adds to a usage.
#[derive(Clone, Debug)]
pub struct Addition {
    pub at: Time,
    pub client_kind: ClientKind,
    /// The name was `ambiguous`; the flow was an agent companion.
    pub ambiguous: bool,
    pub agent: bool,
    /// 1 with the first report of a flow, then 0.
    pub flows: u64,
    /// 1 with the report that shows a session in the flow, else 0.
    pub sessions: u64,
    pub deployment: Deployment,
    /// Octets on the wire, client to server and back.
    pub sent: u64,
    pub received: u64,
    /// The minute (since the epoch) in which the client sent `minute_payload` octets of payload in `minute_bursts` bursts
    /// beyond the flow's keep-alive rhythm.
    pub minute: u32,
    pub minute_payload: u64,
    pub minute_bursts: u32,
    /// Octets of `sent` that kept connections alive.
    pub quiet: u64,
}

#[cfg(test)]
impl Addition {
    /// The first report of a flow of one machine, without a minute of activity.
    pub fn first(at: Time, sent: u64, received: u64) -> Self {
        Self {
            at,
            client_kind: ClientKind::Host,
            ambiguous: false,
            agent: false,
            flows: 1,
            sessions: 0,
            deployment: Deployment::Cloud,
            sent,
            received,
            minute: at.minute(),
            minute_payload: 0,
            minute_bursts: 0,
            quiet: 0,
        }
    }
}

/// How a usage stands after an addition was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub engagement: Engagement,
    /// What it was before this addition; `None` where the usage is new.
    pub before: Option<Engagement>,
    /// Of the day (UTC) of the addition.
    pub active_minutes_today: u32,
    /// Octets from client to server on that day, without those that kept connections alive.
    pub sent_today: u64,
    /// Which threshold gave the engagement.
    pub threshold: Option<&'static str>,
    /// This addition began the usage.
    pub first_flow: bool,
    /// This addition made a minute active.
    pub worked: bool,
}

/// One usage over time. Active minutes and engagement are those of the ledger (group, client, vendor, tenant) over the
/// counting roles; a minute is told in the row whose flow completed it, so that the rows of a ledger add up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub kind: ClientKind,
    /// Of all its flows; `both` where they differ or an older version did not say.
    #[serde(default = "unsettled")]
    pub deployment: Deployment,
    pub flows: u64,
    /// Flows of them in which somebody was connected.
    #[serde(default)]
    pub sessions: u64,
    /// Octets on the wire, client to server and back.
    pub sent: u64,
    pub received: u64,
    pub active_minutes: u64,
    pub first: Time,
    pub last: Time,
    /// The deepest of any day; `glance` for roles that do not count.
    pub engagement: Engagement,
    /// By day; as many as the window of `[usage]` needs.
    pub days: Vec<Day>,
}

impl Usage {
    fn new(addition: &Addition) -> Self {
        Self {
            kind: addition.client_kind,
            deployment: addition.deployment,
            flows: 0,
            sessions: 0,
            sent: 0,
            received: 0,
            active_minutes: 0,
            first: addition.at,
            last: addition.at,
            engagement: Engagement::Glance,
            days: Vec::new(),
        }
    }
}

const fn unsettled() -> Deployment {
    Deployment::Both
}

/// One day (UTC) of a usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Days since the epoch.
    pub day: u32,
    /// Active minutes, and those that were active without what went to ambiguous names.
    pub active: u32,
    pub clear: u32,
    /// Octets sent beyond the keep-alive rhythm, and those of them that went to names that are not ambiguous.
    pub sent: u64,
    pub clear_sent: u64,
    /// An agent companion was seen.
    pub agent: bool,
}
