//! Cases: one kind of finding over clients and time, which says something at most once a window.

mod acknowledged;
mod single;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::acknowledged::LEFT;
use self::acknowledged::TAKEN;
use self::single::{Case, CaseKey};
use super::Options;
use super::event::{Action, Event, Id, Sensor, What};
use super::finding::{
    EXCEPTION_EXPIRED, EXPOSED_ON_PREMISE, FINDINGS, FIRST_SEEN, Finding, LOOKALIKE, Life,
    OFF_HOURS, REMOTE_SESSION, Sighting, UNSANCTIONED_TENANT, UPLOAD_SPIKE,
};
use super::reason::Reason;
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
        let usual = self.uploads.changed().into_iter();
        let mut rows = std::mem::take(&mut self.changed);
        rows.extend(usual.map(|(key, value)| Row { key, value: Some(value) }));
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
        let key = CaseKey::of(finding, seen);
        let (marker, tenant) = match &key.tenant {
            Some(tenant) => ("tenant", &**tenant),
            None => ("", ""),
        };
        let words = [&exception.owner, &exception.reason, &exception.expires].map(String::as_str);
        let [owner, reason, expires] = words;
        let uid =
            Id::of(&[finding.id, &key.group, &key.vendor, marker, tenant, owner, reason, expires]);
        let event_id = Id::of(&[&uid.to_string(), Action::Create.name(), "0"]);
        if self.told.contains(&uid) || self.pending.contains_key(&event_id) {
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
        let key = CaseKey { tenant: None, ..CaseKey::of(finding, seen) };
        // By its words alone: while one is on its way into the store, the next sighting makes the same.
        let uid = Id::of(&[finding.id, &key.group, &key.vendor]);
        let event_id = Id::of(&[&uid.to_string(), Action::Create.name(), "0"]);
        if self.pending.contains_key(&event_id) {
            return;
        }
        let mut case = Case::open(&key, threshold, seen);
        case.uid = uid;
        case.note(threshold, seen, 1);
        let Some(mut out) = case.raise(&key, Action::Create, seen.at, &self.sensor) else { return };
        if let What::Finding(report) = &mut out.event.what {
            report.scope = Some(scope);
            report.tenant.clone_from(&seen.key.tenant);
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
        _ => Counter::UnsanctionedUse,
    }
}

