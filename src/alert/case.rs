//! Cases: one kind of finding over clients and time, which says something at most once a window.

mod acknowledged;
mod lasting;
mod single;
#[cfg(test)]
pub(super) mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::acknowledged::LEFT;
use self::acknowledged::TAKEN;
use self::single::{Case, CaseKey, Place, Subject};
use super::Options;
use super::event::{Action, Event, Id, Sensor, What};
use super::finding::{
    EXCEPTION_EXPIRED, EXPOSED_ON_PREMISE, FINDINGS, FIRST_SEEN, Finding, LOOKALIKE, Life,
    OFF_HOURS, REMOTE_SESSION, SANCTIONED_SILENT, Sighting, UNSANCTIONED_TENANT, UPLOAD_SPIKE,
    VISIBILITY_LOSS,
};
use super::reason::Reason;
use super::silent::Silences;
use super::suppressed::Suppressed;
use super::upload::{Full, Uploads};
use crate::count;
use crate::time::Time;

crate::rows! {
    /// What cases count.
    pub enum Counter {
        Lookalike => Counter "saastap_findings_total" "Findings accepted for delivery, by kind." ("finding", "lookalike"),
        ExposedOnPremise => Counter "saastap_findings_total" "Findings accepted for delivery, by kind." ("finding", "exposed_on_premise"),
        UnsanctionedTenant => Counter "saastap_findings_total" "Findings accepted for delivery, by kind." ("finding", "unsanctioned_tenant"),
        UnsanctionedUse => Counter "saastap_findings_total" "Findings accepted for delivery, by kind." ("finding", "unsanctioned_use"),
        RemoteSession => Counter "saastap_findings_total" "Findings accepted for delivery, by kind." ("finding", "remote_session"),
        UploadSpike => Counter "saastap_findings_total" "Findings accepted for delivery, by kind." ("finding", "upload_spike"),
        OffHours => Counter "saastap_findings_total" "Findings accepted for delivery, by kind." ("finding", "off_hours"),
        ExceptionExpired => Counter "saastap_findings_total" "Findings accepted for delivery, by kind." ("finding", "exception_expired"),
        FirstSeen => Counter "saastap_findings_total" "Findings accepted for delivery, by kind." ("finding", "first_seen"),
        SanctionedSilent => Counter "saastap_findings_total" "Findings accepted for delivery, by kind." ("finding", "sanctioned_silent"),
        VisibilityLoss => Counter "saastap_findings_total" "Findings accepted for delivery, by kind." ("finding", "visibility_loss"),
        Accepted => Counter "saastap_alert_events_accepted_total" "Events that the store took for delivery.",
        Refused => Counter "saastap_alert_events_refused_total" "Events that the store did not take; they are raised again.",
        Open => Gauge "saastap_alert_cases" "Open cases.",
        CaseOverflow => Counter "saastap_alert_case_overflows_total" "Sightings that would have opened a case, or learned a service, beyond max_cases.",
        UploadOverflow => Counter "saastap_alert_upload_overflows_total" "Reports of clients whose hour, or whose group's hours, could not be added up for want of room.",
        ClientOverflow => Counter "saastap_alert_client_overflows_total" "Sightings whose client could not be told apart beyond max_clients.",
    }
}

/// One row of the store's table `window`: put, or deleted where there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub key: String,
    pub value: Option<String>,
}

/// An event, and the row that has to be committed with it.
#[derive(Clone, Debug)]
pub struct Raised {
    pub event: Event,
    /// The group that it is of, which the event may not name.
    pub group: Arc<str>,
    pub row: Row,
}

/// All open cases, and what was learned of first sights. It holds no clock: `at` is packet time.
///
/// What it raises counts as said only after [`Cases::accepted`]; after [`Cases::refused`] it is raised again, under the same
/// ids.
pub struct Cases {
    options: Options,
    sensor: Sensor,
    cells: Arc<count::Cells<Counter>>,
    cases: BTreeMap<CaseKey, Case>,
    /// (vendor, group) that are known; the group is `None` for the organisation.
    known: BTreeSet<Known>,
    /// Findings that are said once for ever and were, but for first sights.
    told: BTreeSet<Id>,
    uploads: Uploads,
    silences: Silences,
    /// Events on their way into the store.
    pending: HashMap<Id, Pending>,
    /// When learning began: the first sighting ever.
    begin: Option<Time>,
    /// Rows that changed without an event.
    changed: Vec<Row>,
    clients: usize,
    looked: Time,
    suppressed: Arc<Suppressed>,
}

