//! Days of vendors: how many clients used each, to see that one which everybody used falls silent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Options;
use super::event::VendorName;
use super::finding::Sighting;
use super::lasting::{Lasting, Silence};
use super::reason::Reason;
use crate::policy::State;
use crate::time::{DAY, Time};
use crate::usage::counts;

/// What the inventory and the policy in force say of days (UTC, since the epoch).
#[derive(Clone, Debug, Default)]
pub struct Met {
    /// Days that are over and were not told before, in order.
    pub days: Vec<(u32, DayOf)>,
    /// Vendors that policy calls sanctioned now for somebody who used them.
    pub sanctioned: BTreeMap<Arc<str>, VendorName>,
    /// Vendors that were used today.
    pub today: BTreeSet<Arc<str>>,
}

/// Clients of one day: of any vendor, and of each sanctioned one by roles that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayOf {
    pub clients: u32,
    pub vendors: BTreeMap<Arc<str>, u32>,
}

/// The last days, and who is silent now. It holds no clock.
#[derive(Debug, Default)]
pub struct Silences {
    all: BTreeMap<u32, Whole>,
    vendors: BTreeMap<Arc<str>, BTreeMap<u32, u32>>,
    changed: BTreeSet<Arc<str>>,
    /// Vendors that are silent, and when that was last said.
    silent: BTreeMap<Arc<str>, (Lasting, Time)>,
}

/// A day of the whole network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Whole {
    clients: u32,
    /// The sensor did not see enough to say what was not there.
    lossy: bool,
}

impl Silences {
    pub fn first_open_day(&self) -> Option<u32> {
        self.all.last_key_value().map(|(day, _)| day.saturating_add(1))
    }

    /// The day is over.
    pub fn close(&mut self, day: u32, of: DayOf, lossy: bool) {
        self.all.insert(day, Whole { clients: of.clients, lossy });
        while self.all.len() > MAX_DAYS {
            self.all.pop_first();
        }
        self.changed.insert(ALL.into());
        let first = self.all.first_key_value().map_or(day, |(first, _)| *first);
        for (vendor, clients) in of.vendors {
            if self.vendors.len() >= MAX_VENDORS && !self.vendors.contains_key(&vendor) {
                continue;
            }
            self.vendors.entry(vendor.clone()).or_default().insert(day, clients);
            self.changed.insert(vendor);
        }
        for (vendor, days) in &mut self.vendors {
            let before = days.len();
            days.retain(|day, _| *day >= first);
            if days.len() < before {
                self.changed.insert(vendor.clone());
            }
        }
    }

    /// Who is silent now. For each vendor that is known and sanctioned the reason why not; none where it is.
    pub fn judge(
        &mut self,
        sanctioned: &BTreeMap<Arc<str>, VendorName>,
        today: &BTreeSet<Arc<str>>,
        options: &Options,
    ) -> Vec<(Arc<str>, Option<Reason>)> {
        let working = self.working_days();
        let mut told = Vec::new();
        for (vendor, days) in &self.vendors {
            let Some(name) = sanctioned.get(vendor) else {
                self.silent.remove(vendor);
                continue;
            };
            let outcome = if today.contains(vendor) {
                Err(Reason::Used { silent_days: 0, needs: options.silent_days })
            } else {
                silence(&working, days, options)
            };
            match outcome {
                Ok(silence) => {
                    let state = State::Sanctioned;
                    let lasting = Lasting::Silence { vendor: name.clone(), state, silence };
                    let said = self.silent.get(vendor).map_or(Time::ZERO, |(_, said)| *said);
                    self.silent.insert(vendor.clone(), (lasting, said));
                    told.push((vendor.clone(), None));
                }
                Err(reason) => {
                    self.silent.remove(vendor);
                    told.push((vendor.clone(), Some(reason)));
                }
            }
        }
        told
    }

