//! Scripted days: what people do, and how deep the inventory says it is.

use crate::signature::{Deployment, Role};

use super::*;

/// A Monday, 2027-01-04, as days since the epoch.
const MONDAY: u32 = 20_822;

/// One client, whose every step is an addition.
struct Script {
    inventory: Inventory,
    client: &'static str,
    kind: ClientKind,
    tenant: Option<&'static str>,
    role: Role,
    ambiguous: bool,
}

impl Script {
    fn new(kind: ClientKind, role: Role) -> Self {
        let inventory = Inventory::new(&Options::default());
        Self { inventory, client: "c-1", kind, tenant: Some("acme"), role, ambiguous: false }
    }

    fn key(&self) -> Key {
        Key {
            group: "office".into(),
            client: self.client.into(),
            vendor: "zendesk".into(),
            tenant: self.tenant.map(Arc::from),
            role: self.role,
        }
    }

    fn step(&self, at: Time, addition: impl FnOnce(&mut Addition)) -> Standing {
        let mut whole = Addition {
            at,
            client_kind: self.kind,
            ambiguous: self.ambiguous,
            agent: false,
            deployment: Deployment::Cloud,
            flows: 0,
            sessions: 0,
            sent: 3_000,
            received: 9_000,
            minute: at.minute(),
            minute_payload: 2_500,
            minute_bursts: 4,
            quiet: 0,
        };
        addition(&mut whole);
        self.inventory.record(self.key(), &whole)
    }

    /// Active minutes from nine o'clock on; the last standing.
    fn minutes(&self, day: u32, count: u32) -> Standing {
        (0..count).map(|m| self.step(at(day, 540 + m), |_| {})).last().unwrap()
    }

    fn usage(&self) -> Usage {
        self.inventory.get(&self.key()).unwrap()
    }
}

fn at(day: u32, minute: u32) -> Time {
    Time::from_secs(u64::from(day) * 86_400 + u64::from(minute) * 60 + 30)
}

fn told(standing: Standing) -> (Engagement, Option<&'static str>) {
    (standing.engagement, standing.threshold)
}

const GLANCE: (Engagement, Option<&str>) = (Engagement::Glance, None);
const VISIT: (Engagement, Option<&str>) = (Engagement::Visit, Some("visit_minutes"));

#[test]
fn ten_active_minutes_of_a_day_are_a_use() {
    let script = Script::new(ClientKind::Host, Role::Console);
    let first = script.step(at(MONDAY, 540), |_| {});
    assert_eq!(told(first), GLANCE);
    assert_eq!((first.before, first.first_flow), (None, true));
    let second = script.step(at(MONDAY, 541), |_| {});
    assert_eq!(told(second), VISIT);
    assert_eq!((second.before, second.first_flow), (Some(Engagement::Glance), false));
    let ninth = (2..9).map(|m| script.step(at(MONDAY, 540 + m), |_| {})).last().unwrap();
    assert_eq!((told(ninth), ninth.active_minutes_today), (VISIT, 9));
    let tenth = script.step(at(MONDAY, 549), |_| {});
    assert_eq!(told(tenth), (Engagement::Use, Some("use_minutes")));
    assert_eq!((tenth.before, tenth.sent_today), (Some(Engagement::Visit), 30_000));
    let usage = script.usage();
    assert_eq!((usage.active_minutes, usage.engagement), (10, Engagement::Use));
    // The next day begins anew; the usage stays what it was.
    assert_eq!(told(script.step(at(MONDAY + 1, 540), |_| {})), GLANCE);
    assert_eq!(script.usage().engagement, Engagement::Use);
}

