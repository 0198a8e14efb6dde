//! Usage over time as the store has it: roll-ups of hours that are over, rows of those that are not, and the state that the policy
//! in force gives them now.

use std::collections::BTreeMap;
use std::path::Path;

use super::rules::Rules;
use crate::export::web::{HistoryQuery, HistoryRow, MAX_STEPS};
use crate::policy::{Contact, Relation, State};
use crate::signature::{Deployment, Role};
use crate::store::{Rollup, RollupSum, Store, UsageKey};
use crate::usage::{HourUsage, beginning, hour_of};

/// Rows by time, vendor and state.
///
/// # Errors
/// The store cannot be read, or more is asked for than is told at once: in words for a person.
pub fn history(
    database: &Path,
    rules: &Rules,
    query: &HistoryQuery,
) -> Result<Vec<HistoryRow>, String> {
    let store = Store::read_only(database).map_err(|error| error.to_string())?;
    let open = store.hours().map_err(|error| error.to_string())?;
    let last = store.last_rollup().map_err(|error| error.to_string())?;
    let last = last.max(open.iter().map(|(hour, ..)| *hour).max());
    let Some((from, until)) = span(query, last)? else { return Ok(Vec::new()) };
    let vendor = query.vendor.as_deref();
    let mut places = store.rollups(from, until, vendor).map_err(|error| error.to_string())?;
    places.extend(of_clients(&open).into_iter().filter(|place| {
        (from..until).contains(&place.hour) && vendor.is_none_or(|vendor| vendor == place.vendor)
    }));
    Ok(rows(&places, query.by.hours(), rules))
}

/// The hours that are asked for, in whole steps.
fn span(query: &HistoryQuery, last: Option<u32>) -> Result<Option<(u32, u32)>, String> {
    let step = query.by.hours();
    let end = query.until.map(|until| hour_of(until.minus(MOMENT)).saturating_add(1));
    let Some(end) = end.or(last.map(|last| last.saturating_add(1))) else { return Ok(None) };
    let until = end.div_ceil(step).saturating_mul(step);
    let usual = until.saturating_sub(query.by.usual() * step);
    let from = query.from.map_or(usual, |from| hour_of(from) / step * step);
    let steps = until.saturating_sub(from) / step;
    if steps > MAX_STEPS {
        return Err(format!(
            "{steps} rows in time are asked for, and {MAX_STEPS} are told at once\n  mend: ask for a shorter time, or by day"
        ));
    }
    Ok((steps > 0).then_some((from, until)))
}

/// Rows of hours that are not over, each a place of its own. A client counts where it has sent most so far.
fn of_clients(open: &[(u32, UsageKey, String)]) -> Vec<Rollup> {
    let mut leads = BTreeMap::new();
    let mut places = Vec::with_capacity(open.len());
    for (hour, key, value) in open {
        let Ok(usage) = serde_json::from_str::<HourUsage>(value) else { continue };
        let lead = leads.entry((hour, &key.group, &key.client, &key.vendor)).or_insert((0, None));
        if lead.1.is_none() || usage.sent > lead.0 {
            *lead = (usage.sent, Some(places.len()));
        }
        places.push(Rollup {
            hour: *hour,
            group: key.group.clone(),
            vendor: key.vendor.clone(),
            tenant: key.tenant.clone(),
            role: key.role.clone(),
            deployment: usage.deployment.name().to_owned(),
            sum: RollupSum {
                clients: 0,
                flows: usage.flows,
                sessions: usage.sessions,
                sent: usage.sent,
                received: usage.received,
                active_minutes: usage.active_minutes.into(),
            },
        });
    }
    for lead in leads.into_values().filter_map(|(_, at)| at) {
        if let Some(place) = places.get_mut(lead) {
            place.sum.clients = 1;
        }
    }
    places
}

