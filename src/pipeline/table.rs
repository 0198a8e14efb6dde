//! The usage table as people read it: rows over clients, with the state that the policy in force gives them now.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::rules::Rules;
use crate::export::UsageRow;
use crate::policy::{Contact, Relation, SMALL, State};
use crate::signature::{Deployment, Role};
use crate::time::Time;
use crate::usage::{Crowds, Engagement, Key, PAST, Usage, counts};

/// Rows of one vendor, tenant, role and group each: what needs a look first, bystanders' roles last, then by octets sent.
/// Groups that `crowds` does not name are one.
pub fn usage_rows(usages: &[(Key, Usage)], rules: &Rules, crowds: &Crowds) -> Vec<UsageRow> {
    let mut rows: BTreeMap<Place, Row> = BTreeMap::new();
    for (key, usage) in usages {
        let place = (key.vendor.clone(), key.tenant.clone(), key.role, key.group.clone());
        rows.entry(place).or_default().add(key, usage);
    }
    let mut rows: Vec<UsageRow> = rows
        .into_iter()
        .filter_map(|((vendor, tenant, role, group), row)| {
            let vendor = rules.catalog.vendor(&vendor)?;
            // What older versions saved does not say it.
            let deployment = row.deployment.unwrap_or(vendor.deployment);
            let relation = rules.policy.relation(&vendor.id, tenant.as_deref());
            let decision = rules.policy.decide(&Contact {
                vendor,
                tenant: tenant.as_deref(),
                role,
                relation,
                deployment,
                group: &group,
                at: row.last,
            });
            Some(UsageRow {
                vendor: vendor.id.to_string(),
                vendor_name: vendor.name.to_string(),
                tenant: tenant.as_deref().map(str::to_owned),
                relation: shown_relation(relation, role, row.engagement).to_owned(),
                role: role.name().to_owned(),
                deployment: deployment.name().to_owned(),
                group: group.to_string(),
                clients: row.clients.len() as u64,
                engagement: row.engagement.name().to_owned(),
                state: decision.state.name().to_owned(),
                flows: row.flows,
                sessions: row.sessions,
                sent: row.sent,
                received: row.received,
                active_minutes: row.active_minutes,
                first_seen: row.first,
                last_seen: row.last,
            })
        })
        .collect();
    veil(&mut rows, crowds);
    rows.sort_by_cached_key(|row| (weight(row), Reverse(row.sent), row.vendor.clone()));
    rows
}

/// Takes the names of small groups away: rows that then say the same become one.
fn veil(rows: &mut Vec<UsageRow>, crowds: &Crowds) {
    let mut small: BTreeMap<_, UsageRow> = BTreeMap::new();
    rows.retain_mut(|row| {
        if !crowds.is_small(&row.group) {
            return true;
        }
        row.group = SMALL.to_owned();
        let UsageRow { vendor, tenant, role, deployment, relation, state, .. } = row.clone();
        let (level, place) = (depth(row), (vendor, tenant, role, deployment, relation, state));
        match small.get_mut(&place) {
            None => {
                small.insert(place, row.clone());
            }
            Some(sum) => {
                if level > depth(sum) {
                    sum.engagement.clone_from(&row.engagement);
                }
                sum.clients += row.clients;
                sum.flows += row.flows;
                sum.sessions += row.sessions;
                sum.sent += row.sent;
                sum.received += row.received;
                sum.active_minutes += row.active_minutes;
                sum.first_seen = sum.first_seen.min(row.first_seen);
                sum.last_seen = sum.last_seen.max(row.last_seen);
            }
        }
        false
    });
    rows.extend(small.into_values());
}

fn depth(row: &UsageRow) -> usize {
    let levels = [Engagement::Glance, Engagement::Visit, Engagement::Use];
    levels.iter().position(|level| level.name() == row.engagement).unwrap_or_default()
}

/// Lower stands higher: unsanctioned use before unreviewed, that before what is allowed; roles that make no use at the end.
fn weight(row: &UsageRow) -> (bool, usize) {
    let bystander = Role::ALL.iter().any(|r| r.name() == row.role && !counts(*r));
    let order = [State::Unsanctioned, State::Unreviewed, State::Tolerated, State::Sanctioned];
    let state = order.iter().position(|s| s.name() == row.state);
    (bystander, state.unwrap_or(order.len()))
}

/// Vendor id, tenant, role, group.
type Place = (Arc<str>, Option<Arc<str>>, Role, Arc<str>);

struct Row {
    clients: BTreeSet<Arc<str>>,
    deployment: Option<Deployment>,
    engagement: Engagement,
    flows: u64,
    sessions: u64,
    sent: u64,
    received: u64,
    active_minutes: u64,
    first: Time,
    last: Time,
}

impl Default for Row {
    fn default() -> Self {
        Self {
            clients: BTreeSet::new(),
            deployment: None,
            engagement: Engagement::Glance,
            flows: 0,
            sessions: 0,
            sent: 0,
            received: 0,
            active_minutes: 0,
            first: Time::MAX,
            last: Time::ZERO,
        }
    }
}

impl Row {
    fn add(&mut self, key: &Key, usage: &Usage) {
        if &*key.client != PAST {
            self.clients.insert(key.client.clone());
        }
        let before = self.deployment.unwrap_or(usage.deployment);
        self.deployment = Some(before.and(usage.deployment));
        self.engagement = self.engagement.max(usage.engagement);
        self.flows += usage.flows;
        self.sessions += usage.sessions;
        self.sent += usage.sent;
        self.received += usage.received;
        self.active_minutes += usage.active_minutes;
        self.first = self.first.min(usage.first);
        self.last = self.last.max(usage.last);
    }
}

/// Whose tenant it is, with the word for a foreign one that is met as its customers meet it.
const fn shown_relation(relation: Relation, role: Role, engagement: Engagement) -> &'static str {
    match (relation, role, engagement) {
        (
            Relation::Foreign,
            Role::Portal | Role::Either,
            Engagement::Glance | Engagement::Visit,
        ) => "supplier",
        _ => relation.name(),
    }
}