#[test]
fn a_minute_is_summed_over_flows_and_roles_and_needs_both_payload_and_bursts() {
    let mut script = Script::new(ClientKind::Host, Role::Console);
    let part = |payload, bursts| {
        move |a: &mut Addition| (a.minute_payload, a.minute_bursts) = (payload, bursts)
    };
    let noon = at(MONDAY, 720);
    assert_eq!(script.step(noon, part(1_000, 2)).active_minutes_today, 0);
    script.role = Role::Widget;
    assert_eq!(script.step(noon, part(9_000, 9)).active_minutes_today, 0);
    script.role = Role::Api;
    assert_eq!(script.step(noon, part(1_000, 1)).active_minutes_today, 1);
    assert_eq!(script.step(noon, part(5_000, 5)).active_minutes_today, 1);
    // One burst of a file, or many keep-alives, are no activity.
    assert_eq!(script.step(at(MONDAY, 721), part(900_000, 1)).active_minutes_today, 1);
    assert_eq!(script.step(at(MONDAY, 722), part(1_999, 60)).active_minutes_today, 1);
    // The minute before, told late, still adds up.
    let late = |a: &mut Addition| {
        (a.minute, a.minute_payload, a.minute_bursts) = (at(MONDAY, 721).minute(), 1, 2)
    };
    assert_eq!(script.step(at(MONDAY, 723), late).active_minutes_today, 2);
    // The minute that the api flow completed is told in its row, and nowhere twice.
    let rows = script.inventory.snapshot();
    let minutes: Vec<(Role, u64)> = rows.iter().map(|(k, u)| (k.role, u.active_minutes)).collect();
    assert_eq!(minutes, [(Role::Console, 0), (Role::Api, 2), (Role::Widget, 0)]);
}

#[test]
fn a_widget_that_is_open_all_day_stays_a_glance() {
    for role in Role::ALL.into_iter().filter(|r| !counts(*r)) {
        let script = Script::new(ClientKind::Host, role);
        let mut last = None;
        for minute in 0..480 {
            last = Some(script.step(at(MONDAY, 540 + minute), |a| a.sent = 100_000));
        }
        let last = last.unwrap();
        assert_eq!((told(last), last.sent_today), (GLANCE, 48_000_000), "{role}");
        assert_eq!(script.usage().active_minutes, 0);
    }
    assert_eq!(Role::ALL.into_iter().filter(|r| counts(*r)).count(), 5);
}

#[test]
fn three_days_of_fourteen_are_a_use_of_a_host_alone() {
    for (kind, expected) in [
        (ClientKind::Host, (Engagement::Use, Some("use_days"))),
        (ClientKind::Unknown, GLANCE),
        (ClientKind::Shared, GLANCE),
    ] {
        let script = Script::new(kind, Role::Portal);
        for day in [0, 6] {
            assert_eq!(told(script.minutes(MONDAY + day, 1)), GLANCE);
        }
        assert_eq!(told(script.minutes(MONDAY + 13, 1)), expected, "{kind:?}");
    }
    let script = Script::new(ClientKind::Host, Role::Portal);
    for day in [0, 6, 14] {
        assert_eq!(told(script.minutes(MONDAY + day, 1)), GLANCE, "fifteen days are too many");
    }
    // A third day counts when something is done on it.
    let script = Script::new(ClientKind::Host, Role::Portal);
    script.minutes(MONDAY, 1);
    script.minutes(MONDAY + 1, 1);
    assert_eq!(told(script.step(at(MONDAY + 2, 1), |a| a.minute_bursts = 1)), GLANCE);
}

#[test]
fn five_megabytes_of_a_day_are_a_use_of_anybody() {
    for kind in [ClientKind::Host, ClientKind::Unknown, ClientKind::Shared] {
        let mut script = Script::new(kind, Role::Api);
        let send = |script: &Script, day, sent| {
            script
                .step(at(day, 600), |a| (a.sent, a.minute_payload, a.minute_bursts) = (sent, 0, 0))
        };
        assert_eq!(told(send(&script, MONDAY, 4_999_999)), GLANCE);
        assert_eq!(told(send(&script, MONDAY + 1, 4_999_999)), GLANCE);
        script.role = Role::Cdn;
        assert_eq!(told(send(&script, MONDAY + 1, 9_000_000)), GLANCE);
        script.role = Role::Console;
        let standing = send(&script, MONDAY + 1, 1);
        assert_eq!(told(standing), (Engagement::Use, Some("use_sent")));
        assert_eq!(standing.sent_today, 5_000_000);
    }
}

#[test]
fn megabytes_of_heartbeats_are_no_use() {
    let script = Script::new(ClientKind::Host, Role::Console);
    let beats = |a: &mut Addition| {
        (a.sent, a.minute_payload, a.minute_bursts, a.quiet) = (9_000_000, 0, 0, 8_000_000);
    };
    let standing = script.step(at(MONDAY, 600), beats);
    assert_eq!((told(standing), standing.sent_today), (GLANCE, 1_000_000));
    assert_eq!(script.usage().sent, 9_000_000, "the sum tells all");
}

