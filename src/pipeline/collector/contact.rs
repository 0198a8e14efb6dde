//! What a contact adds: to usage, to the metrics, and to what there is to say about it.

use std::net::SocketAddr;

use super::Collector;
use crate::alert::{FlowFacts, Sighting, Veil};
use crate::decode::Endpoint;
use crate::export::usage as exported;
use crate::flow::{Delta, Ends};
use crate::identity::{ClientKind, Owner, Privacy, community_id};
use crate::pipeline::judge::Judged;
use crate::pipeline::name::Name;
use crate::pipeline::record::{Contact, Record};
use crate::policy::{self, SMALL};
use crate::signature::Deployment;
use crate::time::Time;
use crate::usage::{Activity, Addition, Key};

impl Collector {
    /// Who asked for a vendor's name, and what policy says.
    pub(super) fn contact(
        &self,
        name: &Name,
        judged: Judged,
        ends: Ends,
        at: Time,
    ) -> Box<Contact> {
        let rules = &self.now_in_force;
        let deployment = self.premises.deployment(rules, &judged, name, ends);
        let reached = (deployment == Deployment::OnPremise && self.premises.comes_in(ends))
            .then(|| self.identity.client(ends.server.ip.ip(), ClientKind::Host).id);
        let Judged { verdict, relation, chain } = judged;
        let address = ends.client.ip.ip();
        let lease = self.identity.leases.at(address, at);
        let row = rules.leases.at(address, at);
        let owner = row.and_then(|row| row.owner.as_ref());
        let group = rules.policy.group(policy::Who {
            address,
            listed: row.and_then(|row| row.group.as_deref()),
            mac: owner.and_then(Owner::mac).or_else(|| lease?.mac),
            host: lease.and_then(|lease| lease.name.as_deref()),
            vlan: ends.vlan,
        });
        let decision = rules.policy.decide(&policy::Contact {
            vendor: &verdict.vendor,
            tenant: verdict.tenant.as_deref(),
            role: verdict.role,
            relation,
            deployment,
            group: &group.name,
            at,
        });
        let client = self.identity.machine(address, group.kind, lease, row);
        let crowds = self.inventory.crowds();
        if crowds.hides() {
            crowds.see(&group.name, &self.identity.member(address, group.kind, lease, row), at);
        }
        let mark = crowds.mark(&group.name);
        let key = Key {
            group: group.name.clone(),
            client: client.id,
            vendor: verdict.vendor.id.clone(),
            tenant: verdict.tenant.clone(),
            role: verdict.role,
        };
        Box::new(Contact {
            name: name.clone(),
            relation,
            deployment,
            reached,
            mark,
            key,
            client_kind: client.kind,
            decision,
            verdict,
            chain,
            start: at,
            counted: false,
            session_counted: false,
            community_id: (self.identity.privacy() == Privacy::Address)
                .then(|| community_id(ends.client, ends.server, ends.transport)),
            inside: [ends.client, ends.server]
                .iter()
                .all(|end| self.flow_options.is_local(end.ip.ip())),
        })
    }

    /// Adds a report of a flow to the usage it belongs to, and asks whether there is something to say about it.
    pub(super) fn use_contact(&mut self, record: &mut Record, delta: &Delta, at: Time) {
        let rules = self.now_in_force.clone();
        let ends = record.ends;
        let (activity, octets) = (record.activity(), record.octets_each_way());
        let Some(contact) = record.contact.as_mut() else { return };
        let verdict = &contact.verdict;
        contact.decision = rules.policy.decide(&policy::Contact {
            vendor: &verdict.vendor,
            tenant: verdict.tenant.as_deref(),
            role: verdict.role,
            relation: contact.relation,
            deployment: contact.deployment,
            group: &contact.key.group,
            at,
        });
        let flows = u64::from(!std::mem::replace(&mut contact.counted, true));
        let is_new = activity == Some(Activity::Session)
            && !std::mem::replace(&mut contact.session_counted, true);
        let sessions = u64::from(is_new);
        let addition = Addition {
            at,
            client_kind: contact.client_kind,
            ambiguous: verdict.ambiguous,
            agent: verdict.agent,
            deployment: contact.deployment,
            flows,
            sessions,
            sent: delta.sent.bytes,
            received: delta.received.bytes,
            minute: if delta.minute == 0 { at.minute() } else { delta.minute },
            minute_payload: delta.minute_payload,
            minute_bursts: delta.minute_bursts,
            quiet: delta.quiet,
        };
        let standing = self.inventory.record(contact.key.clone(), &addition);
        if let Some(hours) = &mut self.hours {
            hours.add(self.inventory.counted_as(contact.key.clone()), &addition, &standing);
        }
        let shown = self.inventory.crowds().shown(&contact.key.group);
        self.metrics.add(&exported::Addition {
            vendor: &contact.key.vendor,
            role: contact.key.role.name(),
            group: shown,
            state: contact.decision.state.name(),
            deployment: contact.deployment.name(),
            client: &contact.key.client,
            flows,
            sent: delta.sent.bytes,
            received: delta.received.bytes,
            at,
        });
        let session = (activity == Some(Activity::Session))
            .then(|| self.premises.session(contact, ends, octets));
        let plain = self.identity.privacy() == Privacy::Address;
        let end = |end: Endpoint| plain.then(|| SocketAddr::new(end.ip.ip(), end.port));
        let sighting = Sighting {
            at,
            key: &contact.key,
            veil: Veil { small: *shown == *SMALL, mark: &contact.mark },
            client_kind: contact.client_kind,
            vendor: &verdict.vendor,
            relation: contact.relation,
            decision: &contact.decision,
            vendor_has_own: rules.policy.has_own(&verdict.vendor.id),
            standing: &standing,
            ambiguous: verdict.ambiguous,
            agent: verdict.agent,
            inside: contact.inside,
            reached: contact.reached.as_ref(),
            activity,
            session,
            added: (delta.sent.bytes, delta.received.bytes),
            upload: None,
            imitation: None,
            flow: FlowFacts {
                start: contact.start,
                // Of a server that was asked for by its address.
                name: if plain || !contact.name.is_address() {
                    &contact.name.name
                } else {
                    ADDRESS
                },
                via: contact.name.via.name(),
                transport: ends.transport.name(),
                client: end(ends.client),
                server: end(ends.server),
                community_id: contact.community_id.as_deref(),
            },
        };
        if !contact.is_hint() {
            self.cases.see(&sighting, &mut self.raised);
        } else {
            self.cases.see_hint(&sighting);
        }
    }
}

/// What events show of a name that is an address, where privacy lets none pass.
const ADDRESS: &str = "address";
