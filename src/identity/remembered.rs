//! Verdicts of earlier flows between the same ends: they name a flow whose beginning the capture does not have.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashSet;
use serde::{Deserialize, Serialize};

use super::names::Row;
use super::names::aging::{Aging, Weigh};
use crate::count::Cells;
use crate::time::Time;

/// `[remembered]`: connections outlive a restart of the sensor by hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Hours for which a verdict names further flows between the same client, server address and port; 0: never.
    pub hours: u32,
    /// MiB that all verdicts together may take.
    pub max_mib: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { hours: 24, max_mib: 16 }
    }
}

impl Options {
    /// Octets that the verdicts, and those that wait to be saved, can take.
    pub fn memory(&self) -> u64 {
        (u64::from(self.max_mib) << 20) + MAX_CHANGED as u64 * 2 * size_of::<Place>() as u64
    }
}

crate::rows! {
    pub enum Counter {
        Held => Gauge "saastap_remembered_verdicts" "Client, server address and port that a verdict is remembered for.",
        Forgotten => Counter "saastap_remembered_forgotten_total" "Verdicts given up for newer ones because remembered.max_mib was used up.",
        Unsaved => Counter "saastap_remembered_unsaved_total" "Verdicts that would not survive a restart, because too many waited to be saved.",
        Used => Counter "saastap_remembered_flows_total" "Flows begun before the capture that a remembered verdict named.",
    }
}

/// A client, server address and port, as a number under the key of the pseudonyms: no row of the store tells an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place(pub u128);

/// Verdicts by place, within bounds.
pub struct Remembered {
    lasts: Duration,
    verdicts: Aging<Place, Verdict>,
    changed: HashSet<Place>,
    cells: Arc<Cells<Counter>>,
}

/// What flows of one place were found to be.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Verdict {
    /// Whose they were; empty: nobody's in the catalogue.
    owner: Arc<str>,
    /// The name of the last of them. `None`: nobody's, or several owners share the address, and none of them decides.
    name: Option<Arc<str>>,
    several: bool,
    /// Seconds since the epoch.
    until: u64,
}

impl Weigh for Verdict {
    fn octets(&self) -> usize {
        size_of::<Self>() + self.owner.len() + self.name.as_ref().map_or(0, |n| n.len()) + ARCS
    }
}

/// Two counters in front of each of two strings.
const ARCS: usize = 32;

/// Changes that wait to be saved; what comes then is saved when it changes again.
const MAX_CHANGED: usize = 32_768;

const KEY: &str = "remembered/";

impl Remembered {
    pub fn new(options: &Options) -> Self {
        Self {
            lasts: Duration::from_secs(u64::from(options.hours) * 3_600),
            verdicts: Aging::new((options.max_mib as usize) << 20),
            changed: HashSet::new(),
            cells: Cells::new(),
        }
    }

    pub const fn cells(&self) -> &Arc<Cells<Counter>> {
        &self.cells
    }

    /// A flow of this place was `name`, which belongs to `owner`; an empty one: to nobody in the catalogue.
    pub fn learn(&mut self, place: Place, owner: &str, name: &str, at: Time) {
        if self.lasts.is_zero() {
            return;
        }
        let until = at.plus(self.lasts).secs();
        let fresh = self.verdicts.change(place, |known| {
            if known.until < at.secs() {
                *known = Verdict { owner: owner.into(), ..Verdict::default() };
            }
            let several = known.several || &*known.owner != owner;
            let named = (!several && !owner.is_empty()).then_some(name);
            // A row for the store only where something is new, and else when half of its time is over.
            let fresh = several != known.several
                || named != known.name.as_deref()
                || until - known.until > self.lasts.as_secs() / 2;
            if fresh {
                known.name = named.map(Arc::from);
                known.several = several;
                known.until = until;
            }
            fresh
        });
        if fresh && (self.changed.len() < MAX_CHANGED || self.changed.contains(&place)) {
            self.changed.insert(place);
        } else if fresh {
            self.cells.add(Counter::Unsaved, 1);
        }
        self.cells.set(Counter::Held, self.verdicts.len() as u64);
        self.cells.add(Counter::Forgotten, self.verdicts.take_forgotten());
    }

    /// The name that a flow of this place had, where all of them had the same owner.
    pub fn name(&self, place: Place, at: Time) -> Option<Arc<str>> {
        let known = self.verdicts.get(&place).filter(|v| v.until >= at.secs())?;
        known.name.clone()
    }

    /// Counts a flow that was named so.
    pub fn used(&self) {
        self.cells.add(Counter::Used, 1);
    }

    /// At most `limit` rows for what changed.
    pub fn take_changed(&mut self, limit: usize) -> Vec<Row> {
        let taken: Vec<Place> = self.changed.iter().take(limit).copied().collect();
        let mut rows = Vec::with_capacity(taken.len());
        for place in taken {
            self.changed.remove(&place);
            let Some(verdict) = self.verdicts.get(&place) else { continue };
            let Ok(value) = serde_json::to_string(verdict) else { continue };
            let key = format!("{KEY}{:032x}", place.0);
            rows.push(Row { key, value, until: Time::from_secs(verdict.until) });
        }
        rows
    }

    /// Whether a row of the store is one of these.
    pub fn owns(key: &str) -> bool {
        key.starts_with(KEY)
    }

