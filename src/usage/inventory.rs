//! All usages in memory: written by the collector alone, read by the web.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering as Memory};
use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;

use super::crowd::Crowds;
use super::ledger::{Added, Judgement, Ledger, MINUTES_A_DAY, counts};
use super::options::Options;
use super::{Addition, Engagement, Key, PAST, Standing, Usage};
use crate::count::Cells;
use crate::identity::{Marker, NOBODY};
use crate::signature::Role;
use crate::time::Time;

crate::rows! {
    pub enum Counter {
        Held => Gauge "saastap_usages" "Usages held in memory.",
        Evicted => Counter "saastap_usages_evicted_total" "Usages that gave way to newer ones because the inventory was full.",
        Retired => Counter "saastap_usages_retired_total" "Usages of clients that were too old to be kept, and sums of them that were.",
        OtherTenant => Counter "saastap_usage_other_tenant_reports_total" "Reports counted under tenant `other` because their vendor had too many tenants.",
        Late => Counter "saastap_usage_late_reports_total" "Reports whose minute or day was no longer kept: they count in totals only.",
    }
}

/// The usages of the network. Everything in it follows packet time: the same additions in the same order give the same
/// usages.
pub struct Inventory {
    options: Options,
    persons: DashMap<Person, Dealings>,
    /// Vendor: its tenants, and how many ledgers each has.
    tenants: DashMap<Arc<str>, HashMap<Arc<str>, usize>>,
    held: AtomicUsize,
    /// Keys of the usages that changed since they were taken, each once.
    changed: Mutex<VecDeque<Key>>,
    crowds: Crowds,
    cells: Arc<Cells<Counter>>,
}

impl Inventory {
    pub fn new(options: &Options) -> Self {
        Self {
            options: options.clone(),
            persons: DashMap::new(),
            tenants: DashMap::new(),
            held: AtomicUsize::new(0),
            changed: Mutex::default(),
            crowds: Crowds::default(),
            cells: Cells::new(),
        }
    }

    /// Names no group that has fewer clients than `few`.
    pub fn naming(mut self, few: usize, marker: Marker) -> Self {
        self.crowds = Crowds::new(few, Some(marker));
        self
    }

    /// How many clients groups have.
    pub const fn crowds(&self) -> &Crowds {
        &self.crowds
    }

    pub fn cells(&self) -> &Arc<Cells<Counter>> {
        &self.cells
    }

