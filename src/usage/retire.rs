//! What is too old to be kept of one client: folded into the sum of its group, and later gone as well.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::inventory::{Counter, Inventory};
use super::{Key, Usage};
use crate::identity::ClientKind;
use crate::time::Time;

/// Stands for all clients of a group whose own usage was too old to be kept.
pub const PAST: &str = "past";

impl Inventory {
    /// Folds usages that ended before `clients` into one of their group, vendor, tenant and role, whose client is
    /// [`PAST`]; and drops such sums that ended before `sums`. The answer is rows for the store: what is gone, and the sums.
    pub fn retire(&self, clients: Time, sums: Time) -> Vec<(Key, Option<Usage>)> {
        let (mut gone, mut grown) = (BTreeSet::new(), BTreeSet::new());
        for (key, usage) in self.snapshot() {
            let is_sum = &*key.client == PAST;
            if usage.last >= if is_sum { sums } else { clients } {
                continue;
            }
            if !is_sum {
                let sum = Key { client: Arc::from(PAST), ..key.clone() };
                if usage.last >= sums {
                    self.fold(&sum, usage);
                    grown.insert(sum);
                }
            }
            gone.insert(key);
        }
        self.drop_all(&gone);
        self.cells().add(Counter::Retired, gone.len() as u64);
        let grown = grown.into_iter().filter_map(|key| {
            let usage = self.get(&key)?;
            Some((key, Some(usage)))
        });
        let grown: Vec<_> = grown.collect();
        gone.into_iter().map(|key| (key, None)).chain(grown).collect()
    }

    /// Forgets all usages of a client, live or saved: their keys.
    pub fn forget(&self, is_client: impl Fn(&str) -> bool) -> Vec<Key> {
        let all = self.snapshot().into_iter().map(|(key, _)| key);
        let gone: BTreeSet<Key> = all.filter(|key| is_client(&key.client)).collect();
        self.drop_all(&gone);
        gone.into_iter().collect()
    }

    fn fold(&self, key: &Key, mut usage: Usage) {
        usage.kind = ClientKind::Shared;
        usage.days.clear();
        if let Some(sum) = self.get(key) {
            usage.deployment = usage.deployment.and(sum.deployment);
            usage.flows = usage.flows.saturating_add(sum.flows);
            usage.sessions = usage.sessions.saturating_add(sum.sessions);
            usage.sent = usage.sent.saturating_add(sum.sent);
            usage.received = usage.received.saturating_add(sum.received);
            usage.active_minutes = usage.active_minutes.saturating_add(sum.active_minutes);
            usage.first = usage.first.min(sum.first);
            usage.last = usage.last.max(sum.last);
            usage.engagement = usage.engagement.max(sum.engagement);
        }
        self.restore(vec![(key.clone(), usage)]);
    }
}