    /// Takes rows back, and says how many of them could not be read.
    pub fn restore(&mut self, rows: impl IntoIterator<Item = (String, String)>) -> usize {
        let mut unread = 0;
        for (key, value) in rows {
            let digits = key.strip_prefix(KEY).unwrap_or_default();
            let place = u128::from_str_radix(digits, 16);
            match (place, serde_json::from_str(&value)) {
                (Ok(place), Ok(verdict)) => {
                    self.verdicts.change(Place(place), |known| *known = verdict);
                }
                _ => unread += 1,
            }
        }
        self.cells.set(Counter::Held, self.verdicts.len() as u64);
        unread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Time = Time::from_secs(1_800_000_000);
    const HERE: Place = Place(7);

    fn remembered() -> Remembered {
        Remembered::new(&Options::default())
    }

    fn told(remembered: &Remembered, at: Time) -> Option<String> {
        remembered.name(HERE, at).map(|name| name.to_string())
    }

    #[test]
    fn one_owner_is_remembered_for_its_time() {
        let mut remembered = remembered();
        assert_eq!(told(&remembered, AT), None);
        remembered.learn(HERE, "zendesk/acme", "acme.zendesk.com", AT);
        let day = Duration::from_secs(86_400);
        assert_eq!(told(&remembered, AT.plus(day)).as_deref(), Some("acme.zendesk.com"));
        assert_eq!(told(&remembered, AT.plus(day).plus_secs(1)), None);
        assert_eq!(remembered.name(Place(8), AT), None);
        remembered.learn(HERE, "zendesk/acme", "acme.zendesk.com", AT.plus(day));
        assert!(told(&remembered, AT.plus(day).plus_secs(3_600)).is_some(), "and is renewed");
    }

    #[test]
    fn an_address_that_several_share_never_decides() {
        for [first, second] in [["zendesk/acme", "zendesk/other"], ["zendesk", ""], ["", "zendesk"]]
        {
            let mut remembered = remembered();
            remembered.learn(HERE, first, "a.example", AT);
            remembered.learn(HERE, second, "b.example", AT);
            assert_eq!(told(&remembered, AT), None, "{first} {second}");
            remembered.learn(HERE, "zendesk", "a.example", AT);
            assert_eq!(told(&remembered, AT), None, "nor when one comes again");
            let later = AT.plus_secs(2 * 86_400);
            remembered.learn(HERE, "zendesk", "c.example", later);
            assert_eq!(
                told(&remembered, later).as_deref(),
                Some("c.example"),
                "but after its time"
            );
        }
    }

    #[test]
    fn names_of_nobody_are_not_kept() {
        let mut remembered = remembered();
        remembered.learn(HERE, "", "private.example", AT);
        assert_eq!(told(&remembered, AT), None);
        let rows = remembered.take_changed(10);
        assert!(rows.len() == 1 && !rows[0].value.contains("private.example"), "{rows:?}");
    }

    #[test]
    fn rows_bring_it_back_and_damage_is_counted() {
        let mut before = remembered();
        before.learn(HERE, "zendesk", "acme.zendesk.com", AT);
        before.learn(Place(u128::MAX), "zendesk", "acme.zendesk.com", AT);
        before.learn(Place(u128::MAX), "intercom", "intercom.io", AT);
        let rows = before.take_changed(10);
        assert!(before.take_changed(10).is_empty());
        before.learn(HERE, "zendesk", "acme.zendesk.com", AT.plus_secs(60));
        assert!(before.take_changed(10).is_empty(), "nothing new");
        assert!(rows.iter().all(|row| Remembered::owns(&row.key)));
        let mut after = remembered();
        let rows = rows.into_iter().map(|row| (row.key, row.value));
        let bad =
            ["remembered/zz", "remembered/7", "other"].map(|k| (k.to_owned(), "{".to_owned()));
        assert_eq!(after.restore(rows.chain(bad)), 3);
        assert_eq!(told(&after, AT).as_deref(), Some("acme.zendesk.com"));
        after.learn(Place(u128::MAX), "intercom", "intercom.io", AT);
        assert_eq!(after.name(Place(u128::MAX), AT), None, "several before the restart");
    }

    #[test]
    fn changes_that_cannot_wait_are_counted() {
        let mut remembered = remembered();
        for n in 0..=MAX_CHANGED as u128 {
            remembered.learn(Place(n), "zendesk", "acme.zendesk.com", AT);
        }
        assert_eq!(remembered.cells().get(Counter::Unsaved), 1);
        remembered.learn(Place(0), "intercom", "intercom.io", AT);
        assert_eq!(remembered.cells().get(Counter::Unsaved), 1, "it waits already");
        assert_eq!(remembered.take_changed(usize::MAX).len(), MAX_CHANGED);
    }

    #[test]
    fn bounds_hold_and_zero_hours_remember_nothing() {
        let mut small = Remembered::new(&Options { max_mib: 1, ..Options::default() });
        for n in 0..20_000 {
            small.learn(Place(n), "zendesk", "acme.zendesk.com", AT);
        }
        assert!(small.verdicts.len() < 6_000);
        assert!(small.cells().get(Counter::Forgotten) > 10_000);
        assert!(small.name(Place(19_999), AT).is_some() && small.name(Place(0), AT).is_none());
        let mut off = Remembered::new(&Options { hours: 0, ..Options::default() });
        off.learn(HERE, "zendesk", "acme.zendesk.com", AT);
        assert_eq!(told(&off, AT), None);
    }
}