fn rows(places: &[Rollup], step: u32, rules: &Rules) -> Vec<HistoryRow> {
    let mut hours: BTreeMap<(u32, &str, State), RollupSum> = BTreeMap::new();
    for place in places {
        let sum = hours.entry((place.hour, &*place.vendor, state(place, rules))).or_default();
        let clients = sum.clients.saturating_add(place.sum.clients);
        *sum = RollupSum { clients, ..added(*sum, place.sum) };
    }
    let mut steps: BTreeMap<(u32, &str, State), RollupSum> = BTreeMap::new();
    for ((hour, vendor, state), of_hour) in hours {
        let sum = steps.entry((hour / step * step, vendor, state)).or_default();
        let clients = sum.clients.max(of_hour.clients);
        *sum = RollupSum { clients, ..added(*sum, of_hour) };
    }
    let row = |((hour, id, state), sum): ((u32, &str, State), RollupSum)| HistoryRow {
        from: beginning(hour),
        vendor: id.to_owned(),
        vendor_name: rules.catalog.vendor(id).map_or(id, |vendor| &vendor.name).to_owned(),
        state: state.name().to_owned(),
        clients: sum.clients,
        flows: sum.flows,
        sessions: sum.sessions,
        sent: sum.sent,
        received: sum.received,
        active_minutes: sum.active_minutes,
    };
    steps.into_iter().map(row).collect()
}

/// All but clients.
fn added(a: RollupSum, b: RollupSum) -> RollupSum {
    RollupSum {
        clients: 0,
        flows: a.flows.saturating_add(b.flows),
        sessions: a.sessions.saturating_add(b.sessions),
        sent: a.sent.saturating_add(b.sent),
        received: a.received.saturating_add(b.received),
        active_minutes: a.active_minutes.saturating_add(b.active_minutes),
    }
}

/// What the policy in force says of it, as if it were new.
fn state(place: &Rollup, rules: &Rules) -> State {
    let Some(vendor) = rules.catalog.vendor(&place.vendor) else { return State::Unreviewed };
    let tenant = Some(&*place.tenant).filter(|tenant| !tenant.is_empty());
    let role = Role::ALL.into_iter().find(|role| role.name() == place.role);
    let deployments = [Deployment::Cloud, Deployment::OnPremise, Deployment::Both];
    let deployment = deployments.into_iter().find(|d| d.name() == place.deployment);
    let (Some(role), Some(deployment)) = (role, deployment) else { return State::Unreviewed };
    let relation: Relation = rules.policy.relation(&vendor.id, tenant);
    let (group, at) = (&*place.group, beginning(place.hour));
    let contact = Contact { vendor, tenant, role, relation, deployment, group, at };
    rules.policy.decide(&contact).state
}

