//! The findings: one row each of what it is called and how grave it is, and the condition that raises it.

#[cfg(test)]
pub(super) mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::session::Session;
use super::upload::Upload;
use crate::identity::ClientKind;
use crate::policy::{Decision, Relation, State};
use crate::signature::{How, Role, Vendor};
use crate::time::Time;
use crate::usage::{Activity, Engagement, Key, Standing};

/// One kind of finding.
#[derive(Debug)]
pub struct Finding {
    /// Also the metric label and, in upper case, the MSGID of syslog.
    pub id: &'static str,
    pub title: &'static str,
    pub definition: &'static str,
    pub severity: Severity,
    /// MITRE ATT&CK technique ids (Enterprise, 2025-11).
    pub attack: &'static [&'static str],
    /// The same two where the vendor is of category remote-assistance.
    pub remote: (Severity, &'static [&'static str]),
    pub life: Life,
    /// `Some(threshold)` where the sighting raises it; the threshold is the words that decided.
    pub condition: fn(&Sighting<'_>) -> Option<&'static str>,
}

impl Finding {
    pub fn by_id(id: &str) -> Option<&'static Self> {
        FINDINGS.iter().find(|f| f.id == id)
    }

    /// By what decided, which is a threshold of this finding.
    pub fn severity(&self, remote: bool, threshold: &str) -> Severity {
        match remote {
            _ if is_asked(threshold) => Severity::Informational,
            true => self.remote.0,
            false => self.severity,
        }
    }

    /// `direct`: a session whose ends the flow connects.
    pub fn attack(&self, remote: bool, direct: bool) -> &'static [&'static str] {
        match remote {
            _ if direct && self.id == REMOTE_SESSION => &["T1021", "T1219.002"],
            true => self.remote.1,
            false => self.attack,
        }
    }
}

/// How a finding lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// As a case; of these only the first is raised by one sighting.
    Competes,
    /// As a case of one client, whatever else is raised.
    Apart,
    /// Said once for ever.
    Once,
    /// As a case of what lasts, which no one contact shows.
    Lasting,
}