#[test]
fn of_a_shared_address_minutes_make_no_use() {
    let script = Script::new(ClientKind::Shared, Role::Console);
    assert_eq!(told(script.minutes(MONDAY, 200)), VISIT);
    let script = Script::new(ClientKind::Unknown, Role::Console);
    assert_eq!(told(script.minutes(MONDAY, 10)), (Engagement::Use, Some("use_minutes")));
}

#[test]
fn an_ambiguous_name_needs_an_agent_companion_of_the_same_day() {
    let mut script = Script::new(ClientKind::Host, Role::Either);
    script.ambiguous = true;
    assert_eq!(told(script.minutes(MONDAY, 29)), VISIT);
    // The companion shows no tenant, and comes after all the rest.
    script.inventory.take_changed(usize::MAX);
    let tenant = script.tenant.take();
    (script.ambiguous, script.role) = (false, Role::Cdn);
    let agent = |a: &mut Addition| a.agent = true;
    script.step(at(MONDAY + 1, 1), agent);
    (script.ambiguous, script.role, script.tenant) = (true, Role::Either, tenant);
    assert_eq!(script.usage().engagement, Engagement::Visit, "that was the day after");
    (script.ambiguous, script.role, script.tenant) = (false, Role::Cdn, None);
    script.step(at(MONDAY, 600), agent);
    (script.ambiguous, script.role, script.tenant) = (true, Role::Either, tenant);
    assert_eq!(script.usage().engagement, Engagement::Use);
    let changed: Vec<Role> =
        script.inventory.take_changed(9).into_iter().map(|(k, _)| k.role).collect();
    assert_eq!(changed, [Role::Cdn, Role::Either]);
    assert_eq!(told(script.step(at(MONDAY, 601), |_| {})), (Engagement::Use, Some("use_minutes")));
    // Somebody else's companion says nothing.
    script.client = "c-2";
    assert_eq!(told(script.minutes(MONDAY, 29)), VISIT);
}

#[test]
fn an_ambiguous_name_is_a_use_after_thirty_minutes_on_three_days() {
    for (kind, minutes, expected) in [
        (ClientKind::Host, 30, (Engagement::Use, Some("ambiguous_minutes"))),
        (ClientKind::Host, 29, VISIT),
        (ClientKind::Unknown, 30, VISIT),
        (ClientKind::Shared, 30, VISIT),
    ] {
        let mut script = Script::new(kind, Role::Either);
        script.ambiguous = true;
        assert_eq!(told(script.minutes(MONDAY, minutes)), VISIT);
        assert_eq!(told(script.minutes(MONDAY + 1, minutes)), VISIT);
        assert_eq!(told(script.minutes(MONDAY + 4, minutes)), expected, "{kind:?} {minutes}");
    }
}

#[test]
fn an_ambiguous_volume_is_a_visit_and_clear_minutes_count_alone() {
    let mut script = Script::new(ClientKind::Host, Role::Either);
    script.ambiguous = true;
    let standing = script.step(at(MONDAY, 1), |a| a.sent = 6_000_000);
    assert_eq!(told(standing), (Engagement::Visit, Some("use_sent")));
    (script.ambiguous, script.role) = (false, Role::Console);
    assert_eq!(told(script.minutes(MONDAY, 9)), VISIT);
    assert_eq!(told(script.minutes(MONDAY, 10)), (Engagement::Use, Some("use_minutes")));
}

#[test]
fn the_last_minute_of_a_day_belongs_to_that_day() {
    let script = Script::new(ClientKind::Host, Role::Console);
    for minute in 1430..1439 {
        script.step(at(MONDAY, minute), |_| {});
    }
    let standing = script.step(at(MONDAY + 1, 0), |a| a.minute = at(MONDAY, 1439).minute());
    assert_eq!(told(standing), (Engagement::Use, Some("use_minutes")));
    assert_eq!(standing.active_minutes_today, 10);
    assert_eq!(told(script.step(at(MONDAY + 1, 1), |_| {})), GLANCE);
}

