//! Cases of what lasts: they are held open by whoever looks, and close when nobody says any more that it is so.

use std::time::Duration;

use super::single::{Case, CaseKey, Subject};
use super::{Cases, Counter, Pending, Raised};
use crate::alert::finding::{SANCTIONED_SILENT, VISIBILITY_LOSS};
use crate::alert::lasting::Lasting;
use crate::alert::loss::Measured;
use crate::alert::silent::Met;
use crate::time::{DAY, Time};

impl Cases {
    /// It is so at `at`: opens its case, or keeps it open and says so once a window.
    pub fn hold(&mut self, lasting: &Lasting, at: Time, raised: &mut Vec<Raised>) {
        let key = CaseKey::lasting(lasting);
        let window = self.window();
        if !self.cases.contains_key(&key) {
            if self.cases.len() >= self.options.max_cases {
                self.cells.add(Counter::CaseOverflow, 1);
                return;
            }
            self.cases.insert(key.clone(), Case::lasting(&key, lasting, at));
            self.cells.set(Counter::Open, self.cases.len() as u64);
        }
        let Some(case) = self.cases.get_mut(&key) else { return };
        case.hold(lasting, at);
        if case.pending.is_none()
            && let Some(action) = case.due(at, window)
            && let Some(out) = case.raise(&key, action, at, &self.sensor)
        {
            self.pending.insert(out.event.id, Pending::Case { key, action, at });
            raised.push(out);
        }
    }

    /// Takes what was measured of the sensor in the window that ended at `at`.
    pub fn measured(&mut self, at: Time, measured: Vec<Measured>, raised: &mut Vec<Raised>) {
        for Measured { cause, outcome } in measured {
            let about = cause.name();
            match outcome {
                Ok(loss) => {
                    self.suppressed.end(VISIBILITY_LOSS, about);
                    self.hold(&Lasting::Loss { loss }, at, raised);
                }
                Err(reason) => self.suppressed.lasting(VISIBILITY_LOSS, about, at, reason),
            }
        }
    }

    /// Takes the days that are over, and says which sanctioned vendors have fallen silent.
    pub fn days_over(&mut self, at: Time, met: Met, raised: &mut Vec<Raised>) {
        for (day, of) in met.days {
            let lossy = self.hidden_on(day);
            self.silences.close(day, of, lossy);
        }
        self.suppressed.begin(SANCTIONED_SILENT);
        for (vendor, kept) in self.silences.judge(&met.sanctioned, &met.today, &self.options) {
            if let Some(reason) = kept {
                self.suppressed.lasting(SANCTIONED_SILENT, &vendor, at, reason);
            }
        }
        self.hold_silences(at, raised);
    }

    /// The first day of which nothing was added up.
    pub fn first_open_day(&self) -> Option<u32> {
        self.silences.first_open_day()
    }

    pub(super) fn hold_silences(&mut self, now: Time, raised: &mut Vec<Raised>) {
        for silent in self.silences.due(now, HOLD_EVERY) {
            self.hold(&silent, now, raised);
        }
    }

    /// Whether the sensor did not see enough on that day to say what was not there.
    fn hidden_on(&self, day: u32) -> bool {
        let from = Time::from_secs(u64::from(day) * DAY.as_secs());
        let until = from.plus(DAY);
        let hides = |key: &CaseKey| matches!(key.subject, Subject::Cause(cause) if cause.hides());
        self.cases.iter().any(|(key, case)| hides(key) && case.held_within(from, until))
    }
}

