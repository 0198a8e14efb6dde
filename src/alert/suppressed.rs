//! What was kept back, and why: of each contact that raised nothing the last reason, for whoever asks.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::finding::{FINDINGS, Finding, LOOKALIKE, Sighting};
use super::reason::{Reason, reason};
use crate::count::Cells;
use crate::signature::Role;
use crate::time::Time;

crate::rows! {
    /// What is counted of reasons.
    pub enum Counter {
        Held => Gauge "saastap_alert_suppressed_contacts" "Contacts of which it is known what kept findings back.",
        Evicted => Counter "saastap_alert_suppressed_evicted_total" "Contacts of which that was forgotten for want of room.",
    }
}

/// Written by the collector, read by the web.
pub struct Suppressed {
    held: Mutex<HashMap<Contact, Vec<Kept>>>,
    /// Findings of what lasts, by finding and cause or vendor: a few causes, and vendors of which days are kept.
    lasting: Mutex<BTreeMap<Lasting, (Time, Reason)>>,
    most: usize,
    cells: Arc<Cells<Counter>>,
}

/// A finding, and the cause or the vendor that it is about.
type Lasting = (&'static str, Arc<str>);

/// One finding that was not raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub finding: &'static str,
    pub role: Role,
    /// Of the last such sighting.
    pub at: Time,
    pub reason: Reason,
}

/// Who met what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contact {
    pub vendor: Arc<str>,
    pub tenant: Option<Arc<str>>,
    pub group: Arc<str>,
    pub client: Arc<str>,
}

impl Suppressed {
    /// Contacts of which it is known, and octets that they take at most: an entry for each finding.
    pub const MOST: usize = 10_000;
    pub const MEMORY: u64 = Self::MOST as u64 * (64 + FINDINGS_AT_MOST * size_of::<Kept>() as u64);

    pub fn new(most: usize) -> Self {
        Self { held: Mutex::default(), lasting: Mutex::default(), most, cells: Cells::new() }
    }

    pub const fn cells(&self) -> &Arc<Cells<Counter>> {
        &self.cells
    }

    /// All that is known, by contact.
    pub fn all(&self) -> Vec<(Contact, Vec<Kept>)> {
        let mut all: Vec<_> = self.held().iter().map(|(c, k)| (c.clone(), k.clone())).collect();
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// Findings of what lasts that were not raised: which, of what cause or vendor, when that was last looked at, and why.
    pub fn all_lasting(&self) -> Vec<(&'static str, Arc<str>, Time, Reason)> {
        let held = self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        let row = |((finding, about), (at, reason)): (&Lasting, &(Time, Reason))| {
            (*finding, about.clone(), *at, reason.clone())
        };
        held.iter().map(row).collect()
    }

    pub(super) fn lasting(&self, finding: &'static str, about: &str, at: Time, reason: Reason) {
        let mut held = self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert((finding, about.into()), (at, reason));
    }

    /// All that kept this finding back is looked at anew.
    pub(super) fn begin(&self, finding: &'static str) {
        let mut held = self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|(known, _), _| *known != finding);
    }

    /// Nothing keeps it back any more.
    pub(super) fn end(&self, finding: &'static str, about: &str) {
        let mut held = self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(&(finding, about.into()));
    }

    /// The condition of the finding was not met, or what is hardly certain met it.
    pub(super) fn judge(&self, finding: &'static Finding, seen: &Sighting<'_>, or: Option<Reason>) {
        if let Some(reason) = reason(finding, seen).or(or) {
            self.note(finding, seen, reason);
        }
    }

    /// The contact raises nothing by itself, whatever it meets.
    pub(super) fn hint(&self, seen: &Sighting<'_>) {
        for finding in FINDINGS {
            self.judge(finding, seen, Some(Reason::Hint));
        }
    }

