//! What lasts, looked for once a second: shares of what the sensor misses, and days on which nobody used a vendor.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crate::alert::event::VendorName;
use crate::alert::{Cause, DayOf, LossOptions, Losses, Measure, Met};
use crate::count::Counted;
use crate::pipeline::collector::Collector;
use crate::pipeline::condition::{measured, sum};
use crate::pipeline::rules::Rules;
use crate::policy::{Contact, State};
use crate::signature::Role;
use crate::time::Time;
use crate::usage::{Key, PAST, Usage, counts};

/// Counters of capture and flows, and the days that are over.
pub struct Watch {
    options: LossOptions,
    counted: Vec<Arc<dyn Counted>>,
    losses: Losses,
    /// The first day that was looked at, and the last one.
    since: Option<u32>,
    day: Option<u32>,
}

impl Watch {
    /// `counted`: whatever counts frames and flows.
    pub fn new(options: LossOptions, counted: Vec<Arc<dyn Counted>>) -> Self {
        Self { options, counted, losses: Losses::default(), since: None, day: None }
    }

    /// Looks where packet time has come to the end of a window, or to another day.
    pub fn look(&mut self, collector: &mut Collector) {
        let now = collector.seen.clock();
        if now == Time::ZERO {
            return;
        }
        if self.losses.is_due(now, &self.options) {
            let names = collector.seen.encrypted_names();
            let sums = |cause| measure(cause, &self.counted, names);
            let told = self.losses.look(now, &self.options, sums);
            collector.cases.measured(now, told, &mut collector.raised);
        }
        if self.day < Some(now.day()) {
            let today = now.day();
            self.day = Some(today);
            let since = *self.since.get_or_insert(today);
            let open = collector.cases.first_open_day().unwrap_or(since);
            let met = met(&collector.inventory.snapshot(), &collector.rules().load(), open..today);
            collector.cases.days_over(now, met, &mut collector.raised);
        }
    }
}

fn measure(cause: Cause, counted: &[Arc<dyn Counted>], names: (u64, u64)) -> Measure {
    let of = |name| measured(counted, name).unwrap_or_default();
    let (part, whole) = match cause {
        Cause::Drops => {
            let lost: u64 = DROPS.iter().map(|name| sum(counted, name, None)).sum();
            (lost, lost + sum(counted, PACKETS, None))
        }
        Cause::OneWay => of("one_way"),
        Cause::Duplicates => of("duplicate"),
        Cause::TagAsymmetry => of("tag_asymmetric"),
        Cause::ClockSkew => of("clock_skew"),
        Cause::Ech => names,
    };
    Measure { part, whole }
}

const PACKETS: &str = "saastap_capture_packets_total";
const DROPS: [&str; 2] = [
    "saastap_capture_kernel_dropped_packets_total",
    "saastap_capture_interface_dropped_packets_total",
];

/// What the inventory says of `open` days, and of the one after them, which is today.
fn met(usages: &[(Key, Usage)], rules: &Rules, open: Range<u32>) -> Met {
    let today = open.end;
    // The inventory knows no more.
    let open = open.start.max(today.saturating_sub(DAYS_BACK))..today;
    let mut met = Met::default();
    let mut judged: HashMap<(&str, Option<&str>, Role, &str), bool> = HashMap::new();
    let mut clients: BTreeMap<u32, HashSet<&str>> = BTreeMap::new();
    let mut by_vendor: BTreeMap<(u32, &Arc<str>), HashSet<&str>> = BTreeMap::new();
    for (key, usage) in usages {
        let place = (&*key.vendor, key.tenant.as_deref(), key.role, &*key.group);
        let sanctioned = counts(key.role)
            && *judged.entry(place).or_insert_with(|| is_sanctioned(key, usage, rules));
        if sanctioned && let Some(vendor) = rules.catalog.vendor(&key.vendor) {
            met.sanctioned.entry(key.vendor.clone()).or_insert_with(|| VendorName {
                id: vendor.id.clone(),
                name: vendor.name.clone(),
                category: vendor.categories.first().cloned(),
            });
        }
        if &*key.client == PAST {
            continue;
        }
        for day in usage.days.iter().map(|of| of.day) {
            if day == today && sanctioned {
                met.today.insert(key.vendor.clone());
            }
            if open.contains(&day) {
                clients.entry(day).or_default().insert(&key.client);
                if sanctioned {
                    by_vendor.entry((day, &key.vendor)).or_default().insert(&key.client);
                }
            }
        }
    }
    let count = |set: &HashSet<&str>| u32::try_from(set.len()).unwrap_or(u32::MAX);
    let mut days: BTreeMap<u32, DayOf> = open.map(|day| (day, DayOf::default())).collect();
    for (day, of) in &mut days {
        of.clients = clients.get(day).map_or(0, count);
    }
    for ((day, vendor), set) in &by_vendor {
        if let Some(of) = days.get_mut(day) {
            of.vendors.insert(Arc::clone(vendor), count(set));
        }
    }
    met.days = days.into_iter().collect();
    met
}