    pub fn len(&self) -> usize {
        self.held.load(Memory::Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds what one report of one flow tells, and says how the usage stands on the day of the report. The collector alone
    /// may call this.
    pub fn record(&self, key: Key, addition: &Addition) -> Standing {
        let asked = key.tenant.clone();
        let key = self.counted_as(key);
        if key.tenant != asked {
            self.cells.add(Counter::OtherTenant, 1);
        }
        let mut dirty = Vec::new();
        let standing = {
            let mut dealings = self.persons.entry(Person::of(&key)).or_default();
            self.add(&mut dealings, &key, addition, &mut dirty)
        };
        if standing.first_flow {
            self.began(&key);
        }
        self.queue().extend(dirty);
        if self.len() > self.options.max_usages.max(1) {
            self.evict();
        }
        standing
    }

    /// The key under which a usage is counted: tenants beyond `max_tenants_per_vendor` are one, `other`.
    pub fn counted_as(&self, mut key: Key) -> Key {
        if let Some(tenant) = &key.tenant
            && let Some(known) = self.tenants.get(&key.vendor)
            && known.len() >= self.options.max_tenants_per_vendor
            && !known.contains_key(tenant)
        {
            key.tenant = Some(OTHER_TENANT.into());
        }
        key
    }

    pub const fn options(&self) -> &Options {
        &self.options
    }

    pub fn get(&self, key: &Key) -> Option<Usage> {
        let dealings = self.persons.get(&Person::of(key))?;
        dealings.ledgers.get(&key.tenant)?.row(key.role).map(|r| r.usage.clone())
    }

    /// All usages, sorted by key.
    pub fn snapshot(&self) -> Vec<(Key, Usage)> {
        let mut all = Vec::with_capacity(self.len());
        for entry in &self.persons {
            for (tenant, ledger) in &entry.value().ledgers {
                for row in ledger.rows() {
                    all.push((entry.key().key(tenant, row.role), row.usage.clone()));
                }
            }
        }
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// Puts saved usages back, before the first [`record`](Self::record). They count as saved.
    pub fn restore(&self, saved: Vec<(Key, Usage)>) {
        for (key, usage) in saved {
            let key = self.counted_as(key);
            if matches!(&*key.client, PAST | NOBODY) {
                self.crowds.know(&key.group);
            } else {
                self.crowds.see(&key.group, &key.client, usage.last);
            }
            let fresh = {
                let mut dealings = self.persons.entry(Person::of(&key)).or_default();
                dealings.agent_days.extend(usage.days.iter().filter(|d| d.agent).map(|d| d.day));
                let ledger = dealings.ledgers.entry(key.tenant.clone()).or_default();
                let fresh = ledger.row(key.role).is_none();
                ledger.insert(key.role, usage, false);
                fresh
            };
            if fresh {
                self.began(&key);
            }
            if self.len() > self.options.max_usages.max(1) {
                self.evict();
            }
        }
    }

    /// Up to `most` usages that changed since they were last taken, those first that changed first. Whoever fails to save
    /// them gives them [back](Self::put_back).
    pub fn take_changed(&self, most: usize) -> Vec<(Key, Usage)> {
        let keys: Vec<Key> = {
            let mut queue = self.queue();
            let count = most.min(queue.len());
            queue.drain(..count).collect()
        };
        let take = |key: Key| {
            let mut dealings = self.persons.get_mut(&Person::of(&key))?;
            let row = dealings.ledgers.get_mut(&key.tenant)?.row_mut(key.role)?;
            row.changed = false;
            let usage = row.usage.clone();
            drop(dealings);
            Some((key, usage))
        };
        keys.into_iter().filter_map(take).collect()
    }

    /// Marks usages as changed again: they were taken and could not be saved.
    pub fn put_back(&self, keys: impl IntoIterator<Item = Key>) {
        for key in keys {
            let Some(mut dealings) = self.persons.get_mut(&Person::of(&key)) else { continue };
            let ledger = dealings.ledgers.get_mut(&key.tenant);
            let Some(row) = ledger.and_then(|l| l.row_mut(key.role)) else { continue };
            if !std::mem::replace(&mut row.changed, true) {
                drop(dealings);
                self.queue().push_back(key);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn queue_len(&self) -> usize {
        self.queue().len()
    }

    #[cfg(test)]
    pub(super) fn persons_len(&self) -> usize {
        self.persons.len()
    }

    fn add(
        &self,
        dealings: &mut Dealings,
        key: &Key,
        addition: &Addition,
        dirty: &mut Vec<Key>,
    ) -> Standing {
        let Dealings { ledgers, agent_days } = dealings;
        let ledger = ledgers.entry(key.tenant.clone()).or_default();
        let first_flow = ledger.row(key.role).is_none();
        let is_new = if counts(key.role) { ledger.counting().next().is_none() } else { first_flow };
        let before = self.judge(ledger, key, addition, agent_days);
        if first_flow {
            ledger.insert(key.role, Usage::new(addition), false);
        }
        let Added { in_time, worked } = ledger.add(key.role, addition, &self.options);
        if !in_time {
            self.cells.add(Counter::Late, 1);
        }
        mark(ledger, key, dirty);
        let new_agent_day = addition.agent && agent_days.insert(addition.at.day());
        while agent_days.len() > self.options.days_kept() {
            agent_days.pop_first();
        }
        let after = self.judge(ledger, key, addition, agent_days);
        lift(ledger, key, after.engagement, dirty);
        if new_agent_day {
            // The companion tells what the ambiguous names before it were: those of other tenants, and of this one.
            for (tenant, ledger) in ledgers.iter_mut() {
                let judged = ledger.judge(
                    addition.client_kind,
                    addition.at.day(),
                    &|day| agent_days.contains(&day),
                    &self.options,
                );
                let key = Key { tenant: tenant.clone(), ..key.clone() };
                lift(ledger, &key, judged.engagement, dirty);
            }
        }
        Standing {
            engagement: after.engagement,
            before: if is_new { None } else { Some(before.engagement) },
            active_minutes_today: after.active,
            sent_today: after.sent,
            threshold: after.threshold,
            first_flow,
            worked,
        }
    }

    /// How the usage stands on the day of the addition, or on that of its minute where that is deeper: the last minute of
    /// a day is reported on the next.
    fn judge(
        &self,
        ledger: &Ledger,
        key: &Key,
        addition: &Addition,
        agent_days: &BTreeSet<u32>,
    ) -> Judgement {
        let today = addition.at.day();
        if !counts(key.role) {
            let days = ledger.row(key.role).map(|r| r.usage.days.as_slice()).unwrap_or_default();
            let sent = days.iter().find(|d| d.day == today).map_or(0, |d| d.sent);
            return Judgement { engagement: Engagement::Glance, threshold: None, active: 0, sent };
        }
        let agent = |day| agent_days.contains(&day);
        let on = |day| ledger.judge(addition.client_kind, day, &agent, &self.options);
        let judged = on(today);
        let minute_day = addition.minute / MINUTES_A_DAY;
        if addition.minute_payload == 0 || minute_day == today {
            return judged;
        }
        let other = on(minute_day);
        match other.engagement.cmp(&judged.engagement) {
            Ordering::Greater => other,
            Ordering::Equal | Ordering::Less => judged,
        }
    }

    fn began(&self, key: &Key) {
        self.hold(self.len().saturating_add(1));
        if let Some(tenant) = key.tenant.as_ref().filter(|t| ***t != *OTHER_TENANT) {
            let mut known = self.tenants.entry(key.vendor.clone()).or_default();
            *known.entry(tenant.clone()).or_default() += 1;
        }
    }

    fn ended(&self, key: &Key) {
        self.hold(self.len().saturating_sub(1));
        let Some(tenant) = &key.tenant else { return };
        let Some(mut known) = self.tenants.get_mut(&key.vendor) else { return };
        if let Some(rows) = known.get_mut(tenant) {
            *rows = rows.saturating_sub(1);
            if *rows == 0 {
                known.remove(tenant);
            }
        }
    }

    fn hold(&self, held: usize) {
        self.held.store(held, Memory::Relaxed);
        self.cells.set(Counter::Held, held as u64);
    }

    /// Drops the oldest usages: a share of all at once, so that the sweep costs a few steps for each new usage.
    fn evict(&self) {
        let most = self.options.max_usages.max(1);
        let mut all: Vec<(Time, Key)> = Vec::with_capacity(self.len());
        for entry in &self.persons {
            for (tenant, ledger) in &entry.value().ledgers {
                let rows = ledger.rows().iter();
                all.extend(rows.map(|r| (r.usage.last, entry.key().key(tenant, r.role))));
            }
        }
        let drop = all.len().saturating_sub(most - most / EVICTED_SHARE);
        if drop == 0 {
            return;
        }
        all.select_nth_unstable(drop - 1);
        all.truncate(drop);
        let gone: BTreeSet<Key> = all.into_iter().map(|(_, key)| key).collect();
        self.drop_all(&gone);
        self.cells.add(Counter::Evicted, gone.len() as u64);
    }

    pub(super) fn drop_all(&self, gone: &BTreeSet<Key>) {
        for key in gone {
            self.remove(key);
        }
        self.queue().retain(|key| !gone.contains(key));
    }

    fn remove(&self, key: &Key) {
        let person = Person::of(key);
        if let Some(mut dealings) = self.persons.get_mut(&person)
            && let Some(ledger) = dealings.ledgers.get_mut(&key.tenant)
        {
            ledger.remove(key.role);
            if ledger.rows().is_empty() {
                dealings.ledgers.remove(&key.tenant);
            }
        }
        self.persons.remove_if(&person, |_, dealings| dealings.ledgers.is_empty());
        self.ended(key);
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Key>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One client and one vendor: an agent companion speaks for all tenants between them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Person {
    group: Arc<str>,
    client: Arc<str>,
    vendor: Arc<str>,
}

impl Person {
    fn of(key: &Key) -> Self {
        Self { group: key.group.clone(), client: key.client.clone(), vendor: key.vendor.clone() }
    }

    fn key(&self, tenant: &Option<Arc<str>>, role: Role) -> Key {
        Key {
            group: self.group.clone(),
            client: self.client.clone(),
            vendor: self.vendor.clone(),
            tenant: tenant.clone(),
            role,
        }
    }
}

/// What one client does with one vendor.
#[derive(Debug, Default)]
struct Dealings {
    ledgers: BTreeMap<Option<Arc<str>>, Ledger>,
    /// Days on which an agent companion was seen.
    agent_days: BTreeSet<u32>,
}

fn mark(ledger: &mut Ledger, key: &Key, dirty: &mut Vec<Key>) {
    if let Some(row) = ledger.row_mut(key.role)
        && !std::mem::replace(&mut row.changed, true)
    {
        dirty.push(key.clone());
    }
}

fn lift(ledger: &mut Ledger, key: &Key, to: Engagement, dirty: &mut Vec<Key>) {
    dirty.extend(ledger.lift(to).into_iter().map(|role| Key { role, ..key.clone() }));
}

/// The tenant that stands for all beyond `max_tenants_per_vendor`.
const OTHER_TENANT: &str = "other";

/// One of so many usages gives way when the inventory is full.
const EVICTED_SHARE: usize = 16;
