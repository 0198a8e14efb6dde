//! The collector: takes the updates of all workers in one order, names the vendor, applies policy, counts usage and raises
//! findings. Plain maps and no I/O; it alone writes what crosses flows.

mod contact;
mod imitation;
mod learn;
mod unnamed;

use std::sync::Arc;

use self::imitation::Honest;
use super::coverage::Seen;
use super::judge::{Judged, judge};
use super::name::Name;
use super::premises::{Premises, declared, name_of};
use super::record::{FlowLine, Record};
use super::rules::{InForce, Rules};
use super::update::{Ended, Sight, Update, What};
use crate::alert::{Cases, Raised};
use crate::count::Cells;
use crate::decode::{Endpoint, Transport};
use crate::export::UsageMetrics;
use crate::export::web::InsideServers;
use crate::flow::{self, Delta, Ends};
use crate::identity::names::{self, Names};
use crate::identity::remembered::{Place, Remembered};
use crate::identity::{CanaryRow, ClientKind, Ech, Identity, Privacy, VantageKind};
use crate::policy::NeverCounter;
use crate::signature::{Confidence, Verdict};
use crate::time::Time;
use crate::usage::{Hours, Inventory, Visibility};

pub struct Collector {
    rules: Arc<InForce>,
    /// The snapshot of this batch.
    now_in_force: Arc<Rules>,
    identity: Identity,
    pub names: Names,
    pub remembered: Remembered,
    pub inventory: Arc<Inventory>,
    /// Kept where somebody tells them.
    pub hours: Option<Hours>,
    metrics: Arc<UsageMetrics>,
    pub cases: Cases,
    honest: Honest,
    /// By worker and slot.
    flows: Vec<Vec<Option<Box<Record>>>>,
    flow_options: flow::Options,
    keep_lines: bool,
    pub lines: Vec<FlowLine>,
    /// What is to be said, until the store has taken it.
    pub raised: Vec<Raised>,
    pub seen: Seen,
    pub premises: Premises,
    never: Arc<Cells<NeverCounter>>,
}

/// What the collector is made of.
pub struct Parts {
    pub rules: Arc<InForce>,
    pub identity: Identity,
    pub names: Names,
    pub remembered: Remembered,
    pub inventory: Arc<Inventory>,
    pub metrics: Arc<UsageMetrics>,
    pub cases: Cases,
    pub premises: Premises,
    pub never: Arc<Cells<NeverCounter>>,
    pub workers: usize,
    /// They say which networks are inside.
    pub flow: flow::Options,
    /// Flows are told one by one in `lines`.
    pub keep_lines: bool,
}

impl Collector {
    pub fn new(parts: Parts) -> Self {
        Self {
            now_in_force: parts.rules.load(),
            rules: parts.rules,
            identity: parts.identity,
            names: parts.names,
            remembered: parts.remembered,
            inventory: parts.inventory,
            hours: None,
            seen: Seen::new(parts.metrics.clone()),
            metrics: parts.metrics,
            cases: parts.cases,
            honest: Honest::default(),
            premises: parts.premises,
            never: parts.never,
            flows: (0..parts.workers).map(|_| Vec::new()).collect(),
            flow_options: parts.flow,
            keep_lines: parts.keep_lines,
            lines: Vec::new(),
            raised: Vec::new(),
        }
    }

    /// Where the rules are that it follows.
    pub const fn rules(&self) -> &Arc<InForce> {
        &self.rules
    }

    /// Takes the rules in force; once before each batch.
    pub fn begin_batch(&mut self) {
        let rules = self.rules.load();
        if !Arc::ptr_eq(&rules, &self.now_in_force) {
            self.cases.versions(rules.catalog.version(), &rules.policy_version);
            self.honest = Honest::default();
            self.now_in_force = rules;
        }
    }

    /// Whether encrypted DNS is permitted here, by the names that ask for it.
    pub fn canary_rows(&self) -> Vec<CanaryRow> {
        self.identity.canaries.rows()
    }