#[test]
fn what_comes_too_late_counts_in_totals_only() {
    let script = Script::new(ClientKind::Host, Role::Console);
    script.minutes(MONDAY, 20);
    let late = script.step(at(MONDAY, 560), |a| a.minute = at(MONDAY, 530).minute());
    assert_eq!(late.active_minutes_today, 20);
    assert_eq!(script.inventory.cells().get(Counter::Late), 1);
    for day in 1..=15 {
        script.minutes(MONDAY + day, 1);
    }
    assert_eq!(script.usage().days.len(), 15);
    script.step(at(MONDAY, 1), |a| (a.minute_payload, a.minute_bursts) = (0, 0));
    assert_eq!(script.inventory.cells().get(Counter::Late), 2);
    let usage = script.usage();
    assert_eq!((usage.days.len(), usage.sent), (15, 3_000 * 37));
    assert_eq!((usage.first, usage.last), (at(MONDAY, 1), at(MONDAY + 15, 540)));
}

#[test]
fn the_oldest_give_way_and_are_counted() {
    let options = Options { max_usages: 160, ..Options::default() };
    let script = Script {
        inventory: Inventory::new(&options),
        ..Script::new(ClientKind::Host, Role::Console)
    };
    let put = |i: u32| {
        let key = Key { client: format!("c-{i:04}").into(), ..script.key() };
        let addition = Addition {
            at: at(MONDAY, i),
            client_kind: ClientKind::Host,
            ambiguous: false,
            agent: false,
            deployment: Deployment::Cloud,
            flows: 1,
            sessions: 0,
            sent: 1,
            received: 1,
            minute: 0,
            minute_payload: 0,
            minute_bursts: 0,
            quiet: 0,
        };
        script.inventory.record(key, &addition);
        assert!(script.inventory.len() <= 160);
    };
    (0..1_000).for_each(put);
    let evicted = script.inventory.cells().get(Counter::Evicted);
    let held = script.inventory.len();
    assert_eq!(evicted + held as u64, 1_000);
    assert_eq!(script.inventory.cells().get(Counter::Held), held as u64);
    let left = script.inventory.snapshot();
    assert_eq!(left.len(), held);
    assert!((150..=160).contains(&held), "{held}");
    assert_eq!(&*left[0].0.client, format!("c-{:04}", 1_000 - held));
    // What is gone is not waiting to be saved either, and leaves no empty entry behind.
    assert_eq!(script.inventory.queue_len(), held);
    assert_eq!(script.inventory.persons_len(), held);
}

#[test]
fn too_many_tenants_of_a_vendor_are_one() {
    let options = Options { max_tenants_per_vendor: 3, ..Options::default() };
    let mut script = Script {
        inventory: Inventory::new(&options),
        ..Script::new(ClientKind::Host, Role::Console)
    };
    for tenant in ["a", "b", "c", "d", "e", "b"] {
        script.tenant = Some(tenant);
        script.minutes(MONDAY, 1);
    }
    let tenants: Vec<String> = script
        .inventory
        .snapshot()
        .iter()
        .map(|(k, u)| format!("{} {}", k.tenant.as_deref().unwrap(), u.sent))
        .collect();
    assert_eq!(tenants, ["a 3000", "b 6000", "c 3000", "other 6000"]);
    assert_eq!(script.inventory.cells().get(Counter::OtherTenant), 2);
}

#[test]
fn changes_are_taken_once_and_can_be_given_back() {
    let mut script = Script::new(ClientKind::Host, Role::Console);
    script.minutes(MONDAY, 3);
    script.role = Role::Api;
    script.minutes(MONDAY, 3);
    let taken = script.inventory.take_changed(1);
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].0.role, Role::Console);
    assert_eq!(script.inventory.take_changed(9).len(), 1);
    assert!(script.inventory.take_changed(9).is_empty());
    script.inventory.put_back(taken.iter().map(|(k, _)| k.clone()));
    script.inventory.put_back(taken.iter().map(|(k, _)| k.clone()));
    assert_eq!(script.inventory.take_changed(9), taken);
    script.step(at(MONDAY, 1), |_| {});
    assert_eq!(script.inventory.take_changed(9).len(), 1);
}

#[test]
fn what_was_saved_goes_on_where_it_was() {
    let mut script = Script::new(ClientKind::Host, Role::Either);
    script.ambiguous = true;
    script.minutes(MONDAY, 9);
    script.role = Role::Cdn;
    script.step(at(MONDAY, 1), |a| a.agent = true);
    let saved = serde_json::to_string(&script.inventory.snapshot()).unwrap();
    let again =
        Script { inventory: Inventory::new(&Options::default()), role: Role::Either, ..script };
    again.inventory.restore(serde_json::from_str(&saved).unwrap());
    assert_eq!(serde_json::to_string(&again.inventory.snapshot()).unwrap(), saved);
    assert!(again.inventory.take_changed(9).is_empty());
    let tenth = again.step(at(MONDAY, 700), |_| {});
    assert_eq!(told(tenth), (Engagement::Use, Some("use_minutes")));
    assert_eq!((tenth.before, tenth.first_flow), (Some(Engagement::Visit), false));
}

