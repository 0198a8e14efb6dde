//! What a case says and when: opening, windows, closing, a restart, and what the store refused.

use super::super::event::{Report, UsageFacts};
use super::super::finding::UNSANCTIONED_USE;
use super::super::finding::tests::Sample;
use super::super::lasting::Lasting;
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
        What::Heartbeat { .. } | What::Audit { .. } | What::Usage(_) => panic!("no case says that"),
    }
}

pub(in crate::alert) fn usage(raised: &Raised) -> &UsageFacts {
    report(raised).usage().unwrap()
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

/// The case of what lasts opens.
pub(in crate::alert) fn lasting(about: Lasting) -> Raised {
    let mut raised = Vec::new();
    Bench::new(Options::default()).cases.hold(&about, anydesk().at, &mut raised);
    raised.remove(0)
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
    assert_eq!(usage(&created[0]).evidence.len(), 1);
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
    assert_eq!(usage(&updated[0]).clients.count, 2);
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
    let clients = &usage(&updated[0]).clients;
    assert_eq!((clients.count, clients.exact, clients.listed.len()), (10_000, true, 20));
    assert_eq!(usage(&updated[0]).evidence.len(), 5);
}

#[test]
fn clients_beyond_the_bound_make_the_count_a_lower_bound() {
    let mut bench = Bench::new(Options { max_clients: 3, ..Options::default() });
    for i in 0..5 {
        let raised = bench.see(&anydesk().client(&format!("c-{i}")));
        bench.accept(&raised);
    }
    let updated = bench.tick(anydesk().at.plus(HOUR * 24));
    let clients = &usage(&updated[0]).clients;
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
    assert_eq!(usage(&session[0]).session, sample.session);
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
    assert_eq!(usage(&raised[0]).upload, Some(upload));
    assert_eq!(
        (&*report(&raised[0]).threshold, &usage(&raised[0]).tenant),
        ("upload_floor", &None)
    );
    bench.accept(&raised);
    assert!(bench.see(&sample).is_empty(), "told");
    assert_eq!(bench.cells.get(Counter::UploadSpike), 1);
    let mut other = sample.client("c-2");
    assert!(bench.see(&other).is_empty());
    assert_eq!(told(&bench.see(&other)), [(UPLOAD_SPIKE, Action::Create)], "its own hour");

    let usual = |rows: Vec<Row>| rows.into_iter().find(|row| row.key.starts_with("usual/"));
    assert_eq!(usual(bench.cases.changed()), None, "the hour is not over");
    other.at = other.at.plus(HOUR);
    bench.see(&other);
    let row = usual(bench.cases.changed()).unwrap();
    assert!(bench.cases.restore(&[(row.key, row.value.unwrap())]).is_empty());
    assert_eq!(bench.cases.restore(&[("usual/x".into(), "{".into())]), ["usual/x"]);
}

#[test]
fn a_small_group_is_named_nowhere_and_its_case_keeps_its_name() {
    let mut bench = Bench::new(Options::default());
    let mut sample = anydesk();
    sample.small = true;
    let create = bench.see(&sample);
    bench.accept(&create);
    let guessed = |raised: &Raised| {
        let opened = report(raised).opened.nanos().to_string();
        let words = ["unsanctioned_use", "support", "anydesk", "", "", &opened];
        Id::of(&words) == report(raised).finding.uid
    };
    assert_eq!((&*usage(&create[0]).group, &*create[0].group), ("small", "support"));
    assert!(!guessed(&create[0]), "its id tells the group to whoever knows all names");
    // It has grown: what is told of this case has one name, and the next has the group's.
    sample.small = false;
    sample.at = sample.at.plus(HOUR);
    assert!(bench.see(&sample).is_empty());
    let update = bench.tick(sample.at.plus(HOUR * 24));
    assert_eq!(&*usage(&update[0]).group, "small");
    bench.accept(&update);
    let rows: Vec<(String, String)> = update
        .iter()
        .map(|raised| (raised.row.key.clone(), raised.row.value.clone().unwrap()))
        .collect();
    let mut after = Bench::new(Options::default());
    assert!(after.cases.restore(&rows).is_empty());
    assert_eq!(after.cases.open(sample.at).len(), 1);
    let close = after.tick(sample.at.plus(HOUR * 50));
    assert_eq!(report(&close[0]).finding.action, Action::Close);
    assert_eq!(&*usage(&close[0]).group, "small", "also after a restart");
    after.accept(&close);
    sample.at = sample.at.plus(HOUR * 60);
    let named = after.see(&sample);
    assert_eq!(&*usage(&named[0]).group, "support");
    assert!(guessed(&named[0]), "what is asked of the id above");
}

#[test]
fn what_was_told_once_of_a_small_group_is_not_told_again_when_it_has_grown() {
    let mut bench = Bench::new(Options::default());
    let mut sample = Sample::new("zendesk", "helpdesk").state(State::Tolerated);
    sample.decision.expired = exception("2026-11-01");
    sample.small = true;
    let raised = bench.see(&sample);
    let told: Vec<_> = raised.iter().map(|r| (report(r).finding.id, &*usage(r).group)).collect();
    assert_eq!(told, [("exception_expired", "small")]);
    bench.accept(&raised);
    sample.small = false;
    assert!(bench.see(&sample).is_empty());
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
    assert_eq!(usage(&raised[0]).scope, Some("organisation"));
    assert!(bench.see(&new).is_empty(), "on its way");
    bench.cases.refused(raised[0].event.id);
    let raised = bench.see(&new);
    bench.accept(&raised);
    assert!(bench.see(&new).is_empty(), "said");

    let mut group = Sample::new("re-amaze", "helpdesk");
    group.at = after;
    group.key.group = "sales".into();
    let of_group = bench.see(&group);
    assert_eq!(usage(&of_group[0]).scope, Some("group"));
    assert_eq!(bench.cells.get(Counter::FirstSeen), 1, "the second is not accepted yet");
}

#[test]
fn the_scope_of_a_first_sight_depends_neither_on_the_store_nor_on_a_restart() {
    let mut bench = Bench::new(Options { learn_days: 0, ..Options::default() });
    let mut sample = Sample::new("re-amaze", "helpdesk");
    let first = bench.see(&sample);
    assert_eq!(usage(&first[0]).scope, Some("organisation"));
    sample.key.group = "sales".into();
    let second = bench.see(&sample);
    assert_eq!(usage(&second[0]).scope, Some("group"), "the first is under way");

    let mut later = Bench::new(Options { learn_days: 0, ..Options::default() });
    let row = first[0].row.clone();
    later.cases.restore(&[(row.key, row.value.unwrap())]);
    let second = later.see(&sample);
    assert_eq!(usage(&second[0]).scope, Some("group"), "the row of a group tells both");
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
    assert_eq!(usage(&updated[0]).clients.count, 2);

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

fn exception(expires: &str) -> Option<Arc<Exception>> {
    let (owner, reason) = ("marketing".to_owned(), "migration".to_owned());
    let ends = Time::from_secs(1_793_577_600);
    Some(Arc::new(Exception { owner, reason, expires: expires.to_owned(), ends }))
}