    /// What DHCP and DNS taught and what flows were since the last call, at most `limit` rows, of which none of the three takes all.
    /// Addresses of machines inside would tell clients by their names: unless clients are shown by their address, only those
    /// outside are kept.
    pub fn changed_names(&mut self, limit: usize) -> Vec<names::Row> {
        let rules = self.now_in_force.clone();
        let plain = self.identity.privacy() == Privacy::Address;
        let at = self.seen.clock();
        let flow_options = &self.flow_options;
        let mut rows = self.identity.lease_rows(limit.div_ceil(3));
        let share = (limit - limit / 3).saturating_sub(rows.len());
        rows.extend(self.names.take_changed(share, at, |address| {
            let inside = names::is_inside(address) || flow_options.is_local(address);
            let ours = rules.policy.is_grouped(address) || rules.leases.has(address);
            plain || !(inside || ours)
        }));
        rows.extend(self.remembered.take_changed(limit.saturating_sub(rows.len())));
        rows
    }

    /// What clients outside reached inside, with servers shown as clients are.
    pub fn inside_servers(&self) -> InsideServers {
        self.premises.told(|ip| self.identity.client(ip, ClientKind::Host).id.to_string())
    }

    /// Takes rows back, and says how many of them could not be read.
    pub fn restore_names(&mut self, rows: Vec<(String, String)>) -> usize {
        let (remembered, rows): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|(key, _)| Remembered::owns(key));
        let (leases, names): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|(key, _)| Identity::is_lease_row(key));
        let unread = self.remembered.restore(remembered) + self.names.restore(names);
        unread + self.identity.restore_leases(leases)
    }

    /// Takes one update of `worker`.
    pub fn take(&mut self, worker: usize, update: Update) {
        self.seen.advance(update.at);
        let Update { at, slot, id, what, .. } = update;
        let mut record = match what {
            What::Tick => {
                self.cases.tick(at, &mut self.raised);
                self.names.tell(at);
                return;
            }
            What::Residue(delta) => {
                let bytes = delta.sent.bytes + delta.received.bytes;
                self.seen.add(Visibility::Overload, 0, bytes);
                return;
            }
            What::Evidence(ref both) => self.open(worker, slot, id, both.0),
            What::Counts(ref interim) => self.open(worker, slot, id, interim.ends),
            What::Ended(ref ended) => self.open(worker, slot, id, ended.ends),
        };
        match what {
            What::Evidence(both) => {
                let (ends, evidence) = *both;
                self.learn(&mut record, ends, evidence, at);
                self.keep(worker, slot, record);
            }
            What::Counts(interim) => {
                self.name_by_others(&mut record, interim.sight, interim.start, at);
                self.name_by_server(&mut record, at);
                self.count(&mut record, &interim.delta, at);
                self.keep(worker, slot, record);
            }
            What::Ended(ended) => self.end(&mut record, &ended),
            What::Tick | What::Residue(_) => {}
        }
    }

    fn open(&mut self, worker: usize, slot: u32, id: u64, ends: Ends) -> Box<Record> {
        let known = self
            .flows
            .get_mut(worker)
            .and_then(|slots| slots.get_mut(slot as usize))
            .and_then(Option::take);
        match known {
            Some(record) if record.id == id => record,
            known => {
                if let Some(lost) = known {
                    // Its end was never told: the worker had to drop it while nobody could listen.
                    let pending = lost.pending();
                    let bytes = pending.sent.bytes + pending.received.bytes;
                    self.seen.add(Visibility::Overload, 1, bytes);
                }
                self.seen.client(ends.client.ip);
                let mut record = Record::new(id, ends);
                record.never = self.is_never(ends);
                Box::new(record)
            }
        }
    }

    fn keep(&mut self, worker: usize, slot: u32, record: Box<Record>) {
        let Some(slots) = self.flows.get_mut(worker) else { return };
        if slots.len() <= slot as usize {
            slots.resize_with(slot as usize + 1, || None);
        }
        if let Some(place) = slots.get_mut(slot as usize) {
            *place = Some(record);
        }
    }

    /// A flow has got a name: it decides whose the flow is, unless a better one has decided already.
    fn name(&mut self, record: &mut Record, ends: Ends, name: Name, at: Time) {
        if record.contact.as_ref().is_some_and(|c| c.name == name) {
            return;
        }
        let judged = judge(&self.now_in_force, &self.names, &name.name, at);
        self.named(record, ends, name, judged, at);
    }

    /// The same for what is no host name.
    fn claimed(
        &mut self,
        record: &mut Record,
        ends: Ends,
        name: Name,
        verdict: Option<Verdict>,
        at: Time,
    ) {
        let policy = &self.now_in_force.policy;
        let judged = verdict.map(|verdict| Judged {
            relation: policy.relation(&verdict.vendor.id, verdict.tenant.as_deref()),
            chain: Vec::new(),
            verdict,
        });
        self.named(record, ends, name, judged, at);
    }

    fn named(
        &mut self,
        record: &mut Record,
        ends: Ends,
        name: Name,
        judged: Option<Judged>,
        at: Time,
    ) {
        let named_before = record.is_named();
        let pending = record.pending();
        let decides = record.rises_to(name.via);
        if record.contact.is_some() && !decides {
            return;
        }
        // What nobody's signature knows is what it was declared to be.
        let declared = || declared(&self.now_in_force, ends.server, record.speaks_web());
        let judged = judged.or_else(declared);
        let never = self.is_never(ends) || self.names_never(&name, judged.as_ref());
        if record.never && !never && !decides {
            // What names it better is not to be recorded.
            return;
        }
        record.never = never;
        record.left_out = if never { Some(Visibility::Excluded) } else { self.left_out(ends) };
        let mut judged = judged.filter(|_| record.left_out.is_none());
        if let Some(judged) = judged.as_mut().filter(|_| record.ech == Ech::Real) {
            // What the client asked for is not what it must have meant here.
            judged.verdict.confidence = Confidence::Low;
        }
        let contact = judged.map(|judged| self.contact(&name, judged, ends, at));
        let counts = record.left_out.is_none() && !self.is_passed_on(ends);
        // An address names nobody later on, and the store must not hold one of ours.
        let lasts = name.via.is_handshake() && !name.is_address();
        if lasts && counts && ends.transport == Transport::Tcp {
            let place = self.place(ends);
            let owner = contact.as_ref().map(|contact| contact.owner()).unwrap_or_default();
            self.remembered.learn(place, &owner, &name.name, at);
        }
        let product = record.contact.as_ref().is_some_and(|c| c.name.via.is_product());
        if contact.is_some() || (decides && !product) {
            // A later Host owns what follows; a name of nobody's signature takes a flow away from the vendor before it, unless
            // that was found by the product itself.
            record.contact = contact;
            let counted = record.left_out.is_none();
            let unclaimed = record.contact.is_none() && counted;
            record.candidate = if unclaimed { self.seen.candidate(&name.name) } else { None };
            let claim = record.contact.as_ref().map(|c| (c.relation, c.verdict.tenant.clone()));
            record.imitation = if counted { self.imitation(&name, claim, ends, at) } else { None };
        }
        if record.contact.is_some() {
            self.use_contact(record, &pending, at);
        }
        if !named_before {
            self.see_named(record, &pending);
        }
    }

    /// A flow that nothing else names, to a server that is declared as ours.
    fn name_by_server(&mut self, record: &mut Record, at: Time) {
        let ends = record.ends;
        if record.is_named() {
            return;
        }
        let judged = declared(&self.now_in_force, ends.server, record.speaks_web());
        let Some(judged) = judged else { return };
        let name = name_of(&judged);
        let name = record.name(name.via, &name.name, self.keep_lines);
        self.named(record, ends, name, Some(judged), at);
    }

    fn place(&self, ends: Ends) -> Place {
        let (client, server) = (ends.client.ip.ip(), ends.server.ip.ip());
        self.identity.place(client, server, ends.server.port)
    }

    fn count(&mut self, record: &mut Record, delta: &Delta, at: Time) {
        record.add(delta);
        if record.received.bytes > 0 {
            self.tell_imitation(record, true, at);
        }
        record.pulse.take(delta, at, record.ends.transport, self.inventory.options());
        if record.is_named() {
            self.see_named(record, delta);
            self.use_contact(record, delta, at);
        }
    }

    fn end(&mut self, record: &mut Record, ended: &Ended) {
        record.ends = ended.ends;
        // What never carried payload was no use of anything.
        if ended.sight != Sight::Empty {
            self.name_by_others(record, ended.sight, ended.start, ended.last);
            self.name_by_server(record, ended.last);
        }
        self.count(record, &ended.delta, ended.last);
        self.tell_imitation(record, false, ended.last);
        if record.never {
            self.never.add(NeverCounter::Flows, 1);
        }
        let seen = if record.never {
            Visibility::Excluded
        } else if record.is_named() {
            record.named_as()
        } else {
            self.left_out(ended.ends).unwrap_or_else(|| record.unnamed_as(ended.sight))
        };
        let pending = record.pending();
        self.seen.add(seen, 1, pending.sent.bytes + pending.received.bytes);
        let answered = ended.sight != Sight::Empty && record.received() > 0;
        if answered
            && !record.never
            && record.left_out.is_none()
            && self.premises.comes_in(record.ends)
        {
            let unknown = record.contact.is_none() && record.speaks_web();
            self.premises.came_in(record.ends, unknown, record.octets(), ended.last);
        }
        if self.keep_lines && !record.never {
            let end = (ended.start, ended.end, seen);
            self.lines.push(record.line(ended.last, Some(end)));
        }
    }

    fn see_named(&mut self, record: &Record, delta: &Delta) {
        let bytes = delta.sent.bytes + delta.received.bytes;
        self.seen.add(record.named_as(), 0, bytes);
        if let Some(ticket) = record.candidate {
            self.seen.candidate_bytes(ticket, bytes);
        }
    }

    /// Why a flow counts in visibility but not in usage: a scanner's, a guest's, or the outer leg of a proxy or NAT. What comes
    /// in to a NAT is seen again behind it; what comes in to a proxy is the inner leg.
    fn left_out(&self, ends: Ends) -> Option<Visibility> {
        let [client, server] = [ends.client, ends.server].map(|end| self.vantage(end));
        if client.is_some_and(VantageKind::is_left_out) {
            return Some(Visibility::Excluded);
        }
        let outer = client.is_some_and(VantageKind::is_second_leg);
        (outer || server == Some(VantageKind::Nat)).then_some(Visibility::SecondLeg)
    }

    /// Whether an end of a flow lies where nothing is ever recorded.
    fn is_never(&self, ends: Ends) -> bool {
        let never = &self.now_in_force.never;
        never.has_address(ends.client.ip.ip()) || never.has_address(ends.server.ip.ip())
    }

    /// Whether a name, what it leads to or whose it is are never recorded.
    fn names_never(&self, name: &Name, judged: Option<&Judged>) -> bool {
        let never = &self.now_in_force.never;
        never.has_name(&name.name)
            || judged.is_some_and(|judged| {
                never.has_vendor(&judged.verdict.vendor.id)
                    || judged.chain.iter().any(|name| never.has_name(name))
            })
    }

    /// Whether others stand behind the server: names and memory of its address say nothing then.
    fn is_passed_on(&self, ends: Ends) -> bool {
        self.vantage(ends.server).is_some_and(VantageKind::passes_on)
    }

    fn vantage(&self, end: Endpoint) -> Option<VantageKind> {
        self.identity.vantage(end.ip.ip())
    }
}

#[cfg(test)]
mod tests;