    pub(super) fn note(&self, finding: &'static Finding, seen: &Sighting<'_>, reason: Reason) {
        // Who meets an imitation has not met the vendor.
        if !reason.is_near() || (seen.imitation.is_some() && finding.id != LOOKALIKE) {
            return;
        }
        let kept = Kept { finding: finding.id, role: seen.key.role, at: seen.at, reason };
        let contact = Contact::of(seen);
        let mut held = self.held();
        if let Some(known) = held.get_mut(&contact) {
            match known.iter_mut().find(|known| known.finding == kept.finding) {
                Some(known) => *known = kept,
                None => known.push(kept),
            }
            return;
        }
        if held.len() >= self.most {
            self.evict(&mut held);
        }
        held.insert(contact, vec![kept]);
        self.cells.set(Counter::Held, held.len() as u64);
    }

    /// The finding was raised: nothing keeps it back.
    pub(super) fn raised(&self, finding: &'static Finding, seen: &Sighting<'_>) {
        if let Some(known) = self.held().get_mut(&Contact::of(seen)) {
            known.retain(|known| known.finding != finding.id);
        }
    }

    /// Makes room: the half that was seen least lately goes, so that a flood of contacts costs each of them little.
    fn evict(&self, held: &mut HashMap<Contact, Vec<Kept>>) {
        let last = |kept: &Vec<Kept>| kept.iter().map(|k| k.at).max().unwrap_or(Time::ZERO);
        let before = held.len();
        let mut times: Vec<Time> = held.values().map(last).collect();
        let (_, middle, _) = times.select_nth_unstable(before / 2);
        let middle = *middle;
        held.retain(|_, kept| last(kept) > middle);
        self.cells.add(Counter::Evicted, (before - held.len()) as u64);
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Contact, Vec<Kept>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rows of the table of findings, with room for more.
const FINDINGS_AT_MOST: u64 = 16;

impl Contact {
    fn of(seen: &Sighting<'_>) -> Self {
        Self {
            vendor: seen.key.vendor.clone(),
            tenant: seen.key.tenant.clone(),
            group: seen.key.group.clone(),
            client: seen.key.client.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::alert::finding::tests::Sample;
    use crate::alert::finding::{FIRST_SEEN, UNSANCTIONED_USE};

    #[test]
    fn the_last_reason_counts_until_it_is_raised() {
        let table = Suppressed::new(10);
        let finding = Finding::by_id(UNSANCTIONED_USE).unwrap();
        let sample = Sample::new("gorgias", "helpdesk");
        table.judge(finding, &sample.sighting(), None);
        table.note(finding, &sample.sighting(), Reason::Full);
        table.note(Finding::by_id(FIRST_SEEN).unwrap(), &sample.sighting(), Reason::Known);
        table.note(Finding::by_id(LOOKALIKE).unwrap(), &sample.sighting(), Reason::NotApplicable);
        let all = table.all();
        let told: Vec<_> = all[0].1.iter().map(|k| (k.finding, k.reason.clone())).collect();
        assert_eq!(told, [(UNSANCTIONED_USE, Reason::Full), (FIRST_SEEN, Reason::Known)]);
        table.raised(finding, &sample.sighting());
        assert_eq!(table.all()[0].1.len(), 1);
    }

    #[test]
    fn a_flood_of_contacts_is_bounded_and_counted() {
        let table = Suppressed::new(100);
        let finding = Finding::by_id(UNSANCTIONED_USE).unwrap();
        for n in 0..10_000_u64 {
            let mut sample = Sample::new("gorgias", "helpdesk").client(&n.to_string());
            sample.at = sample.at.plus(Duration::from_secs(n / 3));
            table.judge(finding, &sample.sighting(), None);
            assert!(table.all().len() <= 100);
        }
        let left = table.all();
        assert!(left.iter().any(|(c, _)| &*c.client == "9999"), "the latest is there");
        assert_eq!(table.cells.get(Counter::Evicted) as usize + left.len(), 10_000);
    }
}