#[test]
fn the_same_additions_give_the_same_usages() {
    let run = || {
        let options = Options { max_usages: 100, max_tenants_per_vendor: 4, ..Options::default() };
        let inventory = Inventory::new(&options);
        let mut seed = 1_u32;
        let mut next = |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) % below
        };
        let mut told = Vec::new();
        for i in 0..3_000 {
            let at = at(MONDAY, i + next(3));
            let key = Key {
                group: "office".into(),
                client: format!("c-{}", next(3)).into(),
                vendor: "zendesk".into(),
                tenant: Some(format!("t-{}", next(6)).into()),
                role: Role::ALL[next(11) as usize],
            };
            let addition = Addition {
                at,
                client_kind: ClientKind::Host,
                ambiguous: next(2) == 0,
                agent: next(50) == 0,
                deployment: Deployment::Cloud,
                flows: 1,
                sessions: 0,
                sent: u64::from(next(1_000_000)),
                received: 0,
                minute: at.minute() - next(20),
                minute_payload: u64::from(next(4_000)),
                minute_bursts: next(6),
                quiet: 0,
            };
            told.push(inventory.record(key, &addition));
        }
        (told, inventory.snapshot(), inventory.take_changed(usize::MAX))
    };
    let once = run();
    assert_eq!(once, run());
    assert!(once.1.iter().any(|(_, u)| u.engagement == Engagement::Use));
    assert!(once.1.iter().any(|(_, u)| u.engagement == Engagement::Glance));
    assert!(once.1.windows(2).all(|w| w[0].0 < w[1].0));
}

#[test]
fn memory_follows_the_bound() {
    let options = Options::default();
    let half = Options { max_usages: options.max_usages / 2, ..Options::default() };
    assert_eq!(options.memory(), half.memory() * 2);
    assert!(options.memory() < 400 << 20, "{}", options.memory());
}

#[test]
fn what_is_too_old_becomes_a_sum_of_its_group_and_then_goes() {
    let inventory = Inventory::new(&Options::default());
    let day = |n: u64| Time::from_secs((20_000 + n) * 86_400);
    let key = |client: &str| Key {
        group: "sales".into(),
        client: client.into(),
        vendor: "zendesk".into(),
        tenant: Some("acme".into()),
        role: Role::Console,
    };
    let add = |client: &str, at: Time| {
        inventory.record(key(client), &Addition::first(at, 100, 1_000));
    };
    add("c-1", day(1));
    add("c-2", day(2));
    add("c-3", day(40));
    let rows = inventory.retire(day(30), day(0));
    let gone: Vec<_> = rows.iter().filter(|(_, usage)| usage.is_none()).collect();
    assert_eq!(gone.iter().map(|(k, _)| k).collect::<Vec<_>>(), [&key("c-1"), &key("c-2")]);
    let (sum, usage) = rows.last().unwrap();
    let usage = usage.as_ref().unwrap();
    assert_eq!((sum, usage.flows, usage.sent), (&key(PAST), 2, 200));
    assert_eq!((usage.first, usage.last), (day(1), day(2)));
    assert_eq!(inventory.len(), 2);
    assert_eq!(inventory.take_changed(9).len(), 1, "what is gone is not saved again");
    assert!(inventory.retire(day(30), day(0)).is_empty());
    // Once more: the sum grows, and what is too old even for it is dropped with it.
    let rows = inventory.retire(day(41), day(2));
    assert_eq!(rows.last().unwrap().1.as_ref().unwrap().flows, 3);
    let rows = inventory.retire(day(500), day(41));
    assert_eq!(rows, [(key(PAST), None)]);
    assert!(inventory.is_empty());
    assert_eq!(inventory.cells().get(Counter::Retired), 4);
    add("c-4", day(600));
    add("c-5", day(600));
    assert_eq!(inventory.forget(|client| client == "c-4"), [key("c-4")]);
    assert_eq!(inventory.len(), 1);
}