impl Cases {
    pub fn new(options: Options, sensor: Sensor, cells: Arc<count::Cells<Counter>>) -> Self {
        Self {
            options,
            sensor,
            cells,
            cases: BTreeMap::new(),
            known: BTreeSet::new(),
            told: BTreeSet::new(),
            uploads: Uploads::default(),
            silences: Silences::default(),
            pending: HashMap::new(),
            begin: None,
            changed: Vec::new(),
            clients: 0,
            looked: Time::ZERO,
            suppressed: Arc::new(Suppressed::new(Suppressed::MOST)),
        }
    }

    /// Takes up what rows of an earlier run say. Rows that cannot be read are told back, so that they can be reported.
    pub fn restore(&mut self, rows: &[(String, String)]) -> Vec<String> {
        let unread = rows.iter().filter(|(key, value)| self.restore_row(key, value).is_none());
        let unread: Vec<String> = unread.map(|(key, _)| key.clone()).collect::<Vec<_>>();
        self.restore_acknowledged(rows);
        self.cells.set(Counter::Open, self.cases.len() as u64);
        unread
    }

    /// The versions that stand in every event from now on.
    pub fn versions(&mut self, catalog: &str, policy: &str) {
        self.sensor.catalog = catalog.into();
        self.sensor.policy = policy.into();
    }

    pub const fn sensor(&self) -> &Sensor {
        &self.sensor
    }

    /// What was kept back, and why; shared with whoever shows it.
    pub const fn suppressed(&self) -> &Arc<Suppressed> {
        &self.suppressed
    }

    /// Notes a contact that is hardly certain, and raises nothing.
    pub fn see_hint(&self, seen: &Sighting<'_>) {
        self.suppressed.hint(seen);
    }

    /// Judges one contact.
    pub fn see(&mut self, seen: &Sighting<'_>, raised: &mut Vec<Raised>) {
        let upload = self.uploads.add(seen, &self.options).unwrap_or_else(|Full| {
            self.cells.add(Counter::UploadOverflow, 1);
            None
        });
        let seen = &Sighting { upload, ..*seen };
        self.silences.met(seen);
        let begin = self.begin(seen.at);
        if seen.visited() && (seen.allowed() || seen.at < begin.plus(self.learning())) {
            self.learn(seen);
        }
        // Of findings that live as cases the first row wins, for this contact and while its case is open.
        let mut competed: Option<&'static str> = None;
        for finding in FINDINGS {
            match (finding.life, (finding.condition)(seen)) {
                (Life::Once, Some(threshold)) if finding.id == FIRST_SEEN => {
                    self.see_first(finding, threshold, seen, raised);
                }
                (Life::Once, Some(threshold)) => self.see_once(finding, threshold, seen, raised),
                (Life::Apart, Some(threshold)) => {
                    self.see_case(finding, CaseKey::of(finding, seen), threshold, seen, raised);
                }
                (Life::Competes, told) if competed.is_none() => {
                    let key = CaseKey::of(finding, seen);
                    if let Some(threshold) = told {
                        competed = Some(finding.id);
                        self.see_case(finding, key, threshold, seen, raised);
                    } else {
                        competed = self.cases.contains_key(&key).then_some(finding.id);
                        self.suppressed.judge(finding, seen, None);
                    }
                }
                _ => {
                    let other = competed.map(|finding| Reason::Other { finding });
                    self.suppressed.judge(finding, seen, other);
                }
            }
        }
    }

