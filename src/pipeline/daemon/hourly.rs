//! Hours of usage on their way: saved while they are open; once over, told to the sinks that ask and added to the roll-ups, all in
//! one transaction for each row.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::keep::{from_row, row_key};
use crate::alert::event::{ClientName, VendorName};
use crate::alert::summary::Sums;
use crate::alert::{Cases, Event, Outbox, Summary};
use crate::pipeline::rules::Rules;
use crate::policy::{Contact, Relation, SMALL, State};
use crate::store::{self, Batch, Rollup, RollupSum, Store};
use crate::time::Time;
use crate::usage::{HourCounter, HourUsage, Hours, Inventory, Key, Over};

/// One batch is under way at a time: a row that is told must not be saved again by one that was tried before.
#[derive(Default)]
pub struct Hourly {
    flight: Option<Flight>,
    /// Rows that had changed when a save began, and are still to be saved: those that change meanwhile wait for the next, or a busy
    /// network would be saved all the time.
    unsaved: usize,
    /// Knows which groups may be named; without it all may.
    inventory: Option<Arc<Inventory>>,
}

struct Flight {
    token: u128,
    summaries: u64,
}

impl Hourly {
    pub const fn new(inventory: Arc<Inventory>) -> Self {
        Self { flight: None, unsaved: 0, inventory: Some(inventory) }
    }

    /// Tells what is over at `now`, as much as the store takes; where nothing is, goes on to save what changed, which `save` begins.
    pub fn step(
        &mut self,
        hours: &mut Hours,
        outbox: &mut Outbox,
        say: (&Cases, &Rules),
        now: Time,
        save: bool,
    ) {
        if save {
            self.unsaved = hours.changes();
        }
        if self.lands(hours, outbox) {
            hours.close(now);
            self.depart(hours, outbox, say);
        }
    }

    /// The same at the end of a run, until nothing is left or the store takes no more. Blocks for commits.
    pub fn finish(
        &mut self,
        hours: &mut Hours,
        outbox: &mut Outbox,
        say: (&mut Cases, &Rules),
        now: Time,
    ) {
        let (cases, rules) = say;
        hours.close_last(now);
        self.unsaved = usize::MAX;
        loop {
            outbox.settle(cases);
            // What cannot be committed now was saved before, but for the last seconds.
            if !self.lands(hours, outbox) || !self.depart(hours, outbox, (cases, rules)) {
                return;
            }
        }
    }

    /// Whether the batch under way is committed, or there is none.
    fn lands(&mut self, hours: &Hours, outbox: &Outbox) -> bool {
        if let Some(Flight { token, summaries }) = self.flight {
            if outbox.holds(token) {
                return false;
            }
            hours.cells().add(HourCounter::Summaries, summaries);
            self.flight = None;
        }
        true
    }

    /// Whether there was something to hand over.
    fn depart(&mut self, hours: &mut Hours, outbox: &mut Outbox, say: (&Cases, &Rules)) -> bool {
        let (cases, rules) = say;
        let over = hours.take_over(AT_ONCE);
        let (batch, events) = if !over.is_empty() {
            let wanted = if outbox.wants_usage() { over.as_slice() } else { &[] };
            let crowds = self.inventory.as_ref().map(|inventory| inventory.crowds());
            let event = |over: &Over| {
                let (mut summary, mut key) = (summary(over, rules), over.key.clone());
                if let Some(crowds) = crowds.filter(|crowds| crowds.is_small(&key.group)) {
                    summary.group = SMALL.into();
                    key.group = crowds.mark(&key.group);
                }
                summary.event(cases.sensor(), over.hour, &key)
            };
            let events: Vec<Event> = wanted.iter().map(event).collect();
            let hours = over.iter().map(|over| (over.hour, row_key(&over.key), None)).collect();
            (Batch { hours, rollups: rollups(&over), ..Batch::default() }, events)
        } else if self.unsaved > 0 {
            let most = self.unsaved.min(SAVED_AT_ONCE);
            self.unsaved -= most;
            let changed = hours.take_changed(most);
            if changed.is_empty() {
                return false;
            }
            let row = |(hour, key, usage): &(u32, Key, HourUsage)| {
                (*hour, row_key(key), serde_json::to_string(usage).ok())
            };
            (Batch { hours: changed.iter().map(row).collect(), ..Batch::default() }, Vec::new())
        } else {
            return false;
        };
        let summaries = events.len() as u64;
        let token = outbox.keep_with(batch, &events);
        self.flight = Some(Flight { token, summaries });
        true
    }
}

