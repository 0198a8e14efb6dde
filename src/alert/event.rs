//! One message about a case, or the sensor's sign of life, as every format is made from it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::finding::{FlowFacts, Severity};
use super::lasting::Lasting;
use super::session::Session;
use super::summary::Summary;
use super::upload::Upload;
use crate::identity::ClientKind;
use crate::policy::{Relation, State};
use crate::signature::Role;
use crate::time::Time;
use crate::usage::Engagement;

/// One message. Its JSON form is flat, with nested objects.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Packet time of what it tells; the sensor's own clock in a heartbeat.
    pub time: Time,
    #[serde(rename = "event_id")]
    pub id: Id,
    pub severity: Severity,
    pub sensor: Sensor,
    #[serde(flatten)]
    pub what: What,
    /// Lists were shortened to fit the sink's largest message.
    #[serde(skip_serializing_if = "is_false")]
    pub truncated: bool,
}

impl Event {
    /// `unsanctioned_use`, `heartbeat`.
    pub const fn name(&self) -> &'static str {
        match &self.what {
            What::Finding(report) => report.finding.id,
            What::Heartbeat { .. } => "heartbeat",
            What::Audit { .. } => "audit",
            What::Usage(_) => "usage",
        }
    }

    /// One sentence for a person.
    pub fn summary(&self) -> String {
        match &self.what {
            What::Finding(report) => report.summary(),
            What::Heartbeat { .. } => format!("Sensor {} is alive", self.sensor.name),
            What::Audit { audit } => {
                format!("Sensor {}: {} ({})", self.sensor.name, audit.action, audit.outcome)
            }
            What::Usage(summary) => summary.summary(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event_kind", rename_all = "lowercase")]
pub enum What {
    Finding(Box<Report>),
    /// A SIEM alerts on its absence.
    Heartbeat {
        /// Counters of the sensor by name: drops, shares.
        values: BTreeMap<&'static str, u64>,
    },
    Audit {
        audit: Audit,
    },
    /// What a client did with a vendor in an hour.
    Usage(Box<Summary>),
}

/// What somebody did to the sensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// `reload` ...
    pub action: &'static str,
    /// `success` or `failure`.
    pub outcome: &'static str,
    /// For a person: what was refused, or on what it was done.
    pub detail: Box<str>,
}

/// What a case says in one event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub finding: Heading,
    #[serde(flatten)]
    pub about: About,
    /// What decided that it is to be said now.
    pub threshold: Box<str>,
    /// Reports of flows that met the condition since the case was opened; looks at which what lasts was still so.
    pub sightings: u64,
    pub opened: Time,
    pub last_seen: Time,
    /// Who knows of it; until then the case says nothing but its end, or that it became graver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledged>,
}

/// What a case is about.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum About {
    /// Contacts of clients with a vendor.
    Usage(Box<UsageFacts>),
    /// What no contact shows.
    Lasting(Lasting),
}

/// Contacts of clients with a vendor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UsageFacts {
    pub vendor: VendorName,
    pub tenant: Option<Arc<str>>,
    /// Where the finding is about one server: its address, or what stands for it by `privacy.client`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Arc<str>>,
    pub role: Role,
    pub relation: Relation,
    pub group: Arc<str>,
    pub state: State,
    /// The rule that gave the state, as `policy[3] (saastap.toml:41)`.
    pub rule: Option<Arc<str>>,
    /// `first_seen` only: new to the whole `organisation` or to the `group`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<&'static str>,
    /// `remote_session` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// `upload_spike` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
    /// The contact that the event rests on.
    pub client: ClientName,
    pub engagement: Depth,
    pub clients: Clients,
    /// The flow that completed the condition: its ends are the event's.
    pub flow: Option<Proof>,
    pub evidence: Vec<Proof>,
}

impl Report {
    /// Contacts, where it is about some.
    pub fn usage(&self) -> Option<&UsageFacts> {
        match &self.about {
            About::Usage(usage) => Some(usage),
            About::Lasting(_) => None,
        }
    }

    pub fn usage_mut(&mut self) -> Option<&mut UsageFacts> {
        match &mut self.about {
            About::Usage(usage) => Some(usage),
            About::Lasting(_) => None,
        }
    }

    pub fn lasting(&self) -> Option<&Lasting> {
        match &self.about {
            About::Usage(_) => None,
            About::Lasting(lasting) => Some(lasting),
        }
    }

    /// The vendor, where it is about one.
    pub fn vendor(&self) -> Option<&VendorName> {
        match &self.about {
            About::Usage(usage) => Some(&usage.vendor),
            About::Lasting(lasting) => lasting.vendor(),
        }
    }

    /// What policy says, where it is about what policy judges.
    pub fn state(&self) -> Option<State> {
        match &self.about {
            About::Usage(usage) => Some(usage.state),
            About::Lasting(lasting) => lasting.state(),
        }
    }

