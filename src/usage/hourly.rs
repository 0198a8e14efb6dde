//! What each client did with each vendor in an hour of packet time, until that hour is over and told.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Addition, Engagement, Key, Options, Standing};
use crate::count::Cells;
use crate::identity::ClientKind;
use crate::signature::Deployment;
use crate::time::Time;

crate::rows! {
    /// What hours count.
    pub enum HourCounter {
        Rows => Gauge "saastap_usage_hour_rows" "Rows (client, vendor, tenant, role) of hours that are not yet told.",
        Closed => Counter "saastap_usage_periods_total" "Hours of packet time with usage that are over.",
        Summaries => Counter "saastap_usage_summaries_total" "Hourly usage summaries accepted for delivery, each counted once for all sinks.",
        Overflow => Counter "saastap_usage_hour_overflow_reports_total" "Reports counted for client `other` because the hours held max_hour_rows.",
        Late => Counter "saastap_usage_hour_late_reports_total" "Reports of an hour that was told already: they count in the next.",
    }
}

/// What one client did in one hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourUsage {
    pub kind: ClientKind,
    pub deployment: Deployment,
    pub flows: u64,
    pub sessions: u64,
    /// Octets on the wire, client to server and back.
    pub sent: u64,
    pub received: u64,
    /// Told in the row whose flow completed the minute, as in [`Usage`](super::Usage).
    pub active_minutes: u32,
    /// Of what is counted here; a report that came late may lie before the hour.
    pub first: Time,
    pub last: Time,
    /// The deepest of the day by then.
    pub engagement: Engagement,
}

impl HourUsage {
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
        }
    }

    fn add(&mut self, addition: &Addition, standing: &Standing) {
        self.deployment = self.deployment.and(addition.deployment);
        self.flows = self.flows.saturating_add(addition.flows);
        self.sessions = self.sessions.saturating_add(addition.sessions);
        self.sent = self.sent.saturating_add(addition.sent);
        self.received = self.received.saturating_add(addition.received);
        self.first = self.first.min(addition.at);
        self.last = self.last.max(addition.at);
        self.engagement = self.engagement.max(standing.engagement);
    }
}

/// A row of an hour that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    /// Since the epoch.
    pub hour: u32,
    pub key: Key,
    pub usage: HourUsage,
    /// Of the rows of one group, client and vendor in that hour, the one that sent most: where the client is counted.
    pub leads: bool,
}

/// The hours that are not yet told. It holds no clock: `at` and `now` are packet time.
pub struct Hours {
    most: usize,
    open: BTreeMap<u32, HashMap<Key, Row>>,
    /// Those that are over, in order, until they are taken.
    over: VecDeque<Over>,
    /// Hours before this one are over.
    first_open: u32,
    held: usize,
    /// Rows that changed since they were taken to be saved, each once.
    changed: VecDeque<(u32, Key)>,
    cells: Arc<Cells<HourCounter>>,
}

struct Row {
    usage: HourUsage,
    changed: bool,
}

impl Hours {
    pub fn new(options: &Options) -> Self {
        Self {
            most: options.max_hour_rows.max(1),
            open: BTreeMap::new(),
            over: VecDeque::new(),
            first_open: 0,
            held: 0,
            changed: VecDeque::new(),
            cells: Cells::new(),
        }
    }

    pub const fn cells(&self) -> &Arc<Cells<HourCounter>> {
        &self.cells
    }

    /// Adds what one report of one flow tells, and how the usage stands then.
    pub fn add(&mut self, key: Key, addition: &Addition, standing: &Standing) {
        let none = [addition.flows, addition.sessions, addition.sent, addition.received];
        if none.iter().all(|count| *count == 0) && !standing.worked {
            return;
        }
        let hour = self.hour_for(addition.at);
        let key = self.place(hour, key);
        let fresh = || HourUsage::new(addition);
        self.row(hour, &key, fresh).add(addition, standing);
        if standing.worked {
            // The last minute of an hour is completed in the next, and belongs to its own.
            let own = addition.minute / MINUTES;
            let known = self.open.get(&own).is_some_and(|rows| rows.contains_key(&key));
            let hour = if known { own } else { hour };
            let row = self.row(hour, &key, fresh);
            row.active_minutes = row.active_minutes.saturating_add(1);
        }
    }