    /// Somebody uses the vendor: it is silent no more.
    pub fn met(&mut self, seen: &Sighting<'_>) {
        let sanctioned = seen.decision.state == State::Sanctioned;
        if !self.silent.is_empty() && sanctioned && counts(seen.key.role) {
            self.silent.remove(&seen.key.vendor);
        }
    }

    /// Those of which it was not said for so long that they are silent.
    pub fn due(&mut self, now: Time, every: Duration) -> Vec<Lasting> {
        let due = self.silent.values_mut().filter(|(_, said)| now >= said.plus(every));
        due.map(|(lasting, said)| {
            *said = now;
            lasting.clone()
        })
        .collect()
    }

    /// Rows of what changed since the last call, key and value.
    pub fn changed(&mut self) -> Vec<(String, String)> {
        let changed = std::mem::take(&mut self.changed);
        let row = |vendor: Arc<str>| {
            let value = if &*vendor == ALL {
                serde_json::to_string(&self.all)
            } else {
                serde_json::to_string(self.vendors.get(&vendor)?)
            };
            Some((format!("{DAYS}{vendor}"), value.ok()?))
        };
        changed.into_iter().filter_map(row).collect()
    }

    /// Whether a row is one of these.
    pub fn owns(key: &str) -> bool {
        key.starts_with(DAYS)
    }

    /// Takes a row back; `None` where it cannot be read.
    pub fn restore(&mut self, key: &str, value: &str) -> Option<()> {
        let vendor = key.strip_prefix(DAYS)?;
        if vendor == ALL {
            self.all = serde_json::from_str(value).ok()?;
        } else {
            self.vendors.insert(vendor.into(), serde_json::from_str(value).ok()?);
        }
        Some(())
    }

    /// Days on which people work here, whatever the calendar says: on which at least half as many clients as in the median
    /// used anything, and the sensor saw what it should.
    fn working_days(&self) -> Vec<u32> {
        let mut clients: Vec<u32> = self.all.values().map(|day| day.clients).collect();
        clients.sort_unstable();
        let median = clients.get(clients.len() / 2).copied().unwrap_or_default();
        let works = |day: &Whole| !day.lossy && day.clients > 0 && day.clients >= median / 2;
        self.all.iter().filter(|(_, whole)| works(whole)).map(|(day, _)| *day).collect()
    }
}

fn silence(
    working: &[u32],
    days: &BTreeMap<u32, u32>,
    options: &Options,
) -> Result<Silence, Reason> {
    let used = days.iter().filter(|(_, clients)| **clients > 0);
    let last = used.map(|(day, _)| *day).max().unwrap_or(0);
    let needs = options.silent_days;
    let silent_days = count(working.iter().filter(|day| **day > last).count());
    if silent_days < needs.max(1) {
        return Err(Reason::Used { silent_days, needs });
    }
    if silent_days > options.silent_known_days.max(needs) {
        return Err(Reason::LongSilent { days: silent_days });
    }
    let known = options.silent_known_days.max(1);
    let before = working.iter().rev().filter(|day| **day <= last);
    let before: Vec<u32> =
        before.take(known as usize).map(|day| days.get(day).copied().unwrap_or(0)).collect();
    let used_days = count(before.iter().filter(|clients| **clients > 0).count());
    let sum: u32 = before.iter().fold(0, |sum, clients| sum.saturating_add(*clients));
    let clients_a_day = sum / known;
    if used_days < known || clients_a_day < options.silent_clients {
        return Err(Reason::Rare { used_days, known_days: known, clients_a_day });
    }
    let last_used = Time::from_secs(u64::from(last) * DAY.as_secs());
    Ok(Silence { days: silent_days, known_days: known, clients_a_day, last_used })
}

fn count(days: usize) -> u32 {
    u32::try_from(days).unwrap_or(u32::MAX)
}

/// Days that are kept: a silence of twenty working days after twenty others, and the weekends and holidays among them.
const MAX_DAYS: usize = 90;

