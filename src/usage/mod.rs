//! Who uses what: the inventory of usages and how deep each use is.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::identity::ClientKind;
use crate::signature::Role;
use crate::time::Time;

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
    /// Octets on the wire, client to server and back.
    pub sent: u64,
    pub received: u64,
    /// The minute (since the epoch) in which the client sent `minute_payload` octets of payload in `minute_bursts` bursts
    /// beyond the flow's keep-alive rhythm.
    pub minute: u32,
    pub minute_payload: u64,
    pub minute_bursts: u32,
}

/// How a usage stands after an addition was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub engagement: Engagement,
    /// What it was before this addition; `None` where the usage is new.
    pub before: Option<Engagement>,
    /// Of the day (UTC) of the addition.
    pub active_minutes_today: u32,
    /// Octets from client to server on that day.
    pub sent_today: u64,
    /// Which threshold gave the engagement.
    pub threshold: Option<&'static str>,
    /// This addition began the usage.
    pub first_flow: bool,
}