/// All findings, the more specific before the more general: of the first rows that compete for one sighting only one is raised.
pub static FINDINGS: &[Finding] = &[
    Finding {
        id: LOOKALIKE,
        title: "A name that imitates a known vendor, or us",
        definition: "Somebody met a name that looks like a vendor's and is nobody's of the catalogue: the vendor's domain in front \
                     of another, a letter off, letters that look alike, more beside its word, another ending; or so like a \
                     domain or an instance of ours, as a foreign instance may be too. One case a name; informational until a \
                     server answered.",
        severity: Severity::Medium,
        attack: &["T1566", "T1583.001"],
        remote: (Severity::High, &["T1566", "T1583.001"]),
        life: Life::Competes,
        condition: lookalike,
    },
    Finding {
        id: EXPOSED_ON_PREMISE,
        title: "Support software inside is reached from outside",
        definition: "A client outside the local networks reaches support or remote-assistance software that runs on a server \
                     inside, and policy does not allow it.",
        severity: Severity::Medium,
        attack: &["T1190", "T1133"],
        remote: (Severity::High, &["T1190", "T1133"]),
        life: Life::Competes,
        condition: exposed_on_premise,
    },
    Finding {
        id: UNSANCTIONED_TENANT,
        title: "Work in somebody else's instance of a vendor of which the organisation has its own",
        definition: "Somebody works in the application of an instance that is not the organisation's, of a vendor whose own \
                     instances are declared.",
        severity: Severity::Medium,
        attack: &["T1567"],
        remote: (Severity::High, &["T1219.002"]),
        life: Life::Competes,
        condition: unsanctioned_tenant,
    },
    Finding {
        id: UNSANCTIONED_USE,
        title: "Use of an unsanctioned service",
        definition: "A service that policy calls unsanctioned is in use; remote assistance that is not sanctioned counts from \
                     its first relay contact, session or download.",
        severity: Severity::Medium,
        attack: &["T1567"],
        remote: (Severity::High, &["T1219.002"]),
        life: Life::Competes,
        condition: unsanctioned_use,
    },
    Finding {
        id: REMOTE_SESSION,
        title: "Session of remote assistance",
        definition: "Somebody is connected by remote assistance that policy does not allow: for some time both ends had much to \
                     say, or media flowed. One case for each client. The flow shows which way a direct session goes; through \
                     a relay, who watches whom is a guess.",
        severity: Severity::High,
        attack: &["T1219.002"],
        remote: (Severity::High, &["T1219.002"]),
        life: Life::Apart,
        condition: remote_session,
    },
    Finding {
        id: UPLOAD_SPIKE,
        title: "More sent to a service in an hour than is usual",
        definition: "A client sent a vendor more in one hour than its group usually does: above upload_floor, and above the \
                     median and upload_deviations median absolute deviations of the group's hours once upload_learn_days are \
                     known. Whatever policy says; what goes through a relay does not count. One case for each client.",
        severity: Severity::Medium,
        attack: &["T1567"],
        remote: (Severity::Medium, &["T1567"]),
        life: Life::Apart,
        condition: upload_spike,
    },
    Finding {
        id: OFF_HOURS,
        title: "Use outside the hours that policy allows",
        definition: "Somebody works in a sanctioned service outside the hours of the rule that sanctions it.",
        severity: Severity::Low,
        attack: &[],
        remote: (Severity::Medium, &["T1219.002"]),
        life: Life::Competes,
        condition: off_hours,
    },
    Finding {
        id: EXCEPTION_EXPIRED,
        title: "Use goes on after the exception for it has expired",
        definition: "A service is visited by a group after the last day of the exception that allowed it.",
        severity: Severity::Medium,
        attack: &[],
        remote: (Severity::Medium, &["T1219.002"]),
        life: Life::Once,
        condition: exception_expired,
    },
    Finding {
        id: FIRST_SEEN,
        title: "Service seen for the first time",
        definition: "A service is visited for the first time in the organisation, or in a group, after the learning period.",
        severity: Severity::Low,
        attack: &[],
        remote: (Severity::Medium, &["T1219.002"]),
        life: Life::Once,
        condition: first_seen,
    },
    Finding {
        id: SANCTIONED_SILENT,
        title: "A sanctioned service that everybody used falls silent",
        definition: "A sanctioned service had silent_clients clients a day in the mean over silent_known_days working days, and \
                     then none for silent_days, while others were used as always and the sensor saw what it should: it may \
                     have been replaced, or has moved to where the sensor does not see it.",
        severity: Severity::Low,
        attack: &[],
        remote: (Severity::Low, &[]),
        life: Life::Lasting,
        condition: of_no_contact,
    },
    Finding {
        id: VISIBILITY_LOSS,
        title: "The sensor sees less than passes it",
        definition: "More than the share that [alert.loss] allows was dropped before it could be read, came in one direction \
                     only, twice, with a VLAN tag in one direction, with clocks that differ, or with encrypted names (ECH). One \
                     case for each cause; what the sensor does not say may happen all the same.",
        severity: Severity::Medium,
        attack: &["T1562"],
        remote: (Severity::Medium, &["T1562"]),
        life: Life::Lasting,
        condition: of_no_contact,
    },
];

pub const LOOKALIKE: &str = "lookalike";
pub const EXPOSED_ON_PREMISE: &str = "exposed_on_premise";
pub const UNSANCTIONED_USE: &str = "unsanctioned_use";
pub const UNSANCTIONED_TENANT: &str = "unsanctioned_tenant";
pub const REMOTE_SESSION: &str = "remote_session";
pub const UPLOAD_SPIKE: &str = "upload_spike";
pub const OFF_HOURS: &str = "off_hours";
pub const EXCEPTION_EXPIRED: &str = "exception_expired";
pub const FIRST_SEEN: &str = "first_seen";
pub const SANCTIONED_SILENT: &str = "sanctioned_silent";
pub const VISIBILITY_LOSS: &str = "visibility_loss";