/// Vendors whose days are kept: a policy sanctions some tens.
const MAX_VENDORS: usize = 1_000;

/// Octets that all days can take: 48 for each in a tree that may be half empty.
pub const MEMORY: u64 = (MAX_VENDORS as u64 + 1) * (MAX_DAYS as u64 * 48 + 512);

const DAYS: &str = "days/";

/// Stands for the whole network; no vendor has an empty id.
const ALL: &str = "";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::finding::tests::Sample;
    use crate::signature::Role;

    /// A Monday.
    const MONDAY: u32 = 20_780;

    /// A network of fifty clients on working days and four at weekends.
    struct Bench {
        silences: Silences,
        options: Options,
        today: u32,
    }

    impl Bench {
        fn new() -> Self {
            let (silences, options) = (Silences::default(), Options::default());
            Self { silences, options, today: MONDAY }
        }

        /// So many days with so many clients of the vendor on working days.
        fn days(&mut self, days: u32, clients: u32) -> &mut Self {
            for _ in 0..days {
                let works = (self.today - MONDAY) % 7 < 5;
                let (all, of) = if works { (50, clients) } else { (4, 0) };
                self.day(all, of, false);
            }
            self
        }

        fn day(&mut self, all: u32, of: u32, lossy: bool) {
            let vendors = BTreeMap::from([(Arc::from("zendesk"), of), (Arc::from("jira"), all)]);
            self.silences.close(self.today, DayOf { clients: all, vendors }, lossy);
            self.today += 1;
        }

        fn same(&mut self, days: u32, all: u32, of: u32, lossy: bool) {
            for _ in 0..days {
                self.day(all, of, lossy);
            }
        }

        fn reason(&mut self) -> Option<Reason> {
            self.judge(&["zendesk", "jira"], &[])
        }

        fn judge(&mut self, sanctioned: &[&str], today: &[&str]) -> Option<Reason> {
            let name = |id: &&str| (Arc::from(*id), name(id));
            let sanctioned = sanctioned.iter().map(name).collect();
            let today = today.iter().map(|id| Arc::from(*id)).collect();
            let told = self.silences.judge(&sanctioned, &today, &self.options);
            let of = |wanted: &str| told.iter().find(|(vendor, _)| &**vendor == wanted);
            assert!(of("jira").is_none_or(|(_, reason)| reason.is_some()), "used by all");
            match of("zendesk") {
                Some((_, reason)) => reason.clone(),
                None => Some(Reason::NotApplicable),
            }
        }

        fn silent(&mut self) -> Vec<Lasting> {
            let now = Time::from_secs(u64::from(self.today) * DAY.as_secs());
            self.silences.due(now, Duration::from_secs(1))
        }
    }

    fn name(id: &str) -> VendorName {
        VendorName { id: id.into(), name: id.into(), category: None }
    }

    #[test]
    fn a_vendor_of_everybody_that_nobody_uses_for_a_week_is_silent() {
        let mut bench = Bench::new();
        bench.days(4 * 7, 7);
        assert_eq!(bench.reason(), Some(Reason::Used { silent_days: 0, needs: 5 }));
        bench.days(4, 0);
        assert_eq!(bench.reason(), Some(Reason::Used { silent_days: 4, needs: 5 }));
        assert!(bench.silent().is_empty());
        bench.days(1, 0);
        assert_eq!(bench.reason(), None);
        let silence = Silence {
            days: 5,
            known_days: 20,
            clients_a_day: 7,
            // The Friday before.
            last_used: Time::from_secs(u64::from(MONDAY + 25) * DAY.as_secs()),
        };
        let vendor = name("zendesk");
        let told = Lasting::Silence { vendor, state: State::Sanctioned, silence };
        assert_eq!(bench.silent(), [told]);
        bench.days(2, 0);
        assert_eq!(bench.reason(), None);
        assert_eq!(bench.silent()[0].silence().unwrap().days, 5, "a weekend is no silence");
    }

    #[test]
    fn weekends_holidays_and_days_of_which_the_sensor_saw_little_are_no_silence() {
        let mut bench = Bench::new();
        bench.days(5 * 7, 7);
        // Christmas: few are there.
        bench.same(14, 10, 0, false);
        assert_eq!(bench.reason(), Some(Reason::Used { silent_days: 0, needs: 5 }));
        bench.same(5, 50, 0, true);
        assert_eq!(bench.reason(), Some(Reason::Used { silent_days: 0, needs: 5 }), "lossy");
        bench.same(5, 50, 0, false);
        assert_eq!(bench.reason(), None);
    }

    #[test]
    fn who_was_used_by_few_or_not_for_long_or_is_used_again_is_not_silent() {
        let mut bench = Bench::new();
        bench.days(4 * 7, 4).days(7, 0);
        let rare = Reason::Rare { used_days: 20, known_days: 20, clients_a_day: 4 };
        assert_eq!(bench.reason(), Some(rare));
        let mut bench = Bench::new();
        bench.days(3 * 7, 9).days(7, 0);
        let short = Reason::Rare { used_days: 15, known_days: 20, clients_a_day: 6 };
        assert_eq!(bench.reason(), Some(short));

        let mut bench = Bench::new();
        bench.days(4 * 7, 7).days(5, 0);
        assert_eq!(bench.judge(&["jira"], &[]), Some(Reason::NotApplicable), "not sanctioned");
        let today = bench.judge(&["zendesk"], &["zendesk"]);
        assert_eq!(today, Some(Reason::Used { silent_days: 0, needs: 5 }));
        assert!(bench.silences.silent.is_empty());
        assert_eq!(bench.reason(), None);
        let mut sample = Sample::new("zendesk", "helpdesk").state(State::Sanctioned);
        sample.key.role = Role::Widget;
        bench.silences.met(&sample.sighting());
        assert_eq!(bench.silences.silent.len(), 1, "a widget is no use");
        bench.silences.met(&Sample::new("zendesk", "helpdesk").sighting());
        assert_eq!(bench.silences.silent.len(), 1, "nor is what is not sanctioned");
        sample.key.role = Role::Console;
        bench.silences.met(&sample.sighting());
        assert!(bench.silences.silent.is_empty());
        bench.days(4 * 7, 0);
        assert_eq!(bench.reason(), Some(Reason::LongSilent { days: 25 }));
        assert!(bench.silences.silent.is_empty());
    }

    #[test]
    fn rows_bring_days_back_and_what_is_long_ago_goes() {
        let mut bench = Bench::new();
        bench.days(4 * 7, 7).days(5, 0);
        let rows = bench.silences.changed();
        assert_eq!(
            rows.iter().map(|r| &*r.0).collect::<Vec<_>>(),
            ["days/", "days/jira", "days/zendesk"]
        );
        assert!(bench.silences.changed().is_empty());
        let mut later = Bench { today: bench.today, ..Bench::new() };
        for (key, value) in &rows {
            assert!(Silences::owns(key));
            later.silences.restore(key, value).unwrap();
        }
        assert_eq!(later.silences.first_open_day(), Some(bench.today));
        assert_eq!(later.reason(), None);
        assert!(later.silences.restore("days/x", "{").is_none());
        later.days(200, 7);
        assert_eq!(later.silences.all.len(), MAX_DAYS);
        assert!(later.silences.vendors.values().all(|days| days.len() <= MAX_DAYS));
        for n in 0..2 * MAX_VENDORS {
            let vendors = BTreeMap::from([(Arc::from(format!("v{n}")), 1)]);
            later.silences.close(later.today, DayOf { clients: 50, vendors }, false);
        }
        assert_eq!(later.silences.vendors.len(), MAX_VENDORS);
    }
}