/// Takes up what an earlier run left.
///
/// # Errors
/// The store cannot be read.
pub fn restore(hours: &mut Hours, store: &Store) -> Result<(), store::Error> {
    let rows = store.hours()?;
    let read = |(hour, key, value): &(u32, store::UsageKey, String)| {
        Some((*hour, from_row(key)?, serde_json::from_str(value).ok()?))
    };
    let saved: Vec<_> = rows.iter().filter_map(read).collect();
    if saved.len() < rows.len() {
        tracing::warn!("store: {} rows of hours cannot be read", rows.len() - saved.len());
    }
    hours.restore(saved, store.last_rollup()?);
    Ok(())
}

/// The row with the state that the policy in force gives it now.
fn summary(over: &Over, rules: &Rules) -> Summary {
    let Over { key, usage, .. } = over;
    let vendor = rules.catalog.vendor(&key.vendor);
    let relation = vendor.map_or(Relation::Unknown, |vendor| {
        rules.policy.relation(&vendor.id, key.tenant.as_deref())
    });
    let decision = vendor.map(|vendor| {
        rules.policy.decide(&Contact {
            vendor,
            tenant: key.tenant.as_deref(),
            role: key.role,
            relation,
            deployment: usage.deployment,
            group: &key.group,
            at: usage.last,
        })
    });
    Summary {
        vendor: VendorName {
            id: key.vendor.clone(),
            // A reload may have taken the vendor out of the catalogue.
            name: vendor.map_or_else(|| key.vendor.clone(), |v| (&*v.name).into()),
            category: vendor.and_then(|v| v.categories.first()).map(|c| (&**c).into()),
        },
        tenant: key.tenant.clone(),
        role: key.role,
        relation,
        group: key.group.clone(),
        state: decision.as_ref().map_or(State::Unreviewed, |d| d.state),
        rule: decision.and_then(|d| d.rule),
        client: ClientName { id: key.client.clone(), kind: usage.kind },
        usage: Sums::of(over),
    }
}

/// Sums over clients.
fn rollups(over: &[Over]) -> Vec<Rollup> {
    let mut sums: BTreeMap<_, RollupSum> = BTreeMap::new();
    for Over { hour, key, usage, leads } in over {
        let Key { group, vendor, tenant, role, .. } = key;
        let place = (*hour, group, vendor, tenant, *role, usage.deployment.name());
        let sum = sums.entry(place).or_default();
        sum.clients += u64::from(*leads);
        sum.flows = sum.flows.saturating_add(usage.flows);
        sum.sessions = sum.sessions.saturating_add(usage.sessions);
        sum.sent = sum.sent.saturating_add(usage.sent);
        sum.received = sum.received.saturating_add(usage.received);
        sum.active_minutes = sum.active_minutes.saturating_add(usage.active_minutes.into());
    }
    let rollup = |((hour, group, vendor, tenant, role, deployment), sum): (_, RollupSum)| {
        let (tenant, role): (&Option<_>, crate::signature::Role) = (tenant, role);
        let text = |text: &Arc<str>| text.to_string();
        Rollup {
            hour,
            group: text(group),
            vendor: text(vendor),
            tenant: tenant.as_ref().map(text).unwrap_or_default(),
            role: role.name().to_owned(),
            deployment: str::to_owned(deployment),
            sum,
        }
    };
    sums.into_iter().map(rollup).collect()
}