    /// Updates and closes what is due, and raises again what the store refused. Looks at most once a minute of packet time,
    /// because a tick comes ten times a second.
    pub fn tick(&mut self, now: Time, raised: &mut Vec<Raised>) {
        if now < self.looked.plus(Duration::from_secs(60)) {
            return;
        }
        self.looked = now;
        self.hold_silences(now, raised);
        let (window, quiet) = (self.window(), hours(self.options.quiet_hours));
        for (key, case) in &mut self.cases {
            if case.pending.is_some() {
                continue;
            }
            let action = match case.due(now, window) {
                Some(action) => action,
                None if now >= case.last_seen.plus(quiet) => Action::Close,
                None => continue,
            };
            let out = case.raise(key, action, now, &self.sensor);
            if let Some(out) = out {
                self.pending
                    .insert(out.event.id, Pending::Case { key: key.clone(), action, at: now });
                raised.push(out);
            }
        }
    }

    /// The store has the event: its window is spent.
    pub fn accepted(&mut self, event: Id) {
        let Some(pending) = self.pending.remove(&event) else { return };
        self.cells.add(Counter::Accepted, 1);
        match pending {
            Pending::FirstSight { known } => {
                self.cells.add(Counter::FirstSeen, 1);
                self.known.extend(known);
            }
            Pending::Once { uid, finding } => {
                self.cells.add(counter(finding), 1);
                self.told.insert(uid);
            }
            Pending::Case { key, action: Action::Close, .. } => {
                if let Some(case) = self.cases.remove(&key) {
                    self.clients = self.clients.saturating_sub(case.clients.len());
                    if case.acknowledged.is_some() {
                        self.changed.push(Row { key: format!("{TAKEN}{}", case.uid), value: None });
                    }
                }
            }
            Pending::Case { key, action, at } => {
                if action == Action::Create {
                    self.cells.add(counter(key.finding), 1);
                }
                if let Some(case) = self.cases.get_mut(&key) {
                    case.said(at);
                }
            }
        }
        self.cells.set(Counter::Open, self.cases.len() as u64);
    }

    /// The store did not take the event: the condition is raised again.
    pub fn refused(&mut self, event: Id) {
        let Some(pending) = self.pending.remove(&event) else { return };
        self.cells.add(Counter::Refused, 1);
        if let Pending::Case { key, .. } = pending
            && let Some(case) = self.cases.get_mut(&key)
        {
            case.pending = None;
        }
    }

    /// Every open case as it stands, for who reads a capture to its end and has no window to wait for.
    pub fn standing(&mut self, at: Time) -> Vec<Event> {
        let raise = |(key, case): (&CaseKey, &mut Case)| {
            case.raise(key, Action::Update, at, &self.sensor).map(|raised| raised.event)
        };
        self.cases.iter_mut().filter_map(raise).collect()
    }

    /// Every open case that was told of, as it stands, for sinks that show them again and again.
    pub fn open(&self, at: Time) -> Vec<Event> {
        let told = self.cases.iter().filter(|(_, case)| case.is_told());
        told.filter_map(|(key, case)| case.event(key, Action::Update, at, &self.sensor)).collect()
    }

    /// Rows that changed without an event since the last call: what was learned.
    pub fn changed(&mut self) -> Vec<Row> {
        let days = self.silences.changed().into_iter().map(|(key, value)| (key, Some(value)));
        let more = self.uploads.changed().into_iter().chain(days);
        let mut rows = std::mem::take(&mut self.changed);
        rows.extend(more.map(|(key, value)| Row { key, value }));
        rows
    }

    fn restore_row(&mut self, key: &str, value: &str) -> Option<()> {
        if key == BEGIN {
            self.begin = Some(serde_json::from_str(value).ok()?);
        } else if key.starts_with(TAKEN) {
            // They need the cases, which come after them.
        } else if key.starts_with(TOLD) {
            self.told.insert(Id::parse(value)?);
        } else if Uploads::owns(key) {
            self.uploads.restore(key, value)?;
        } else if Silences::owns(key) {
            self.silences.restore(key, value)?;
        } else if key.starts_with(KNOWN) {
            let known: Known = serde_json::from_str(value).ok()?;
            // A `first_seen` is committed with the row of its group alone: that tells of the organisation as well.
            self.known.insert(Known { group: None, ..known.clone() });
            self.known.insert(known);
        } else {
            let (key, case) = Case::restore(value)?;
            self.clients += case.clients.len();
            self.cases.insert(key, case);
        }
        Some(())
    }