const fn hours(hours: u32) -> Duration {
    Duration::from_secs(hours as u64 * 3_600)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::event::Report;
    use super::super::finding::UNSANCTIONED_USE;
    use super::super::finding::tests::Sample;
    use super::super::session::Session;
    use super::super::upload::Upload;
    use super::*;
    use crate::policy::{Exception, State};
    use crate::signature::Role;
    use crate::usage::Engagement;

    pub(in crate::alert) const HOUR: Duration = Duration::from_secs(3_600);

    pub(in crate::alert) struct Bench {
        pub(in crate::alert) cases: Cases,
        cells: Arc<count::Cells<Counter>>,
    }

    impl Bench {
        pub(in crate::alert) fn new(options: Options) -> Self {
            let cells = count::Cells::new();
            Self { cases: Cases::new(options, Sensor::default(), cells.clone()), cells }
        }

        pub(in crate::alert) fn see(&mut self, sample: &Sample) -> Vec<Raised> {
            let mut raised = Vec::new();
            self.cases.see(&sample.sighting(), &mut raised);
            raised
        }

        pub(in crate::alert) fn tick(&mut self, now: Time) -> Vec<Raised> {
            let mut raised = Vec::new();
            self.cases.tick(now, &mut raised);
            raised
        }

        pub(in crate::alert) fn accept(&mut self, raised: &[Raised]) {
            raised.iter().for_each(|r| self.cases.accepted(r.event.id));
        }
    }

    pub(in crate::alert) fn report(raised: &Raised) -> &Report {
        match &raised.event.what {
            What::Finding(report) => report,
            What::Heartbeat { .. } | What::Audit { .. } => panic!("no case says that"),
        }
    }

    pub(in crate::alert) fn told(raised: &[Raised]) -> Vec<(&'static str, Action)> {
        raised.iter().map(|r| (report(r).finding.id, report(r).finding.action)).collect()
    }

    /// An update with so many flows as evidence and so many clients.
    pub(crate) fn raised(flows: u64, clients: u64) -> Raised {
        let mut bench = Bench::new(Options::default());
        let start = anydesk().at;
        for i in 0..=flows.max(clients) {
            let mut sample = anydesk().client(&format!("c-{}", i % clients));
            sample.at = start.plus(Duration::from_secs(i));
            let raised = bench.see(&sample);
            bench.accept(&raised);
        }
        bench.tick(start.plus(HOUR * 24)).remove(0)
    }

    pub(in crate::alert) fn anydesk() -> Sample {
        let mut sample = Sample::new("anydesk", "remote-assistance").role(Role::Relay);
        sample.standing.engagement = Engagement::Glance;
        sample
    }

    #[test]
    fn a_case_opens_is_updated_once_a_window_and_closes() {
        let mut bench = Bench::new(Options::default());
        let mut sample = anydesk();
        let start = sample.at;
        let created = bench.see(&sample);
        assert_eq!(told(&created), [(UNSANCTIONED_USE, Action::Create)]);
        assert_eq!(report(&created[0]).evidence.len(), 1);
        assert_eq!(report(&created[0]).finding.attack, ["T1219.002"]);
        bench.accept(&created);
        for hour in 1..24 {
            sample.at = start.plus(HOUR * hour);
            assert!(bench.see(&sample).is_empty(), "hour {hour}");
            assert!(bench.tick(sample.at).is_empty(), "hour {hour}");
        }
        let sample = sample.client("c-2");
        assert!(bench.see(&sample).is_empty());
        let updated = bench.tick(start.plus(HOUR * 24));
        assert_eq!(told(&updated), [(UNSANCTIONED_USE, Action::Update)]);
        assert_eq!(report(&updated[0]).clients.count, 2);
        assert_eq!(report(&updated[0]).finding.uid, report(&created[0]).finding.uid);
        assert_ne!(updated[0].event.id, created[0].event.id);
        bench.accept(&updated);
        assert!(bench.tick(start.plus(HOUR * 46)).is_empty(), "not quiet for a window yet");
        let closed = bench.tick(start.plus(HOUR * 48));
        assert_eq!(told(&closed), [(UNSANCTIONED_USE, Action::Close)]);
        assert_eq!(closed[0].row.value, None, "its row goes");
        bench.accept(&closed);
        assert!(bench.tick(start.plus(HOUR * 99)).is_empty());
        assert_eq!(bench.cells.get(Counter::UnsanctionedUse), 1);
        assert_eq!(bench.cells.get(Counter::Open), 0);
        assert_eq!(bench.cells.get(Counter::Accepted), 3);
    }

    #[test]
    fn what_the_store_did_not_take_is_raised_again() {
        let mut bench = Bench::new(Options::default());
        let mut sample = anydesk();
        let first = bench.see(&sample);
        assert!(bench.see(&sample).is_empty(), "on its way");
        bench.cases.refused(first[0].event.id);
        sample.at = sample.at.plus(HOUR);
        let again = bench.see(&sample);
        assert_eq!(told(&again), told(&first));
        assert_eq!(again[0].event.id, first[0].event.id);
        bench.cases.refused(again[0].event.id);
        let third = bench.tick(sample.at.plus(HOUR));
        assert_eq!(third[0].event.id, first[0].event.id);
        assert_eq!(bench.cells.get(Counter::UnsanctionedUse), 0, "counted when accepted only");
        bench.accept(&third);
        assert_eq!(bench.cells.get(Counter::UnsanctionedUse), 1);
        assert_eq!(bench.cells.get(Counter::Refused), 2);
    }

    #[test]
    fn an_update_that_the_store_did_not_take_is_raised_again_without_another_contact() {
        let mut bench = Bench::new(Options::default());
        let mut sample = anydesk();
        let created = bench.see(&sample);
        bench.accept(&created);
        let window = sample.at.plus(HOUR * 24);
        sample.at = sample.at.plus(HOUR * 23);
        bench.see(&sample);
        let first = bench.tick(window);
        bench.cases.refused(first[0].event.id);
        let again = bench.tick(window.plus(HOUR));
        assert_eq!(told(&again), [(UNSANCTIONED_USE, Action::Update)]);
        assert_eq!(again[0].event.id, first[0].event.id);
        bench.accept(&again);
        assert!(bench.tick(window.plus(HOUR * 2)).is_empty(), "told");
    }

    #[test]
    fn a_storm_of_clients_is_one_case_with_a_count() {
        let mut bench = Bench::new(Options::default());
        let mut said = Vec::new();
        let start = anydesk().at;
        for i in 0..10_000_u32 {
            let mut sample = anydesk().client(&format!("c-{i}"));
            sample.at = start.plus(Duration::from_secs(u64::from(i)));
            let raised = bench.see(&sample);
            bench.accept(&raised);
            said.extend(raised);
        }
        assert_eq!(told(&said), [(UNSANCTIONED_USE, Action::Create)]);
        let updated = bench.tick(start.plus(HOUR * 24));
        let clients = &report(&updated[0]).clients;
        assert_eq!((clients.count, clients.exact, clients.listed.len()), (10_000, true, 20));
        assert_eq!(report(&updated[0]).evidence.len(), 5);
    }

    #[test]
    fn clients_beyond_the_bound_make_the_count_a_lower_bound() {
        let mut bench = Bench::new(Options { max_clients: 3, ..Options::default() });
        for i in 0..5 {
            let raised = bench.see(&anydesk().client(&format!("c-{i}")));
            bench.accept(&raised);
        }
        let updated = bench.tick(anydesk().at.plus(HOUR * 24));
        let clients = &report(&updated[0]).clients;
        assert_eq!((clients.count, clients.exact), (3, false));
        assert_eq!(bench.cells.get(Counter::ClientOverflow), 2);
    }

    #[test]
    fn cases_beyond_the_bound_are_counted() {
        let mut bench = Bench::new(Options { max_cases: 1, ..Options::default() });
        assert_eq!(bench.see(&anydesk()).len(), 1);
        let mut other = anydesk();
        other.key.group = "sales".into();
        assert!(bench.see(&other).is_empty());
        assert_eq!(bench.cells.get(Counter::CaseOverflow), 1);
    }

    #[test]
    fn a_foreign_console_is_one_case_and_the_more_specific_one() {
        let mut bench = Bench::new(Options::default());
        let sample = Sample::foreign("kustomer").state(State::Unsanctioned);
        let raised = bench.see(&sample);
        assert_eq!(told(&raised), [(UNSANCTIONED_TENANT, Action::Create)]);
        bench.accept(&raised);
        let api = Sample::foreign("kustomer").state(State::Unsanctioned).role(Role::Api);
        assert!(bench.see(&api).is_empty(), "the same instance, which has a case already");
    }

    #[test]
    fn a_session_is_a_case_of_its_client_and_survives_a_restart() {
        let mut bench = Bench::new(Options::default());
        let mut sample = anydesk();
        let first = bench.see(&sample);
        assert_eq!(told(&first), [(UNSANCTIONED_USE, Action::Create)]);
        bench.accept(&first);
        sample.session = Some(Session::relayed(100, 9_000));
        let session = bench.see(&sample);
        assert_eq!(told(&session), [(REMOTE_SESSION, Action::Create)], "beside the open case");
        bench.accept(&session);
        assert_eq!(report(&session[0]).session, sample.session);
        assert!(!report(&session[0]).finding.title.contains("view"), "a guess");
        assert!(bench.see(&sample).is_empty(), "once a window");

        let mut other = anydesk().client("c-2");
        other.session = Some(Session::direct(false, true));
        let direct = bench.see(&other);
        assert_eq!(told(&direct), [(REMOTE_SESSION, Action::Create)]);
        assert_eq!(report(&direct[0]).finding.attack, ["T1021", "T1219.002"]);
        assert_ne!(report(&direct[0]).finding.uid, report(&session[0]).finding.uid);
        bench.accept(&direct);
        assert_eq!(bench.cells.get(Counter::RemoteSession), 2);

        let mut later = Bench::new(Options::default());
        let row = session[0].row.clone();
        assert!(later.cases.restore(&[(row.key, row.value.unwrap())]).is_empty());
        later.accept(&first);
        let again = later.see(&sample);
        assert!(!told(&again).iter().any(|(id, _)| *id == REMOTE_SESSION), "told before");
        sample.at = sample.at.plus(HOUR * 24);
        let updated = later.see(&sample);
        let updated = updated.iter().find(|r| report(r).finding.id == REMOTE_SESSION).unwrap();
        assert_eq!(report(updated).finding.uid, report(&session[0]).finding.uid);
    }

    #[test]
    fn an_upload_is_a_case_of_its_client_with_its_numbers() {
        let mut bench = Bench::new(Options { learn_days: 0, ..Options::default() });
        let mut sample = Sample::new("zendesk", "helpdesk").state(State::Sanctioned);
        sample.added = (30_000_000, 0);
        assert!(bench.see(&sample).is_empty());
        sample.key.tenant = Some("acme".into());
        let raised = bench.see(&sample);
        assert_eq!(told(&raised), [(UPLOAD_SPIKE, Action::Create)]);
        let upload = Upload { hour_bytes: 60_000_000, threshold_bytes: 50_000_000, usual: false };
        assert_eq!(report(&raised[0]).upload, Some(upload));
        assert_eq!(
            (&*report(&raised[0]).threshold, &report(&raised[0]).tenant),
            ("upload_floor", &None)
        );
        bench.accept(&raised);
        assert!(bench.see(&sample).is_empty(), "told");
        assert_eq!(bench.cells.get(Counter::UploadSpike), 1);
        let mut other = sample.client("c-2");
        assert!(bench.see(&other).is_empty());
        assert_eq!(told(&bench.see(&other)), [(UPLOAD_SPIKE, Action::Create)], "its own hour");

        let usual = |rows: Vec<Row>| rows.into_iter().find(|row| Uploads::owns(&row.key));
        assert_eq!(usual(bench.cases.changed()), None, "the hour is not over");
        other.at = other.at.plus(HOUR);
        bench.see(&other);
        let row = usual(bench.cases.changed()).unwrap();
        assert!(bench.cases.restore(&[(row.key, row.value.unwrap())]).is_empty());
        assert_eq!(bench.cases.restore(&[("usual/x".into(), "{".into())]), ["usual/x"]);
    }

    #[test]
    fn first_seen_is_silent_while_learning_and_said_once_after() {
        let mut bench = Bench::new(Options::default());
        let mut known = Sample::new("gorgias", "helpdesk");
        assert!(bench.see(&known).is_empty(), "learning");
        let after = known.at.plus(HOUR * 24 * 15);
        known.at = after;
        assert!(bench.see(&known).is_empty(), "learned");

        let mut new = Sample::new("re-amaze", "helpdesk");
        new.at = after;
        let raised = bench.see(&new);
        assert_eq!(told(&raised), [(FIRST_SEEN, Action::Create)]);
        assert_eq!(report(&raised[0]).scope, Some("organisation"));
        assert!(bench.see(&new).is_empty(), "on its way");
        bench.cases.refused(raised[0].event.id);
        let raised = bench.see(&new);
        bench.accept(&raised);
        assert!(bench.see(&new).is_empty(), "said");

        let mut group = Sample::new("re-amaze", "helpdesk");
        group.at = after;
        group.key.group = "sales".into();
        let of_group = bench.see(&group);
        assert_eq!(report(&of_group[0]).scope, Some("group"));
        assert_eq!(bench.cells.get(Counter::FirstSeen), 1, "the second is not accepted yet");
    }

    #[test]
    fn the_scope_of_a_first_sight_depends_neither_on_the_store_nor_on_a_restart() {
        let mut bench = Bench::new(Options { learn_days: 0, ..Options::default() });
        let mut sample = Sample::new("re-amaze", "helpdesk");
        let first = bench.see(&sample);
        assert_eq!(report(&first[0]).scope, Some("organisation"));
        sample.key.group = "sales".into();
        let second = bench.see(&sample);
        assert_eq!(report(&second[0]).scope, Some("group"), "the first is under way");

        let mut later = Bench::new(Options { learn_days: 0, ..Options::default() });
        let row = first[0].row.clone();
        later.cases.restore(&[(row.key, row.value.unwrap())]);
        let second = later.see(&sample);
        assert_eq!(report(&second[0]).scope, Some("group"), "the row of a group tells both");
    }

    #[test]
    fn rows_bring_cases_and_learning_back() {
        let mut bench = Bench::new(Options::default());
        let sample = anydesk();
        let raised = bench.see(&sample);
        bench.accept(&raised);
        bench.see(&Sample::new("gorgias", "helpdesk"));
        let rows = bench.cases.changed().into_iter().chain(raised.iter().map(|r| r.row.clone()));
        let rows: Vec<(String, String)> = rows.map(|r| (r.key, r.value.unwrap())).collect();
        assert!(bench.cases.changed().is_empty());

        let mut later = Bench::new(Options::default());
        assert!(later.cases.restore(&rows).is_empty());
        assert_eq!(later.cells.get(Counter::Open), 1);
        let mut known = Sample::new("gorgias", "helpdesk");
        known.at = known.at.plus(HOUR * 24 * 15);
        assert!(later.see(&known).is_empty(), "learned by the run before");
        let updated = later.see(&{
            let mut next = anydesk().client("c-2");
            next.at = sample.at.plus(HOUR * 25);
            next
        });
        assert_eq!(told(&updated), [(UNSANCTIONED_USE, Action::Update)]);
        assert_eq!(report(&updated[0]).finding.uid, report(&raised[0]).finding.uid);
        assert_eq!(report(&updated[0]).clients.count, 2);

        assert_eq!(later.cases.restore(&[("case/x".into(), "{".into())]), ["case/x"]);
    }

    #[test]
    fn a_replay_gives_the_same_ids() {
        let ids = || {
            let mut bench = Bench::new(Options::default());
            let raised = bench.see(&anydesk());
            (raised[0].event.id, report(&raised[0]).finding.uid)
        };
        assert_eq!(ids(), ids());
    }

    #[test]
    fn the_end_of_an_exception_is_told_once_for_ever() {
        let mut bench = Bench::new(Options::default());
        let mut sample = Sample::new("gorgias", "helpdesk").state(State::Tolerated);
        let exception = |expires: &str| {
            let (owner, reason) = ("marketing".to_owned(), "migration".to_owned());
            let ends = Time::from_secs(1_793_577_600);
            Some(Arc::new(Exception { owner, reason, expires: expires.to_owned(), ends }))
        };
        sample.decision.expired = exception("2026-11-01");
        let first = bench.see(&sample);
        assert_eq!(told(&first), [(EXCEPTION_EXPIRED, Action::Create)]);
        assert!(bench.see(&sample).is_empty(), "on its way");
        bench.cases.refused(first[0].event.id);
        let again = bench.see(&sample);
        assert_eq!(again[0].event.id, first[0].event.id, "the same message");
        bench.accept(&again);
        assert_eq!(bench.cells.get(Counter::ExceptionExpired), 1);
        sample.key.client = "c-2".into();
        assert!(bench.see(&sample).is_empty(), "another client of the group");

        let row = again[0].row.clone();
        let mut later = Bench::new(Options::default());
        assert!(later.cases.restore(&[(row.key, row.value.unwrap())]).is_empty());
        sample.at = sample.at.plus(48 * HOUR);
        assert!(later.see(&sample).is_empty(), "told before the restart");
        sample.decision.expired = exception("2026-12-01");
        assert_eq!(later.see(&sample).len(), 1, "another exception");
    }
}