/// The end of a span is its first moment that is no longer in it.
const MOMENT: std::time::Duration = std::time::Duration::from_nanos(1);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::export::web::Step;
    use crate::identity::ClientKind;
    use crate::store::Batch;
    use crate::time::Time;
    use crate::usage::Engagement;

    /// The first hour of 2026-11-02.
    const MIDNIGHT: u32 = 498_216;

    fn rollup(hour: u32, vendor: &str, tenant: &str, clients: u64, sent: u64) -> Rollup {
        Rollup {
            hour: MIDNIGHT + hour,
            group: "office".into(),
            vendor: vendor.into(),
            tenant: tenant.into(),
            role: "console".into(),
            deployment: "cloud".into(),
            sum: RollupSum { clients, sent, flows: 1, ..RollupSum::default() },
        }
    }

    /// A client in an hour that is not over.
    fn open(hour: u32, role: &str, sent: u64) -> (u32, UsageKey, Option<String>) {
        let key = UsageKey {
            group: "office".into(),
            client: "c-1".into(),
            vendor: "zendesk".into(),
            tenant: "acme".into(),
            role: role.into(),
        };
        let usage = HourUsage {
            kind: ClientKind::Host,
            deployment: Deployment::Cloud,
            flows: 1,
            sessions: 0,
            sent,
            received: 0,
            active_minutes: 1,
            first: Time::ZERO,
            last: Time::ZERO,
            engagement: Engagement::Glance,
        };
        (MIDNIGHT + hour, key, serde_json::to_string(&usage).ok())
    }

    struct Bench {
        folder: tempfile::TempDir,
        rules: Rules,
    }

    impl Bench {
        fn new(rollups: Vec<Rollup>, hours: Vec<(u32, UsageKey, Option<String>)>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut store = Store::open(&folder.path().join("a.db")).unwrap().0;
            store.commit(&[Batch { rollups, hours, ..Batch::default() }]).unwrap();
            let text = "[own]\ntenants = { zendesk = ['acme'] }\n[[policy]]\nvendor = 'zendesk'\n\
                        relation = 'own'\nstate = 'sanctioned'\n";
            let rules = Rules::load(&Config::parse("x.toml", text.into()).unwrap()).unwrap();
            Self { folder, rules }
        }

        fn ask(&self, query: &HistoryQuery) -> Result<Vec<HistoryRow>, String> {
            history(&self.folder.path().join("a.db"), &self.rules, query)
        }

        /// Hours since midnight, vendor, state, clients, octets sent.
        fn rows(&self, query: &HistoryQuery) -> Vec<(u32, String, String, u64, u64)> {
            let row =
                |r: HistoryRow| (hour_of(r.from) - MIDNIGHT, r.vendor, r.state, r.clients, r.sent);
            self.ask(query).unwrap().into_iter().map(row).collect()
        }
    }

    fn told(
        hour: u32,
        vendor: &str,
        state: &str,
        clients: u64,
        sent: u64,
    ) -> (u32, String, String, u64, u64) {
        (hour, vendor.into(), state.into(), clients, sent)
    }

    #[test]
    fn hours_and_days_are_told_by_vendor_and_state() {
        let bench = Bench::new(
            vec![
                rollup(8, "zendesk", "acme", 3, 10),
                rollup(8, "zendesk", "other", 1, 5),
                rollup(9, "zendesk", "acme", 7, 10),
                rollup(9, "kustomer", "", 1, 1),
            ],
            vec![open(10, "console", 20), open(10, "api", 4)],
        );
        let own = |hour, clients, sent| told(hour, "zendesk", "sanctioned", clients, sent);
        let foreign = |hour| told(hour, "zendesk", "unreviewed", 1, 5);
        let other = |hour| told(hour, "kustomer", "unreviewed", 1, 1);
        let by_hour = HistoryQuery::default();
        let rows = bench.rows(&by_hour);
        assert_eq!(rows.len(), 5);
        for row in [own(8, 3, 10), foreign(8), own(9, 7, 10), other(9), own(10, 1, 24)] {
            assert!(rows.contains(&row), "{row:?} is not in {rows:?}");
        }
        let by_day = HistoryQuery { by: Step::Day, ..by_hour.clone() };
        let mut rows = bench.rows(&by_day);
        rows.sort();
        assert_eq!(rows, [other(0), own(0, 7, 44), foreign(0)], "clients of the busiest hour");
        let one = HistoryQuery { vendor: Some("kustomer".into()), ..by_hour };
        assert_eq!(bench.rows(&one), [other(9)]);
        let at = |hour: u32| Some(beginning(MIDNIGHT + hour));
        let part = HistoryQuery { from: at(9), until: at(10), ..by_hour.clone() };
        assert!(bench.rows(&part).iter().all(|row| row.0 == 9));
        let late = at(9).map(|at| at.plus(Duration::from_secs(1)));
        let within = HistoryQuery { from: at(9), until: late, ..by_hour.clone() };
        assert_eq!(bench.rows(&within), bench.rows(&part), "whole hours");
        let none = HistoryQuery { from: at(10), until: at(9), ..by_hour };
        assert!(bench.rows(&none).is_empty());
    }

    #[test]
    fn too_long_a_time_is_refused_and_nothing_is_no_mistake() {
        let bench = Bench::new(vec![rollup(8, "zendesk", "acme", 1, 1)], Vec::new());
        let query = HistoryQuery { from: Some(Time::ZERO), ..HistoryQuery::default() };
        let refused = bench.ask(&query).unwrap_err();
        assert!(refused.contains("1000 are told at once\n  mend: "), "{refused}");
        let empty = Bench::new(Vec::new(), Vec::new());
        assert!(empty.rows(&HistoryQuery::default()).is_empty());
        assert!(empty.rows(&query).is_empty());
        let missing = history(Path::new("/none/a.db"), &empty.rules, &query);
        assert!(missing.unwrap_err().starts_with("store: "));
    }
}