    /// Closes the hours that are over at `now`, with a while for what comes late.
    pub fn close(&mut self, now: Time) {
        self.close_before(hour_of(now.minus(GRACE)));
    }

    /// Closes the hours that are over at `now`, at the end of a run: nothing comes late any more.
    pub fn close_last(&mut self, now: Time) {
        self.close_before(hour_of(now));
    }

    /// Up to about `most` rows of hours that are over, those of one client and vendor together. Whoever takes them must see to
    /// it that they are committed.
    pub fn take_over(&mut self, most: usize) -> Vec<Over> {
        let mut count = most.min(self.over.len());
        let person = |over: &Over| {
            let Over { hour, key, .. } = over;
            (*hour, key.group.clone(), key.client.clone(), key.vendor.clone())
        };
        while let (Some(last), Some(next)) = (count.checked_sub(1), self.over.get(count))
            && self.over.get(last).is_some_and(|last| person(last) == person(next))
        {
            count += 1;
        }
        self.held = self.held.saturating_sub(count);
        self.show();
        self.over.drain(..count).collect()
    }

    /// Rows that changed since they were taken to be saved.
    pub fn changes(&self) -> usize {
        self.changed.len()
    }

    /// Up to `most` rows of open hours that changed since they were last taken.
    pub fn take_changed(&mut self, most: usize) -> Vec<(u32, Key, HourUsage)> {
        let count = most.min(self.changed.len());
        let mut taken = Vec::with_capacity(count);
        for (hour, key) in self.changed.drain(..count) {
            // What is over meanwhile is told as it is.
            let Some(row) = self.open.get_mut(&hour).and_then(|rows| rows.get_mut(&key)) else {
                continue;
            };
            row.changed = false;
            taken.push((hour, key, row.usage.clone()));
        }
        taken
    }

    /// Takes up what an earlier run saved of hours that it did not tell, and the last hour that it told.
    pub fn restore(&mut self, saved: Vec<(u32, Key, HourUsage)>, told: Option<u32>) {
        for (hour, key, usage) in saved {
            let row = Row { usage, changed: false };
            if self.open.entry(hour).or_default().insert(key, row).is_none() {
                self.held += 1;
            }
        }
        self.first_open = told.map_or(0, |hour| hour.saturating_add(1));
        self.show();
    }

    /// The hour in which a report at `at` counts.
    fn hour_for(&mut self, at: Time) -> u32 {
        let hour = hour_of(at);
        if hour.saturating_add(A_DAY) < self.first_open {
            // The clock of an earlier run was far ahead: hours up to there would never be told.
            self.first_open = hour;
        }
        if hour < self.first_open {
            self.cells.add(HourCounter::Late, 1);
        }
        hour.max(self.first_open)
    }

    /// The key under which there is room.
    fn place(&self, hour: u32, key: Key) -> Key {
        let known = self.open.get(&hour).is_some_and(|rows| rows.contains_key(&key));
        if known || self.held < self.most {
            return key;
        }
        self.cells.add(HourCounter::Overflow, 1);
        let other: Arc<str> = OTHER.into();
        Key { group: other.clone(), client: other, tenant: None, ..key }
    }

    fn row(&mut self, hour: u32, key: &Key, fresh: impl Fn() -> HourUsage) -> &mut HourUsage {
        let rows = self.open.entry(hour).or_default();
        if !rows.contains_key(key) {
            self.held += 1;
            self.cells.set(HourCounter::Rows, self.held as u64);
        }
        let row = rows.entry(key.clone()).or_insert_with(|| Row { usage: fresh(), changed: false });
        if !std::mem::replace(&mut row.changed, true) {
            self.changed.push_back((hour, key.clone()));
        }
        &mut row.usage
    }