/// How grave; the names are those of OCSF, the numbers of syslog are given by the sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Informational,
    Low,
    Medium,
    High,
}

impl Severity {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// One contact of a client with a vendor, with all that the stages before have said of it.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    pub at: Time,
    pub key: &'a Key,
    /// Whether the group may be named.
    pub veil: Veil<'a>,
    pub client_kind: ClientKind,
    pub vendor: &'a Vendor,
    pub relation: Relation,
    pub decision: &'a Decision,
    /// Policy declares own tenants of this vendor.
    pub vendor_has_own: bool,
    pub standing: &'a Standing,
    /// The name was ambiguous; the flow was an agent companion.
    pub ambiguous: bool,
    pub agent: bool,
    /// The server, by the name under which privacy lets it pass, where a client outside reaches what runs on premise.
    pub reached: Option<&'a Arc<str>>,
    /// Both ends lie in networks of ours.
    pub inside: bool,
    /// Whether the relay, the remote assistance or the media only keeps in touch; `None` for all else.
    pub activity: Option<Activity>,
    /// The way of it, where it is a session.
    pub session: Option<Session>,
    /// Octets on the wire that this report adds, client to server and back.
    pub added: (u64, u64),
    /// The client's hour, where it is above its threshold: what [`Cases`](super::Cases) find by what was added.
    pub upload: Option<Upload>,
    /// The name imitates the vendor: how, and whether a server answered under it.
    pub imitation: Option<(How, bool)>,
    pub flow: FlowFacts<'a>,
}

/// How a group leaves.
#[derive(Clone, Copy, Debug)]
pub struct Veil<'a> {
    /// It has too few clients to be named: `small` stands for it.
    pub small: bool,
    /// What stands for it in ids, which would else tell it to whoever knows the names of all groups.
    pub mark: &'a str,
}

impl Sighting<'_> {
    pub fn remote_assistance(&self) -> bool {
        self.vendor.is_in(Vendor::REMOTE_ASSISTANCE)
    }

    /// Remote assistance that is judged by its first contact, and not by how much it is used: a name that other services
    /// share never decides alone, and what administrators use in every network only where it crosses the border.
    pub(super) fn does_not_wait(&self) -> bool {
        let ordinary = self.vendor.ordinary_inside && self.inside;
        self.remote_assistance() && !self.ambiguous && !ordinary
    }

    /// What administrators use in every network, within ours and not forbidden.
    pub(super) fn ordinary(&self) -> bool {
        self.vendor.ordinary_inside && self.inside && self.decision.state != State::Unsanctioned
    }

    /// Agents work there: the console itself, an agent companion, or a name that is ambiguous and became a use all the same,
    /// which only a companion or the long rule can bring about.
    pub(super) fn worked_in(&self) -> bool {
        self.standing.engagement == Engagement::Use
            && (self.key.role == Role::Console
                || self.agent
                || (self.key.role == Role::Either && self.ambiguous))
    }

    /// A foreign tenant met as its customers meet it: a supplier's help centre.
    pub(super) fn supplier(&self) -> bool {
        self.relation == Relation::Foreign
            && matches!(self.key.role, Role::Portal | Role::Either)
            && !self.worked_in()
    }

    /// Roles that say nothing of who works where, and never raise.
    pub(super) const fn bystander(&self) -> bool {
        matches!(
            self.key.role,
            Role::Widget | Role::Cdn | Role::Telemetry | Role::Marketing | Role::Platform
        )
    }

    /// A contact deep enough to make its vendor known in its group.
    pub(super) fn visited(&self) -> bool {
        self.standing.engagement >= Engagement::Visit
            && !self.bystander()
            && !self.supplier()
            && !self.may_be_a_page()
    }

    /// A name that pages of third parties fetch, or that other products share, and that shows no instance: until it is a use,
    /// it is no evidence that anybody here knows the service.
    fn may_be_a_page(&self) -> bool {
        self.ambiguous
            && self.key.tenant.is_none()
            && self.relation != Relation::Own
            && self.standing.engagement < Engagement::Use
    }

    /// `sanctioned` and `tolerated` raise none of the findings of this table.
    pub(super) const fn allowed(&self) -> bool {
        matches!(self.decision.state, State::Sanctioned | State::Tolerated)
    }

    fn threshold(&self) -> &'static str {
        self.standing.threshold.unwrap_or("use")
    }
}

