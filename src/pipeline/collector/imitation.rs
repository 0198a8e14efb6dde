//! Names that imitate a vendor or what is ours: asked for once a name, told when a server answered under it, or nobody did.

use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;

use super::Collector;
use crate::alert::{FlowFacts, Sighting, Veil};
use crate::decode::Endpoint;
use crate::flow::Ends;
use crate::identity::Privacy;
use crate::pipeline::judge::{Judged, judge};
use crate::pipeline::name::{Name, Via};
use crate::pipeline::record::{Imitating, Record};
use crate::pipeline::rules::Rules;
use crate::policy::{Decision, OwnImitation, Relation};
use crate::signature::{Confidence, How, Role, Vendor, Verdict};
use crate::sniff::DnsMessage;
use crate::time::Time;
use crate::usage::{Engagement, Standing};

/// Names that imitate nobody, as hashes: a new one takes the place of another, and what was forgotten is asked again.
pub struct Honest {
    seen: Box<[u64]>,
    hasher: DefaultHashBuilder,
}

impl Honest {
    fn holds(&self, name: &str) -> bool {
        let (hash, slot) = self.place(name);
        self.seen.get(slot) == Some(&hash)
    }

    /// Whether the name was found to imitate nobody; if not, it is taken to be so from now on.
    fn replace(&mut self, name: &str) -> bool {
        let (hash, slot) = self.place(name);
        self.seen.get_mut(slot).is_some_and(|seen| std::mem::replace(seen, hash) == hash)
    }

    fn forget(&mut self, name: &str) {
        let (_, slot) = self.place(name);
        if let Some(seen) = self.seen.get_mut(slot) {
            *seen = 0;
        }
    }

    fn place(&self, name: &str) -> (u64, usize) {
        let hash = self.hasher.hash_one(name) | 1;
        (hash, usize::try_from(hash >> 1).unwrap_or_default() % HONEST)
    }
}

impl Default for Honest {
    fn default() -> Self {
        Self { seen: vec![0; HONEST].into(), hasher: DefaultHashBuilder::default() }
    }
}

/// Whose the instance is that a vendor's name shows.
type Claimed = (Relation, Option<Arc<str>>);

/// Names that are remembered: those of a busy hour of some thousand clients.
const HONEST: usize = 65_536;

impl Collector {
    /// The imitation that a name of a flow is, of a vendor or of what is ours. A name that a vendor claims imitates only by a
    /// foreign tenant that plays with ours.
    pub(super) fn imitation(
        &mut self,
        name: &Name,
        claimed: Option<Claimed>,
        ends: Ends,
        at: Time,
    ) -> Option<Box<Imitating>> {
        let told = name.via.rank() >= Via::HttpHost.rank()
            || matches!(name.via, Via::Dns | Via::DnsQuery | Via::Socks);
        let never = self.is_never(ends) || self.now_in_force.never.has_name(&name.name);
        if !told || never || self.left_out(ends).is_some() || self.honest.replace(&name.name) {
            return None;
        }
        let rules = self.now_in_force.clone();
        let (vendor, of, how) = imitated(&rules, &name.name, claimed.as_ref())?;
        self.honest.forget(&name.name);
        let verdict = Verdict {
            vendor,
            role: Role::Marketing,
            tenant: None,
            ambiguous: false,
            agent: false,
            confidence: Confidence::Medium,
            signature: of.into(),
        };
        let judged = Judged { verdict, relation: Relation::Unknown, chain: Vec::new() };
        let mut contact = self.contact(name, judged, ends, at);
        // What policy says of the vendor says nothing of who pretends to be it.
        contact.decision = Decision::default();
        Some(Box::new(Imitating { how, contact }))
    }

    /// Questions that were answered with something.
    pub(super) fn asked_for_imitations(&mut self, ends: Ends, message: &DnsMessage, at: Time) {
        if !message.response || message.rcode != 0 || message.answers.is_empty() {
            return;
        }
        for (question, _) in message.questions() {
            if self.honest.holds(question) {
                continue;
            }
            let name = Name { via: Via::DnsQuery, name: question.into() };
            // A host of a customer may have any name: where its CNAME leads decides.
            let judged = judge(&self.now_in_force, &self.names, question, at);
            let claimed = judged.map(|judged| (judged.relation, judged.verdict.tenant));
            if let Some(imitating) = self.imitation(&name, claimed, ends, at) {
                self.see_imitation(&imitating, ends, false, at);
            }
        }
    }

    /// Tells the imitation of a flow once: `answered` by its server, or at its end.
    pub(super) fn tell_imitation(&mut self, record: &mut Record, answered: bool, at: Time) {
        if let Some(imitating) = record.imitation.take() {
            self.see_imitation(&imitating, record.ends, answered, at);
        }
    }

    fn see_imitation(&mut self, imitating: &Imitating, ends: Ends, answered: bool, at: Time) {
        let contact = &imitating.contact;
        let plain = self.identity.privacy() == Privacy::Address;
        let end = |end: Endpoint| plain.then(|| SocketAddr::new(end.ip.ip(), end.port));
        let standing = Standing {
            engagement: Engagement::Glance,
            before: None,
            active_minutes_today: 0,
            sent_today: 0,
            threshold: None,
            first_flow: true,
            worked: false,
        };
        let sighting = Sighting {
            at,
            key: &contact.key,
            // A case of the name, and of no group.
            veil: Veil { small: false, mark: &contact.mark },
            client_kind: contact.client_kind,
            vendor: &contact.verdict.vendor,
            relation: contact.relation,
            decision: &contact.decision,
            vendor_has_own: false,
            standing: &standing,
            ambiguous: false,
            agent: false,
            inside: contact.inside,
            activity: None,
            session: None,
            added: (0, 0),
            upload: None,
            imitation: Some((imitating.how, answered)),
            reached: None,
            flow: FlowFacts {
                start: contact.start,
                name: &contact.name.name,
                via: contact.name.via.name(),
                transport: ends.transport.name(),
                client: end(ends.client),
                server: end(ends.server),
                community_id: contact.community_id.as_deref(),
            },
        };
        self.cases.see(&sighting, &mut self.raised);
    }
}

/// Whom a name imitates, by which word or domain of theirs, and how.
fn imitated(
    rules: &Rules,
    name: &str,
    claimed: Option<&Claimed>,
) -> Option<(Arc<Vendor>, Box<str>, How)> {
    let own = |found: OwnImitation| (found.vendor, found.of, found.how);
    if let Some((relation, tenant)) = claimed {
        let tenant = tenant.as_deref().filter(|_| *relation == Relation::Foreign)?;
        return rules.policy.imitates_tenant(tenant).map(own);
    }
    if rules.policy.is_own_domain(name) || rules.policy.own_name(name).is_some() {
        return None;
    }
    let of_vendor = rules.catalog.imitates(name).map(|found| (found.vendor, found.of, found.how));
    of_vendor.or_else(|| rules.policy.imitates(name).map(own))
}