    fn close_before(&mut self, hour: u32) {
        // Rows of an hour that was told in part by an earlier run are over as well.
        let hour = hour.max(self.first_open);
        let first = self.open.first_key_value().map(|(first, _)| *first);
        if hour == self.first_open && first.is_none_or(|first| first >= hour) {
            return;
        }
        while let Some(entry) = self.open.first_entry().filter(|entry| *entry.key() < hour) {
            let (hour, rows) = entry.remove_entry();
            let mut rows: Vec<(Key, HourUsage)> =
                rows.into_iter().map(|(key, row)| (key, row.usage)).collect();
            rows.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            for client in rows.chunk_by(|(a, _), (b, _)| is_one(a, b)) {
                // Of rows that sent as much, the first.
                let most = client.iter().map(|(_, usage)| usage.sent).max();
                let lead = client.iter().position(|(_, usage)| Some(usage.sent) == most);
                self.over.extend(client.iter().enumerate().map(|(at, (key, usage))| Over {
                    hour,
                    key: key.clone(),
                    usage: usage.clone(),
                    leads: Some(at) == lead,
                }));
            }
            self.cells.add(HourCounter::Closed, 1);
        }
        self.changed.retain(|(changed, _)| *changed >= hour);
        self.first_open = hour;
    }

    fn show(&self) {
        self.cells.set(HourCounter::Rows, self.held as u64);
    }
}

/// Whether two rows are of one client and one vendor.
fn is_one(a: &Key, b: &Key) -> bool {
    (&a.group, &a.client, &a.vendor) == (&b.group, &b.client, &b.vendor)
}

/// The hour of packet time in which a moment lies, since the epoch (UTC).
pub fn hour_of(at: Time) -> u32 {
    u32::try_from(at.secs() / SECONDS).unwrap_or(u32::MAX)
}

/// The beginning of an hour.
pub const fn beginning(hour: u32) -> Time {
    Time::from_secs(hour as u64 * SECONDS)
}

/// Stands for clients, and their groups, for which an hour has no room.
pub const OTHER: &str = "other";

const SECONDS: u64 = 3_600;
const MINUTES: u32 = 60;
const A_DAY: u32 = 24;