/// Rows of one batch: with a message for each of some sinks, a transaction of some tens of milliseconds. Without messages more
/// fit.
const AT_ONCE: usize = 500;
const SAVED_AT_ONCE: usize = 5_000;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::alert::sink::Configured;
    use crate::alert::{self, Sensor};
    use crate::config::Config;
    use crate::count::Cells;
    use crate::identity::{self, Identity};
    use crate::signature::Role;
    use crate::usage::{Addition, Engagement, Options, Standing, beginning};

    const HOUR: u32 = 498_611;

    /// A sensor on one store, whose sinks take nothing: what they would get waits in the outbox.
    struct Bench {
        _runtime: tokio::runtime::Runtime,
        rules: Rules,
        cases: Cases,
        outbox: Outbox,
        hours: Hours,
        hourly: Hourly,
    }

    impl Bench {
        fn new(folder: &Path) -> Self {
            let text = "[[sink]]\nname = 'a'\nkind = 'file'\npath = '/none/a'\nusage = 'hourly'\n\
                        [[sink]]\nname = 'b'\nkind = 'file'\npath = '/none/b'\n";
            let config = Config::parse("x.toml", text.into()).unwrap();
            let sinks = Configured::read(&config.sink, &config.file, &config.text).unwrap();
            let store = Store::open(&folder.join("a.db")).unwrap().0;
            let mut hours = Hours::new(&Options::default());
            restore(&mut hours, &store).unwrap();
            let (writer, answers) = store.start(64, Cells::new()).unwrap();
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let outbox = Outbox::start(sinks, writer, answers, runtime.handle());
            let sensor = Sensor { name: "s".into(), ..Sensor::default() };
            Self {
                _runtime: runtime,
                rules: Rules::load(&config).unwrap(),
                cases: Cases::new(alert::Options::default(), sensor, Cells::new()),
                outbox,
                hours,
                hourly: Hourly::default(),
            }
        }

        fn add(&mut self, client: usize, minutes: u64) {
            let at = beginning(HOUR).plus(Duration::from_secs(minutes * 60));
            let key = Key {
                group: "support".into(),
                client: format!("c-{client:04}").into(),
                vendor: "zendesk".into(),
                tenant: Some("acme".into()),
                role: Role::Either,
            };
            let addition = Addition::first(at, 10, 20);
            let standing = Standing {
                engagement: Engagement::Glance,
                before: None,
                active_minutes_today: 0,
                sent_today: 0,
                threshold: None,
                first_flow: false,
                worked: false,
            };
            self.hours.add(key, &addition, &standing);
        }

        /// One step, and what it handed over is committed.
        fn step(&mut self, minutes: u64, save: bool) {
            let now = beginning(HOUR).plus(Duration::from_secs(minutes * 60));
            let say = (&self.cases, &self.rules);
            self.hourly.step(&mut self.hours, &mut self.outbox, say, now, save);
            self.outbox.settle(&mut self.cases);
        }

        fn finish(&mut self, minutes: u64) {
            let now = beginning(HOUR).plus(Duration::from_secs(minutes * 60));
            let say = (&mut self.cases, &self.rules);
            self.hourly.finish(&mut self.hours, &mut self.outbox, say, now);
        }

        fn told(&self) -> u64 {
            self.hours.cells().get(HourCounter::Summaries)
        }

        fn close(mut self) {
            self.outbox.close(&mut self.cases);
        }
    }

    fn letters(folder: &Path, sink: &str) -> Vec<String> {
        let store = Store::read_only(&folder.join("a.db")).unwrap();
        let letters = store.fetch(sink, 0, 100_000).unwrap();
        let usage =
            letters.iter().filter(|l| String::from_utf8_lossy(&l.payload).contains("usage"));
        usage.map(|letter| letter.event.clone()).collect()
    }

    fn summed(folder: &Path) -> Vec<(u32, RollupSum)> {
        let store = Store::read_only(&folder.join("a.db")).unwrap();
        let rollups = store.rollups(0, u32::MAX, None).unwrap();
        rollups.into_iter().map(|rollup| (rollup.hour - HOUR, rollup.sum)).collect()
    }

    #[test]
    fn an_hour_is_told_once_however_the_sensor_ends() {
        const CLIENTS: usize = 1_200;
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut bench = Bench::new(folder);
        (0..CLIENTS).for_each(|client| bench.add(client, 5));
        bench.step(6, true);
        bench.step(59, false);
        assert_eq!(letters(folder, "a").len(), 0, "the hour is not over");
        // Killed after the first rows were told, and while the next are on their way.
        bench.step(61, false);
        assert_eq!(letters(folder, "a").len(), AT_ONCE);
        bench.close();

        let mut bench = Bench::new(folder);
        assert_eq!(bench.hours.cells().get(HourCounter::Rows), (CLIENTS - AT_ONCE) as u64);
        (0..4).for_each(|_| bench.step(62, true));
        assert_eq!(bench.told(), (CLIENTS - AT_ONCE) as u64);
        bench.add(7, 63);
        bench.step(63, true);
        bench.add(7, 64);
        bench.finish(65);
        bench.close();
        let told = letters(folder, "a");
        assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), CLIENTS);
        assert_eq!(told.len(), CLIENTS, "none twice");
        assert!(letters(folder, "b").is_empty(), "who does not ask gets none");

        // Stopped within an hour it goes on with what it had; stopped when it is over, tells it.
        let mut bench = Bench::new(folder);
        bench.add(7, 80);
        bench.finish(120);
        assert_eq!(bench.told(), 1);
        bench.close();
        let mut bench = Bench::new(folder);
        bench.step(300, true);
        bench.finish(300);
        assert_eq!(bench.told(), 0);
        bench.close();
        let whole = RollupSum {
            clients: CLIENTS as u64,
            flows: CLIENTS as u64,
            sent: 10 * CLIENTS as u64,
            received: 20 * CLIENTS as u64,
            ..RollupSum::default()
        };
        let last = RollupSum { clients: 1, flows: 3, sent: 30, received: 60, ..whole };
        assert_eq!(summed(folder), [(0, whole), (1, last)]);
        assert_eq!(letters(folder, "a").len(), CLIENTS + 1);
    }

    #[test]
    fn all_that_changed_is_saved_batch_by_batch() {
        const CLIENTS: usize = SAVED_AT_ONCE + 1_000;
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut bench = Bench::new(folder);
        (0..CLIENTS).for_each(|client| bench.add(client, 5));
        bench.step(6, true);
        bench.add(CLIENTS, 6);
        bench.step(6, false);
        // What changed meanwhile waits for the next time.
        bench.step(6, false);
        bench.close();
        assert_eq!(Store::read_only(&folder.join("a.db")).unwrap().hours().unwrap().len(), CLIENTS);
    }

    #[test]
    fn a_small_group_is_named_neither_in_a_summary_nor_by_its_id() {
        let folder = tempfile::tempdir().unwrap();
        let marker = Identity::new(&identity::Options::default(), &[], [7; 32]).unwrap().marker();
        let inventory = Arc::new(Inventory::new(&Options::default()).naming(2, marker));
        let group = Arc::from("support");
        let mut ids = Vec::new();
        for (sink, client, named) in [("few", 1, false), ("enough", 2, true)] {
            let folder = folder.path().join(sink);
            std::fs::create_dir(&folder).unwrap();
            inventory.crowds().see(&group, &format!("c-000{client}"), beginning(HOUR));
            let mut bench = Bench::new(&folder);
            bench.hourly = Hourly::new(inventory.clone());
            bench.add(1, 5);
            bench.finish(62);
            bench.close();
            let store = Store::read_only(&folder.join("a.db")).unwrap();
            let [letter] = &store.fetch("a", 0, 9).unwrap()[..] else { panic!() };
            let told = String::from_utf8_lossy(&letter.payload).into_owned();
            assert_eq!(told.contains("support"), named, "{told}");
            assert_eq!(told.contains("small"), !named, "{told}");
            ids.push(letter.event.clone());
        }
        assert_ne!(ids[0], ids[1]);
        assert_eq!(summed(&folder.path().join("few")).len(), 1);
    }

    #[test]
    fn what_the_store_does_not_take_is_told_later_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut bench = Bench::new(folder);
        bench.add(1, 5);
        bench.step(6, true);
        let locked = rusqlite::Connection::open(folder.join("a.db")).unwrap();
        locked.execute_batch("ALTER TABLE rollup RENAME TO away").unwrap();
        for _ in 0..3 {
            bench.step(61, true);
        }
        assert_eq!(bench.told(), 0);
        locked.execute_batch("ALTER TABLE away RENAME TO rollup").unwrap();
        bench.finish(62);
        assert_eq!(bench.told(), 1);
        bench.close();
        assert_eq!(letters(folder, "a").len(), 1);
        let store = Store::read_only(&folder.join("a.db")).unwrap();
        assert!(store.hours().unwrap().is_empty());
        assert_eq!(summed(folder).len(), 1);
    }

    #[test]
    fn the_state_is_that_of_the_policy_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = Bench::new(folder.path());
        bench.add(1, 5);
        let over = |hours: &mut Hours| {
            hours.close_last(beginning(HOUR + 1));
            hours.take_over(9).remove(0)
        };
        let over = over(&mut bench.hours);
        let told = summary(&over, &bench.rules);
        assert_eq!((told.state, told.rule.is_none()), (State::Unreviewed, true));
        assert_eq!(
            (&*told.vendor.name, told.vendor.category.as_deref()),
            ("Zendesk", Some("helpdesk"))
        );
        let text = "[own]\ntenants = { zendesk = ['acme'] }\n[[policy]]\nvendor = 'zendesk'\n\
                    relation = 'own'\nstate = 'sanctioned'\n";
        let config = Config::parse("x.toml", text.into()).unwrap();
        let told = summary(&over, &Rules::load(&config).unwrap());
        assert_eq!((told.state, told.relation), (State::Sanctioned, Relation::Own));
        let mut gone = over;
        gone.key.vendor = Arc::from("no-such-vendor");
        let told = summary(&gone, &bench.rules);
        assert_eq!((&*told.vendor.name, told.state), ("no-such-vendor", State::Unreviewed));
        bench.close();
    }
}