/// One flow as evidence. What privacy keeps back is `None`.
#[derive(Clone, Copy, Debug)]
pub struct FlowFacts<'a> {
    pub start: Time,
    /// The name that decided.
    pub name: &'a str,
    /// How the name was seen: `sni`, `http`, `dns` ...
    pub via: &'a str,
    /// `tcp` or `udp`.
    pub transport: &'static str,
    pub client: Option<SocketAddr>,
    pub server: Option<SocketAddr>,
    pub community_id: Option<&'a str>,
}

fn lookalike(seen: &Sighting<'_>) -> Option<&'static str> {
    Some(match seen.imitation? {
        (How::Domain, true) => "connected: domain",
        (How::Homoglyph, true) => "connected: homoglyph",
        (How::Typo, true) => "connected: typo",
        (How::Combined, true) => "connected: combined",
        (How::Ending, true) => "connected: ending",
        (How::Domain, false) => "asked: domain",
        (How::Homoglyph, false) => "asked: homoglyph",
        (How::Typo, false) => "asked: typo",
        (How::Combined, false) => "asked: combined",
        (How::Ending, false) => "asked: ending",
    })
}

/// Whether the threshold is that of a name which nobody answered under.
pub(super) fn is_asked(threshold: &str) -> bool {
    threshold.starts_with("asked: ")
}

fn exposed_on_premise(seen: &Sighting<'_>) -> Option<&'static str> {
    (seen.reached.is_some() && !seen.allowed() && !seen.bystander())
        .then_some("reached from outside")
}

fn unsanctioned_tenant(seen: &Sighting<'_>) -> Option<&'static str> {
    let foreign =
        seen.relation == Relation::Foreign && seen.vendor_has_own && seen.key.tenant.is_some();
    (foreign && !seen.allowed() && !seen.bystander() && seen.worked_in()).then(|| seen.threshold())
}

fn unsanctioned_use(seen: &Sighting<'_>) -> Option<&'static str> {
    if seen.allowed() || seen.bystander() {
        return None;
    }
    if seen.does_not_wait() {
        match seen.key.role {
            Role::Relay => return Some("first relay contact"),
            Role::Download => return Some("first download"),
            Role::Console => return Some("first session"),
            _ => {}
        }
    }
    let used =
        seen.decision.state == State::Unsanctioned && seen.standing.engagement == Engagement::Use;
    (used && !seen.supplier()).then(|| seen.threshold())
}

fn remote_session(seen: &Sighting<'_>) -> Option<&'static str> {
    let kept_back = seen.allowed() || seen.bystander() || seen.ambiguous || seen.ordinary();
    (seen.remote_assistance() && seen.session.is_some() && !kept_back)
        .then_some("sustained traffic both ways")
}

fn upload_spike(seen: &Sighting<'_>) -> Option<&'static str> {
    seen.upload.map(|upload| if upload.usual { "usual of the group" } else { "upload_floor" })
}

/// What stands open in the background is no work: a minute must have become active outside the hours.
fn off_hours(seen: &Sighting<'_>) -> Option<&'static str> {
    let worked = seen.decision.off_hours && seen.standing.worked && !seen.bystander();
    (worked && seen.decision.state == State::Sanctioned).then_some("active minute outside hours")
}

fn exception_expired(seen: &Sighting<'_>) -> Option<&'static str> {
    let goes_on = seen.decision.expired.is_some() && seen.visited();
    goes_on.then_some("visit after the last day")
}

const fn of_no_contact(_: &Sighting<'_>) -> Option<&'static str> {
    None
}

fn first_seen(seen: &Sighting<'_>) -> Option<&'static str> {
    (seen.visited() && !seen.allowed()).then_some("visit")
}