/// How long after its end an hour is told: flows report each second or so, and rings may wait.
const GRACE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::Role;

    const HOUR: u32 = 498_611;
    const START: Time = beginning(HOUR);

    fn key(client: &str, role: Role) -> Key {
        Key {
            group: "support".into(),
            client: client.into(),
            vendor: "zendesk".into(),
            tenant: Some("acme".into()),
            role,
        }
    }

    fn addition(at: Time, sent: u64) -> Addition {
        Addition::first(at, sent, 2 * sent)
    }

    fn standing(worked: bool) -> Standing {
        Standing {
            engagement: if worked { Engagement::Visit } else { Engagement::Glance },
            before: None,
            active_minutes_today: 0,
            sent_today: 0,
            threshold: None,
            first_flow: false,
            worked,
        }
    }

    fn at(minutes: u64) -> Time {
        START.plus(Duration::from_secs(minutes * 60))
    }

    fn add(hours: &mut Hours, client: &str, minutes: u64, sent: u64) {
        hours.add(key(client, Role::Console), &addition(at(minutes), sent), &standing(false));
    }

    #[test]
    fn an_hour_is_told_once_and_a_while_after_its_end() {
        let mut hours = Hours::new(&Options::default());
        add(&mut hours, "c-1", 0, 100);
        add(&mut hours, "c-1", 59, 10);
        add(&mut hours, "c-1", 60, 1);
        hours.close(at(60));
        assert!(hours.take_over(9).is_empty(), "reports may come late");
        hours.close(at(61));
        let over = hours.take_over(9);
        assert_eq!(over.len(), 1);
        let Over { hour, usage, leads, .. } = &over[0];
        assert_eq!((*hour, usage.flows, usage.sent, usage.received), (HOUR, 2, 110, 220));
        assert_eq!((usage.first, usage.last, *leads), (at(0), at(59), true));
        hours.close(at(119));
        assert!(hours.take_over(9).is_empty(), "the next is not over");
        hours.close_last(at(120));
        assert_eq!(hours.take_over(9)[0].usage.sent, 1);
        assert_eq!(hours.cells().get(HourCounter::Closed), 2);
        assert_eq!(hours.cells().get(HourCounter::Rows), 0);
    }

    #[test]
    fn what_comes_late_counts_in_the_next_hour_and_is_not_lost() {
        let mut hours = Hours::new(&Options::default());
        add(&mut hours, "c-1", 10, 100);
        hours.close(at(61));
        add(&mut hours, "c-1", 50, 7);
        assert_eq!(hours.cells().get(HourCounter::Late), 1);
        hours.close(at(121));
        let over = hours.take_over(9);
        let told: Vec<_> = over.iter().map(|o| (o.hour - HOUR, o.usage.sent)).collect();
        assert_eq!(told, [(0, 100), (1, 7)]);
    }

    #[test]
    fn a_minute_belongs_to_its_own_hour() {
        let mut hours = Hours::new(&Options::default());
        add(&mut hours, "c-1", 58, 100);
        let late = Addition { minute: at(59).minute(), ..addition(at(60), 5) };
        hours.add(key("c-1", Role::Console), &late, &standing(true));
        hours.close(at(200));
        let over = hours.take_over(9);
        let told: Vec<_> = over.iter().map(|o| (o.usage.sent, o.usage.active_minutes)).collect();
        assert_eq!(told, [(100, 1), (5, 0)]);
    }

    #[test]
    fn reports_that_tell_nothing_make_no_row() {
        let mut hours = Hours::new(&Options::default());
        let none = Addition { flows: 0, ..addition(at(1), 0) };
        hours.add(key("c-1", Role::Console), &none, &standing(false));
        hours.close(at(200));
        assert!(hours.take_over(9).is_empty());
    }

    #[test]
    fn rows_are_bounded_and_nothing_is_lost() {
        let mut hours = Hours::new(&Options { max_hour_rows: 10, ..Options::default() });
        for n in 0..1_000 {
            add(&mut hours, &format!("c-{n}"), 1, 10);
        }
        assert_eq!(hours.cells().get(HourCounter::Overflow), 990);
        assert_eq!(hours.cells().get(HourCounter::Rows), 11);
        hours.close(at(100));
        let over = hours.take_over(99);
        assert_eq!(over.iter().map(|o| o.usage.sent).sum::<u64>(), 10_000);
        assert!(over.iter().any(|o| &*o.key.client == OTHER && o.usage.sent == 9_900));
    }

    #[test]
    fn a_client_leads_in_one_row_and_its_rows_stay_together() {
        let mut hours = Hours::new(&Options::default());
        for (client, role, sent) in [
            ("c-1", Role::Widget, 1),
            ("c-1", Role::Console, 9),
            ("c-1", Role::Api, 9),
            ("c-2", Role::Console, 1),
        ] {
            hours.add(key(client, role), &addition(at(1), sent), &standing(false));
        }
        hours.close(at(100));
        let over = hours.take_over(1);
        assert_eq!(over.len(), 3, "all of the first client");
        assert_eq!(over.iter().filter(|o| o.leads && o.usage.sent == 9).count(), 1);
        assert_eq!(over.iter().filter(|o| o.leads).count(), 1);
        let rest = hours.take_over(1);
        assert!(rest.len() == 1 && rest[0].leads);
    }

    #[test]
    fn what_was_saved_goes_on_where_it_stopped() {
        let mut hours = Hours::new(&Options::default());
        add(&mut hours, "c-1", 1, 100);
        let saved = hours.take_changed(9);
        assert!(hours.take_changed(9).is_empty(), "each once");
        let mut again = Hours::new(&Options::default());
        again.restore(saved, Some(HOUR - 1));
        assert_eq!(again.cells().get(HourCounter::Rows), 1);
        add(&mut again, "c-1", 2, 11);
        again.close(at(61));
        assert_eq!(again.take_over(9)[0].usage.sent, 111);
        // Rows of an hour that was told in part are over at once; what comes for it is late.
        let mut part = Hours::new(&Options::default());
        let usage = HourUsage::new(&addition(at(1), 0));
        part.restore(vec![(HOUR, key("c-1", Role::Console), usage)], Some(HOUR));
        part.close(at(1));
        assert_eq!(part.take_over(9).len(), 1);
        add(&mut part, "c-2", 2, 1);
        assert_eq!(part.cells().get(HourCounter::Late), 1);
        // An earlier run's clock was months ahead.
        let mut ahead = Hours::new(&Options::default());
        ahead.restore(Vec::new(), Some(HOUR + 2_000));
        add(&mut ahead, "c-1", 1, 1);
        ahead.close(at(61));
        assert_eq!(ahead.take_over(9).len(), 1);
    }
}