/// How often a case of silence is told that it lasts; a case closes after hours.
const HOLD_EVERY: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Options;
    use crate::alert::case::tests::{Bench, HOUR, report, told};
    use crate::alert::event::{Action, VendorName};
    use crate::alert::finding::Severity;
    use crate::alert::lasting::{Cause, Loss, Silence};
    use crate::alert::reason::Reason;
    use crate::alert::silent::DayOf;
    use crate::policy::State;
    use crate::time::Second;

    const START: Time = Time::from_secs(1_795_000_000);

    fn loss(cause: Cause, part: u64) -> Loss {
        Loss { cause, part, whole: 100_000, minutes: 15, threshold_percent: 1 }
    }

    fn measured(cause: Cause, part: u64) -> Vec<Measured> {
        vec![Measured { cause, outcome: Ok(loss(cause, part)) }]
    }

    impl Bench {
        fn measure(&mut self, at: Time, measured: Vec<Measured>) -> Vec<Raised> {
            let mut raised = Vec::new();
            self.cases.measured(at, measured, &mut raised);
            raised
        }

        fn over(&mut self, at: Time, met: Met) -> Vec<Raised> {
            let mut raised = Vec::new();
            self.cases.days_over(at, met, &mut raised);
            raised
        }
    }

    #[test]
    fn a_loss_is_a_case_of_its_cause_and_closes_a_window_after_it_is_over() {
        let mut bench = Bench::new(Options::default());
        let created = bench.measure(START, measured(Cause::Drops, 2_500));
        assert_eq!(told(&created), [(VISIBILITY_LOSS, Action::Create)]);
        let first = report(&created[0]);
        assert_eq!(first.lasting(), Some(&Lasting::Loss { loss: loss(Cause::Drops, 2_500) }));
        assert_eq!(
            (&*first.threshold, first.vendor(), first.state()),
            ("drops_percent", None, None)
        );
        assert_eq!(created[0].event.severity, Severity::Medium);
        let summary = created[0].event.summary();
        assert_eq!(summary, "The sensor sees less than passes it: drops (2 % of packets)");
        bench.accept(&created);
        for quarter in 1..=95 {
            let at = START.plus(HOUR * quarter / 4);
            assert!(bench.measure(at, measured(Cause::Drops, 2_000)).is_empty(), "{quarter}");
            assert!(bench.tick(at).is_empty(), "{quarter}");
        }
        let another = bench.measure(START.plus(HOUR * 23), measured(Cause::Ech, 30_000));
        assert_eq!(told(&another), [(VISIBILITY_LOSS, Action::Create)], "another cause");
        assert_ne!(report(&another[0]).finding.uid, first.finding.uid);
        bench.accept(&another);
        let last = START.plus(HOUR * 24);
        let updated = bench.measure(last, measured(Cause::Drops, 3_000));
        assert_eq!(told(&updated), [(VISIBILITY_LOSS, Action::Update)]);
        assert_eq!(report(&updated[0]).finding.uid, first.finding.uid);
        assert_eq!(report(&updated[0]).sightings, 97);
        bench.accept(&updated);
        let over = Reason::Share(loss(Cause::Drops, 5));
        let end = vec![Measured { cause: Cause::Drops, outcome: Err(over.clone()) }];
        assert!(bench.measure(last.plus(HOUR), end).is_empty());
        let kept = bench.cases.suppressed().all_lasting();
        assert_eq!(kept, [(VISIBILITY_LOSS, "drops".into(), last.plus(HOUR), over)]);
        let closed = bench.tick(last.plus(HOUR * 24));
        let actions = [(VISIBILITY_LOSS, Action::Close), (VISIBILITY_LOSS, Action::Close)];
        assert_eq!(told(&closed), actions);
        assert!(closed.iter().all(|raised| raised.row.value.is_none()));
        bench.accept(&closed);
        assert!(bench.cases.open(last).is_empty());
    }

    #[test]
    fn a_case_of_what_lasts_outlives_a_restart_and_a_refusal() {
        let mut bench = Bench::new(Options::default());
        let first = bench.measure(START, measured(Cause::OneWay, 30_000));
        bench.cases.refused(first[0].event.id);
        let again = bench.measure(START.plus(HOUR), measured(Cause::OneWay, 30_000));
        assert_eq!(again[0].event.id, first[0].event.id, "the same message");
        bench.accept(&again);

        let row = again[0].row.clone();
        assert_eq!(row.key, r#"case/["visibility_loss","one_way"]"#);
        let rows = [(row.key, row.value.unwrap())];
        let mut later = Bench::new(Options::default());
        assert!(later.cases.restore(&rows).is_empty());
        assert!(later.measure(START.plus(HOUR * 2), measured(Cause::OneWay, 30_000)).is_empty());
        let updated = later.measure(START.plus(HOUR * 26), measured(Cause::OneWay, 30_000));
        assert_eq!(told(&updated), [(VISIBILITY_LOSS, Action::Update)]);
        assert_eq!(report(&updated[0]).finding.uid, report(&first[0]).finding.uid);
    }

    #[test]
    fn a_row_of_a_version_that_knew_contacts_alone_is_read() {
        let row = r#"{"finding":"unsanctioned_use","group":"support","tenant":null,
            "uid":"7789f10e-6e09-87b5-bd06-7f4a71d8228b","sequence":1,"opened":"2026-11-18T07:06:40.000000Z",
            "said":"2026-11-18T07:06:40.000000Z","last_seen":"2026-11-18T07:06:40.000000Z","sightings":1,
            "clients":[1],"exact":true,"listed":["c-1"],"last":{"vendor":{"id":"anydesk","name":"AnyDesk",
            "category":"remote-assistance"},"remote":true,"role":"relay","relation":"unknown","state":"unreviewed",
            "rule":null,"threshold":"first relay contact","client":{"id":"c-1","kind":"host"},
            "engagement":{"level":"glance","active_minutes_today":0,"sent_bytes_today":0}}}"#;
        let key = r#"case/["unsanctioned_use","support","anydesk",null]"#;
        let mut bench = Bench::new(Options::default());
        assert!(bench.cases.restore(&[(key.into(), row.into())]).is_empty());
        let closed = bench.tick(START.plus(HOUR * 24 * 9));
        assert_eq!(report(&closed[0]).usage().unwrap().role.name(), "relay");
        assert_eq!(closed[0].row.key, key, "the row that goes is the one that was there");
    }

    /// Fifty clients on each of so many days, of whom some use a sanctioned vendor, which is known by name.
    fn met(days: std::ops::Range<u32>, clients: u32) -> Met {
        let vendor = VendorName { id: "zendesk".into(), name: "Zendesk".into(), category: None };
        let of = |_| DayOf { clients: 50, vendors: [("zendesk".into(), clients)].into() };
        Met {
            days: days.map(|day| (day, of(day))).collect(),
            sanctioned: [("zendesk".into(), vendor)].into(),
            today: Default::default(),
        }
    }

    fn midnight(day: u32) -> Time {
        Time::from_secs(u64::from(day) * DAY.as_secs())
    }

    #[test]
    fn a_silence_is_a_case_of_its_vendor_and_ends_when_it_is_used() {
        let mut bench = Bench::new(Options::default());
        let today = START.day();
        assert!(bench.over(midnight(today), met(today - 24..today - 4, 6)).is_empty());
        assert!(bench.over(midnight(today), met(today - 4..today, 0)).is_empty());
        let reason = Reason::Used { silent_days: 4, needs: 5 };
        let kept = (SANCTIONED_SILENT, "zendesk".into(), midnight(today), reason);
        assert_eq!(bench.cases.suppressed().all_lasting(), [kept]);
        let mut nobody = met(0..0, 0);
        nobody.sanctioned.clear();
        assert!(bench.over(midnight(today), nobody).is_empty());
        assert!(bench.cases.suppressed().all_lasting().is_empty(), "sanctioned no more");
        let next = midnight(today + 1);
        let created = bench.over(next, met(today..today + 1, 0));
        assert_eq!(told(&created), [(SANCTIONED_SILENT, Action::Create)]);
        assert!(bench.cases.suppressed().all_lasting().is_empty());
        let first = report(&created[0]);
        assert_eq!(
            (&*first.vendor().unwrap().id, first.state()),
            ("zendesk", Some(State::Sanctioned))
        );
        let last_used = midnight(today - 5);
        let silence = Silence { days: 5, known_days: 20, clients_a_day: 6, last_used };
        assert_eq!(first.lasting().unwrap().silence(), Some(&silence), "{}", Second(last_used));
        assert_eq!(created[0].row.key, r#"case/["sanctioned_silent","zendesk"]"#);
        bench.accept(&created);
        for hour in 1..24 {
            assert!(bench.tick(next.plus(HOUR * hour)).is_empty(), "hour {hour}");
        }
        let updated = bench.tick(next.plus(HOUR * 24));
        assert_eq!(told(&updated), [(SANCTIONED_SILENT, Action::Update)], "it lasts");
        bench.accept(&updated);

        let mut sample = crate::alert::finding::tests::Sample::new("zendesk", "helpdesk");
        sample = sample.state(State::Sanctioned);
        sample.at = next.plus(HOUR * 25);
        bench.see(&sample);
        for hour in 25..48 {
            assert!(bench.tick(next.plus(HOUR * hour)).is_empty(), "hour {hour}");
        }
        let closed = bench.tick(next.plus(HOUR * 48));
        assert_eq!(told(&closed), [(SANCTIONED_SILENT, Action::Close)]);
    }

    #[test]
    fn on_days_on_which_names_were_hidden_nobody_is_silent() {
        for (cause, silent) in [(Cause::Drops, false), (Cause::Duplicates, true)] {
            let mut bench = Bench::new(Options::default());
            let today = START.day();
            bench.over(midnight(today), met(today - 25..today - 4, 6));
            let noon = midnight(today - 1).plus(HOUR * 12);
            let raised = bench.measure(noon, measured(cause, 50_000));
            bench.accept(&raised);
            let raised = bench.over(midnight(today + 1), met(today - 4..today + 1, 0));
            assert_eq!(!raised.is_empty(), silent, "{cause}");
        }
    }
}