    /// `Use of an unsanctioned service: Zendesk/acme (group support, 3 clients)`
    fn summary(&self) -> String {
        let usage = match &self.about {
            About::Usage(usage) => usage,
            About::Lasting(lasting) => return format!("{}: {lasting}", self.finding.title),
        };
        let tenant = usage.tenant.as_deref().map(|t| format!("/{t}")).unwrap_or_default();
        let least = if usage.clients.exact { "" } else { "at least " };
        let plural = if usage.clients.count == 1 { "" } else { "s" };
        format!(
            "{}: {}{tenant} (group {}, {least}{} client{plural})",
            self.finding.title, usage.vendor.name, usage.group, usage.clients.count
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Heading {
    pub id: &'static str,
    pub uid: Id,
    pub title: &'static str,
    pub action: Action,
    pub attack: &'static [&'static str],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VendorName {
    pub id: Arc<str>,
    pub name: Arc<str>,
    pub category: Option<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientName {
    pub id: Arc<str>,
    pub kind: ClientKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Depth {
    pub level: Engagement,
    pub active_minutes_today: u32,
    pub sent_bytes_today: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Clients {
    pub count: u64,
    /// False where more were met than could be told apart: then the count is a lower bound.
    pub exact: bool,
    pub listed: Vec<Arc<str>>,
}

/// Somebody knows of a case and takes care of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    pub owner: Box<str>,
    pub reason: Box<str>,
    /// Packet time.
    pub until: Time,
}

/// One flow as evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    pub time: Time,
    pub name: Box<str>,
    pub via: Box<str>,
    /// `tcp` or `udp`.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub transport: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub community_id: Option<Box<str>>,
}

impl Proof {
    /// Octets of a name or of how it was seen: a host name has at most 253.
    const MAX_NAME: usize = 255;
}

impl From<&FlowFacts<'_>> for Proof {
    fn from(facts: &FlowFacts<'_>) -> Self {
        Self {
            time: facts.start,
            name: cut(facts.name, Self::MAX_NAME).into(),
            via: cut(facts.via, Self::MAX_NAME).into(),
            transport: facts.transport.into(),
            client: facts.client,
            server: facts.server,
            community_id: facts.community_id.map(|id| cut(id, Self::MAX_NAME).into()),
        }
    }
}

/// Who says it, and by which knowledge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Default)]
pub struct Sensor {
    pub name: Arc<str>,
    pub site: Option<Arc<str>>,
    /// Of the program.
    pub version: Arc<str>,
    /// Of the catalogue and of the policy, as their stages name them.
    pub catalog: Arc<str>,
    pub policy: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Create,
    Update,
    Close,
}

impl Action {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Close => "close",
        }
    }
}

/// A UUID of version 8 (RFC 9562 section 5.8) made from words alone: the same words give the same id in every run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u128);

impl Id {
    /// FNV-1a of 128 bits over the words; each is followed by an octet that no UTF-8 text holds, so that no two lists of words
    /// run together. It names, it does not protect.
    pub fn of(words: &[&str]) -> Self {
        const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
        let octets = words.iter().flat_map(|w| w.bytes().chain(std::iter::once(0xff)));
        let hash = octets.fold(BASIS, |hash, b| (hash ^ u128::from(b)).wrapping_mul(PRIME));
        let version = 0x8 << 76;
        let variant = 0b10 << 62;
        Self(hash & !(0xf << 76) & !(0b11 << 62) | version | variant)
    }

    pub(super) const fn value(self) -> u128 {
        self.0
    }

    pub(super) const fn from_value(value: u128) -> Self {
        Self(value)
    }

    pub fn parse(text: &str) -> Option<Self> {
        let hex: String = text.chars().filter(|c| *c != '-').collect();
        (hex.len() == 32).then(|| u128::from_str_radix(&hex, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |shift: u32, digits: u32| (self.0 >> shift) & ((1 << (digits * 4)) - 1);
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            part(96, 8),
            part(80, 4),
            part(64, 4),
            part(48, 4),
            part(0, 12)
        )
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The longest beginning of `text` of at most `max` octets that ends between two characters.
pub(super) fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    text.get(..end).unwrap_or("")
}

const fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_8_and_depends_on_its_words_alone() {
        let id = Id::of(&["a", "bc"]);
        let text = id.to_string();
        assert_eq!(text.len(), 36);
        assert_eq!(text.as_bytes()[14], b'8', "{text}");
        assert!(b"89ab".contains(&text.as_bytes()[19]), "{text}");
        assert_eq!(id, Id::of(&["a", "bc"]));
        assert_ne!(id, Id::of(&["ab", "c"]));
        assert_eq!(Id::parse(&text), Some(id));
        assert_eq!(Id::parse("x"), None);
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(cut("añb", 2), "a");
        assert_eq!(cut("añb", 3), "añ");
        assert_eq!(cut("añb", 99), "añb");
    }
}