fn is_sanctioned(key: &Key, usage: &Usage, rules: &Rules) -> bool {
    let Some(vendor) = rules.catalog.vendor(&key.vendor) else { return false };
    let tenant = key.tenant.as_deref();
    let decision = rules.policy.decide(&Contact {
        vendor,
        tenant,
        role: key.role,
        relation: rules.policy.relation(&vendor.id, tenant),
        deployment: usage.deployment,
        group: &key.group,
        at: usage.last,
    });
    decision.state == State::Sanctioned
}

/// Days that are made up for after the sensor was off.
const DAYS_BACK: u32 = 14;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::count::Cells;
    use crate::export::Metrics;
    use crate::flow::Copies;

    use crate::pipeline::offline;
    use crate::pipeline::rules::InForce;

    use crate::time::DAY;
    use crate::usage::{Addition, Inventory, Options};
    use crate::{capture, flow};

    #[test]
    fn every_cause_is_measured_by_counters_that_exist() {
        let frames = Cells::<capture::Counter>::new();
        let (flows, copies) = (Cells::<flow::Counter>::new(), Cells::<Copies>::new());
        frames.set(capture::Counter::Frames, 900);
        frames.set(capture::Counter::KernelDropped, 60);
        frames.set(capture::Counter::InterfaceDropped, 40);
        frames.set(capture::Counter::Skewed, 9);
        copies.set(Copies::Packets, 450);
        flows.set(flow::Counter::OneWay, 3);
        flows.set(flow::Counter::TagAsymmetric, 2);
        flows.set(flow::Counter::EndedTcp, 12);
        let counted: [Arc<dyn Counted>; 3] = [frames, flows, copies];
        for (cause, part, whole) in [
            (Cause::Drops, 100, 1_000),
            (Cause::OneWay, 3, 12),
            (Cause::Duplicates, 450, 900),
            (Cause::TagAsymmetry, 2, 12),
            (Cause::ClockSkew, 9, 900),
            (Cause::Ech, 7, 70),
        ] {
            assert_eq!(measure(cause, &counted, (7, 70)), Measure { part, whole }, "{cause}");
        }
    }

    const START: Time = Time::from_secs(1_795_000_000);

    fn addition(at: Time) -> Addition {
        let first = Addition::first(at, 3_000, 0);
        Addition { minute_payload: first.sent, minute_bursts: 5, ..first }
    }

    #[test]
    fn days_are_counted_by_clients_of_sanctioned_usages() {
        let text = "[[policy]]\nvendor = 'zendesk'\nstate = 'sanctioned'\n";
        let rules = Rules::load(&Config::parse("x.toml", text.into()).unwrap()).unwrap();
        let inventory = Inventory::new(&Options::default());
        let meet = |day: u32, client: &str, vendor: &str, role| {
            let key = Key {
                group: "support".into(),
                client: client.into(),
                vendor: vendor.into(),
                tenant: None,
                role,
            };
            inventory.record(key, &addition(START.plus(DAY * day)));
        };
        for client in ["a", "b", "c"] {
            meet(0, client, "zendesk", Role::Console);
            meet(0, client, "zendesk", Role::Portal);
            meet(1, client, "intercom", Role::Console);
        }
        meet(1, "d", "zendesk", Role::Widget);
        meet(2, "a", "zendesk", Role::Console);
        let first = START.day();
        let told = met(&inventory.snapshot(), &rules, first..first + 2);
        let of = |clients, zendesk: &[u32]| DayOf {
            clients,
            vendors: zendesk.iter().map(|n| (Arc::from("zendesk"), *n)).collect(),
        };
        assert_eq!(told.days, [(first, of(3, &[3])), (first + 1, of(4, &[]))]);
        assert_eq!(told.sanctioned.keys().map(|v| &**v).collect::<Vec<_>>(), ["zendesk"]);
        assert_eq!(told.today.iter().map(|v| &**v).collect::<Vec<_>>(), ["zendesk"]);
        let late = met(&inventory.snapshot(), &rules, first..first + 100);
        assert_eq!(late.days.len(), DAYS_BACK as usize);
    }

    /// A daemon's collector, looked at once a day.
    struct Office {
        collector: Collector,
        watch: Watch,
    }

    impl Office {
        fn new(rows: &[crate::alert::Row]) -> Self {
            let text = "[[policy]]\nvendor = 'zendesk'\nstate = 'sanctioned'\n";
            let config = Config::parse("x.toml", text.into()).unwrap();
            let rules = Arc::new(InForce::new(Rules::load(&config).unwrap()));
            let metrics = Metrics::new(&config.metrics).unwrap();
            let mut collector =
                offline::collector(&config, rules, &metrics, [7; 32], false).unwrap();
            let row = |row: &crate::alert::Row| (row.key.clone(), row.value.clone().unwrap());
            assert!(collector.cases.restore(&rows.iter().map(row).collect::<Vec<_>>()).is_empty());
            Self { collector, watch: Watch::new(LossOptions::default(), Vec::new()) }
        }

        /// A day on which so many clients use Zendesk, and thirty Intercom; what is said in its morning.
        fn day(&mut self, day: u32, clients: u32) -> Vec<String> {
            let at = START.plus(DAY * day);
            self.collector.seen.advance(at);
            self.watch.look(&mut self.collector);
            let vendors = [("zendesk", clients), ("intercom", 30)];
            for (vendor, client) in vendors.iter().flat_map(|(v, n)| (0..*n).map(move |c| (*v, c)))
            {
                let key = Key {
                    group: "support".into(),
                    client: format!("c-{client}").into(),
                    vendor: vendor.into(),
                    tenant: None,
                    role: Role::Console,
                };
                self.collector.inventory.record(key, &addition(at));
            }
            let raised = std::mem::take(&mut self.collector.raised);
            raised.iter().for_each(|r| self.collector.cases.accepted(r.event.id));
            raised.iter().map(|r| r.event.summary()).collect()
        }
    }

    #[test]
    fn a_vendor_that_falls_silent_is_told_across_restarts() {
        let mut office = Office::new(&[]);
        for day in 0..20 {
            assert!(office.day(day, 6).is_empty(), "day {day}");
        }
        for day in 20..23 {
            assert!(office.day(day, 0).is_empty(), "day {day}");
        }
        let rows = office.collector.cases.changed();
        let usages = office.collector.inventory.snapshot();
        let mut office = Office::new(&rows);
        office.collector.inventory.restore(usages);
        for day in 23..25 {
            assert!(office.day(day, 0).is_empty(), "day {day}");
        }
        let told = "A sanctioned service that everybody used falls silent: Zendesk (5 working days without a client, 6 a day before)";
        assert_eq!(office.day(25, 0), [told]);
        assert!(office.day(26, 0).iter().all(|said| said.contains("Zendesk (6 working days")));
    }
}
