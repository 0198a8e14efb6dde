//! What somebody acknowledged: the row that a person leaves in the store, and what the daemon makes of it.

use super::{Cases, Row};
use crate::alert::event::{Acknowledged, Audit, Id};

/// Acknowledgments that people left and no daemon has taken yet, by the uid of the case.
pub const LEFT: &str = "ack/new/";

/// Those in force.
pub(super) const TAKEN: &str = "ack/";

impl Acknowledged {
    /// The row by which it is left for the daemon, which finds it there whether it runs or starts later.
    pub fn left(&self, case: Id) -> Row {
        Row { key: format!("{LEFT}{case}"), value: serde_json::to_string(self).ok() }
    }
}

impl Cases {
    /// Takes what people left: the case is quiet from now on. For each row, what the sinks are to be told, and the rows to be
    /// committed with it; until then the row is left, and taken again.
    pub fn acknowledge(&mut self, left: &[(String, String)]) -> Vec<(Audit, Vec<Row>)> {
        left.iter().map(|(key, value)| self.take(key, value)).collect()
    }

    fn take(&mut self, key: &str, value: &str) -> (Audit, Vec<Row>) {
        let gone = Row { key: key.into(), value: None };
        let case = key.strip_prefix(LEFT).unwrap_or(key);
        let told =
            |outcome, detail: String| Audit { action: "ack", outcome, detail: detail.into() };
        let Some(read) = self.put(case, value) else {
            let detail = format!("case {case}: it is not open, or the row cannot be read");
            return (told("failure", detail), vec![gone]);
        };
        let kept = Row { key: format!("{TAKEN}{case}"), value: Some(value.into()) };
        let Acknowledged { owner, reason, until } = read;
        let detail = format!("case {case} by {owner} until {until}: {reason}");
        (told("success", detail), vec![gone, kept])
    }

    /// Acknowledgments of an earlier run; those of cases that have closed since go.
    pub(super) fn restore_acknowledged(&mut self, rows: &[(String, String)]) {
        for (key, value) in rows.iter().filter(|(key, _)| !key.starts_with(LEFT)) {
            if let Some(case) = key.strip_prefix(TAKEN)
                && self.put(case, value).is_none()
            {
                self.changed.push(Row { key: key.clone(), value: None });
            }
        }
    }

    fn put(&mut self, case: &str, value: &str) -> Option<Acknowledged> {
        let (uid, read) = (Id::parse(case)?, serde_json::from_str::<Acknowledged>(value).ok()?);
        let case = self.cases.values_mut().find(|known| known.uid == uid)?;
        case.acknowledged = Some(read.clone());
        Some(read)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::alert::Options;
    use crate::alert::case::tests::{Bench, HOUR, anydesk, report, told, usage};
    use crate::alert::event::Action;
    use crate::time::Time;

    fn by_ada(until: Time) -> Acknowledged {
        Acknowledged { owner: "ada".into(), reason: "vendor call".into(), until }
    }

    fn pair(row: Row) -> (String, String) {
        (row.key, row.value.unwrap())
    }

    #[test]
    fn an_acknowledged_case_is_quiet_until_the_day_is_over_and_closes_all_the_same() {
        let mut bench = Bench::new(Options::default());
        let mut sample = anydesk();
        let start = sample.at;
        let first = bench.see(&sample);
        bench.accept(&first);
        let uid = report(&first[0]).finding.uid;
        let left = pair(by_ada(start.plus(HOUR * 49)).left(uid));
        let taken = bench.cases.acknowledge(std::slice::from_ref(&left));
        assert_eq!((taken[0].0.action, taken[0].0.outcome), ("ack", "success"));
        assert!(taken[0].0.detail.contains("by ada until "), "{}", taken[0].0.detail);
        let mut said = Vec::new();
        for hour in (1..=60).step_by(3) {
            sample.at = start.plus(HOUR * hour);
            let raised = bench.see(&sample);
            bench.accept(&raised);
            said.extend(raised.into_iter().map(|r| (hour, r)));
        }
        assert_eq!(said.len(), 1, "one update in sixty hours");
        assert_eq!(said[0].0, 49, "as soon as the day is over");
        assert_eq!(report(&said[0].1).acknowledged, Some(by_ada(start.plus(HOUR * 49))));

        let (audit, rows) = taken.into_iter().next().unwrap();
        assert_eq!(rows[0], Row { key: left.0.clone(), value: None });
        let mut later = Bench::new(Options::default());
        let kept = vec![pair(rows[1].clone()), pair(first[0].row.clone())];
        assert!(later.cases.restore(&kept).is_empty());
        sample.at = start.plus(HOUR * 30);
        assert!(later.see(&sample).is_empty(), "{audit:?} outlives a restart");
        let closing = later.tick(start.plus(HOUR * 24 * 3));
        // What came since the last word is told before the end.
        later.accept(&closing);
        let closed = later.tick(start.plus(HOUR * 24 * 3 + Duration::from_secs(61)));
        assert_eq!(told(&closed), [(crate::alert::finding::UNSANCTIONED_USE, Action::Close)]);
        assert_eq!(report(&closed[0]).acknowledged.as_ref().map(|a| &*a.owner), Some("ada"));
        later.accept(&closed);
        assert!(later.cases.changed().contains(&Row { key: rows[1].key.clone(), value: None }));
    }

    #[test]
    fn a_case_that_is_acknowledged_and_quiet_closes_before_the_day_is_over() {
        let mut bench = Bench::new(Options::default());
        let first = bench.see(&anydesk());
        bench.accept(&first);
        let uid = report(&first[0]).finding.uid;
        bench.see(&anydesk().client("c-2"));
        let until = anydesk().at.plus(HOUR * 24 * 90);
        bench.cases.acknowledge(&[pair(by_ada(until).left(uid))]);
        let closed = bench.tick(anydesk().at.plus(HOUR * 25));
        assert_eq!(told(&closed), [(crate::alert::finding::UNSANCTIONED_USE, Action::Close)]);
        assert_eq!(usage(&closed[0]).clients.count, 2);
    }

    #[test]
    fn what_is_left_for_no_case_or_makes_no_sense_is_taken_away_and_told() {
        let mut bench = Bench::new(Options::default());
        let first = bench.see(&anydesk());
        bench.accept(&first);
        let uid = report(&first[0]).finding.uid.to_string();
        let nobody = Id::of(&["nobody"]);
        let sound = by_ada(Time::MAX).left(nobody).value.unwrap();
        for (case, value) in [(uid.as_str(), "{"), (&nobody.to_string(), &sound), ("x", &sound)] {
            let key = format!("{LEFT}{case}");
            let taken = bench.cases.acknowledge(&[(key.clone(), value.into())]);
            assert_eq!(taken[0].0.outcome, "failure", "{case}");
            assert_eq!(taken[0].1, [Row { key, value: None }]);
        }
        let unread = bench.cases.restore(&[(format!("{TAKEN}{nobody}"), sound)]);
        assert!(unread.is_empty());
        let gone = Row { key: format!("{TAKEN}{nobody}"), value: None };
        assert!(bench.cases.changed().contains(&gone));
    }
}