    fn see_case(
        &mut self,
        finding: &'static Finding,
        key: CaseKey,
        threshold: &'static str,
        seen: &Sighting<'_>,
        raised: &mut Vec<Raised>,
    ) {
        let (window, room) = (self.window(), self.options.max_clients.saturating_sub(self.clients));
        if !self.cases.contains_key(&key) {
            if self.cases.len() >= self.options.max_cases {
                self.cells.add(Counter::CaseOverflow, 1);
                self.suppressed.note(finding, seen, Reason::Full);
                return;
            }
            self.cases.insert(key.clone(), Case::open(&key, threshold, seen));
            self.cells.set(Counter::Open, self.cases.len() as u64);
        }
        let Some(case) = self.cases.get_mut(&key) else { return };
        let before = case.clients.len();
        if !case.note(threshold, seen, room.min(MAX_CASE_CLIENTS.saturating_sub(before))) {
            self.cells.add(Counter::ClientOverflow, 1);
        }
        self.clients += case.clients.len() - before;
        if case.pending.is_none()
            && let Some(action) = case.due(seen.at, window)
            && let Some(out) = case.raise(&key, action, seen.at, &self.sensor)
        {
            debug_assert_eq!(finding.id, key.finding);
            self.pending.insert(out.event.id, Pending::Case { key, action, at: seen.at });
            self.suppressed.raised(finding, seen);
            raised.push(out);
        } else if let Some(reason) = case.quiet(seen.at, window) {
            self.suppressed.note(finding, seen, reason);
        }
    }

    /// What is said once for one tenant in one group, and one exception.
    fn see_once(
        &mut self,
        finding: &'static Finding,
        threshold: &'static str,
        seen: &Sighting<'_>,
        raised: &mut Vec<Raised>,
    ) {
        let Some(exception) = &seen.decision.expired else { return };
        let place = Place::of(finding, seen);
        let (marker, tenant) = match &place.tenant {
            Some(tenant) => ("tenant", &**tenant),
            None => ("", ""),
        };
        let words = [&exception.owner, &exception.reason, &exception.expires].map(String::as_str);
        let [owner, reason, expires] = words;
        let id = |group: &str| {
            Id::of(&[finding.id, group, &place.vendor, marker, tenant, owner, reason, expires])
        };
        let uid = id(place.word(seen));
        let event_id = Id::of(&[&uid.to_string(), Action::Create.name(), "0"]);
        // A group that has grown was told of when it was small.
        let told = [&*place.group, seen.veil.mark].into_iter().any(|g| self.told.contains(&id(g)));
        let key = CaseKey { finding: finding.id, subject: Subject::Usage(place.clone()) };
        if told || self.pending.contains_key(&event_id) {
            self.suppressed.note(finding, seen, Reason::ToldOnce);
            return;
        }
        if self.told.len() >= self.options.max_cases {
            self.cells.add(Counter::CaseOverflow, 1);
            self.suppressed.note(finding, seen, Reason::Full);
            return;
        }
        let mut case = Case::open(&key, threshold, seen);
        case.uid = uid;
        case.note(threshold, seen, 1);
        let Some(mut out) = case.raise(&key, Action::Create, seen.at, &self.sensor) else { return };
        let id = uid.to_string();
        out.row = Row { key: format!("{TOLD}{id}"), value: Some(id) };
        self.pending.insert(event_id, Pending::Once { uid, finding: finding.id });
        self.suppressed.raised(finding, seen);
        raised.push(out);
    }

    fn see_first(
        &mut self,
        finding: &'static Finding,
        threshold: &'static str,
        seen: &Sighting<'_>,
        raised: &mut Vec<Raised>,
    ) {
        let [organisation, group] = known_of(seen);
        if self.known.contains(&group) {
            let learned = self.begin(seen.at).plus(self.learning());
            let learning = seen.at < learned;
            let reason = if learning { Reason::Learning { until: learned } } else { Reason::Known };
            self.suppressed.note(finding, seen, reason);
            return;
        }
        if self.known.len() >= self.options.max_cases {
            self.cells.add(Counter::CaseOverflow, 1);
            self.suppressed.note(finding, seen, Reason::Full);
            return;
        }
        // One event tells both: new to the organisation is new to the group as well. Another group's event that is on its
        // way has told it; else the scope would depend on how fast the store answers.
        let under_way = |p: &Pending| matches!(p, Pending::FirstSight { known } if known.contains(&organisation));
        let is_known = self.known.contains(&organisation) || self.pending.values().any(under_way);
        let scope = if is_known { "group" } else { "organisation" };
        let place = Place { tenant: None, ..Place::of(finding, seen) };
        // By its words alone: while one is on its way into the store, the next sighting makes the same.
        let uid = Id::of(&[finding.id, place.word(seen), &place.vendor]);
        let key = CaseKey { finding: finding.id, subject: Subject::Usage(place) };
        let event_id = Id::of(&[&uid.to_string(), Action::Create.name(), "0"]);
        if self.pending.contains_key(&event_id) {
            return;
        }
        let mut case = Case::open(&key, threshold, seen);
        case.uid = uid;
        case.note(threshold, seen, 1);
        let Some(mut out) = case.raise(&key, Action::Create, seen.at, &self.sensor) else { return };
        if let What::Finding(report) = &mut out.event.what
            && let Some(usage) = report.usage_mut()
        {
            usage.scope = Some(scope);
            usage.tenant.clone_from(&seen.key.tenant);
        }
        out.row = group.row();
        self.pending.insert(event_id, Pending::FirstSight { known: [organisation, group] });
        self.suppressed.raised(finding, seen);
        raised.push(out);
    }

    fn learn(&mut self, seen: &Sighting<'_>) {
        // The common case costs no allocation beyond the look-up's key.
        for known in known_of(seen) {
            if self.known.contains(&known) {
                continue;
            }
            if self.known.len() >= self.options.max_cases {
                self.cells.add(Counter::CaseOverflow, 1);
                return;
            }
            self.changed.push(known.row());
            self.known.insert(known);
        }
    }

    fn begin(&mut self, at: Time) -> Time {
        *self.begin.get_or_insert_with(|| {
            let value = serde_json::to_string(&at).ok();
            self.changed.push(Row { key: BEGIN.into(), value });
            at
        })
    }

    fn learning(&self) -> Duration {
        hours(self.options.learn_days.saturating_mul(24))
    }

    fn window(&self) -> Duration {
        hours(self.options.window_hours)
    }
}

/// A vendor that is known in a group, or in the organisation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Known {
    vendor: Arc<str>,
    group: Option<Arc<str>>,
}

impl Known {
    fn row(&self) -> Row {
        let text = serde_json::to_string(self).unwrap_or_default();
        Row { key: format!("{KNOWN}{text}"), value: Some(text) }
    }
}

enum Pending {
    FirstSight { known: [Known; 2] },
    Once { uid: Id, finding: &'static str },
    Case { key: CaseKey, action: Action, at: Time },
}

/// Clients that one case tells apart: its row is written with every event, and holds up to 20 octets for each.
const MAX_CASE_CLIENTS: usize = 100_000;

const KNOWN: &str = "known/";
const TOLD: &str = "told/";
const BEGIN: &str = "begin";

fn known_of(seen: &Sighting<'_>) -> [Known; 2] {
    let vendor = &seen.key.vendor;
    [
        Known { vendor: vendor.clone(), group: None },
        Known { vendor: vendor.clone(), group: Some(seen.key.group.clone()) },
    ]
}

fn counter(finding: &str) -> Counter {
    match finding {
        EXPOSED_ON_PREMISE => Counter::ExposedOnPremise,
        UNSANCTIONED_TENANT => Counter::UnsanctionedTenant,
        REMOTE_SESSION => Counter::RemoteSession,
        UPLOAD_SPIKE => Counter::UploadSpike,
        OFF_HOURS => Counter::OffHours,
        EXCEPTION_EXPIRED => Counter::ExceptionExpired,
        FIRST_SEEN => Counter::FirstSeen,
        LOOKALIKE => Counter::Lookalike,
        SANCTIONED_SILENT => Counter::SanctionedSilent,
        VISIBILITY_LOSS => Counter::VisibilityLoss,
        _ => Counter::UnsanctionedUse,
    }
}

const fn hours(hours: u32) -> Duration {
    Duration::from_secs(hours as u64 * 3_600)
}
