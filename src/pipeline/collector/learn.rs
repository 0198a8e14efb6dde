//! What the evidence of a flow teaches: names of others, leases, front names of ECH, records of our own domains.

use super::Collector;
use crate::flow::Ends;
use crate::identity::{ClientKind, Ech, VantageKind};
use crate::pipeline::claim;
use crate::pipeline::domain_records::vendors_of_own;
use crate::pipeline::record::Record;
use crate::signature::Role;
use crate::sniff::{ClientHello, DnsMessage, EchOffer, Evidence};
use crate::time::Time;
use crate::usage::{Addition, DNS_RECORD, Key};

impl Collector {
    pub(super) fn learn(&mut self, record: &mut Record, ends: Ends, evidence: Evidence, at: Time) {
        record.ends = ends;
        if let Evidence::Dns(message) = &evidence {
            let never = &self.now_in_force.never;
            if record.never || message.questions().any(|(name, _)| never.has_name(name)) {
                // A resolver's flow carries the questions of many: only this one is passed over.
                record.learn(evidence, false);
                return;
            }
            let declared = self.vantage(ends.client) == Some(VantageKind::Resolver);
            self.names.learn(ends.client, ends.server, declared, message, at);
            self.learn_records(message, at);
            self.identity.fronts.learn(message, at);
            self.asked_for_imitations(ends, message, at);
            self.identity.canaries.learn(message);
        }
        // Between any other ports it is somebody's test of a server.
        if let Evidence::Dhcp(message) = &evidence
            && !message.addresses.iter().any(|(ip, _)| self.now_in_force.never.has_address(*ip))
            && [ends.client.port, ends.server.port].iter().any(|port| DHCP_PORTS.contains(port))
        {
            self.identity.leases.learn(message, at);
        }
        let port = ends.server.port;
        let claims = claim::claims(&self.now_in_force.catalog, &evidence, port);
        if let Evidence::Tls(hello) = &evidence {
            self.judge_ech(record, hello, at);
        }
        let names = record.learn(evidence, self.keep_lines);
        if record.has_full_part() && !record.never {
            self.lines.push(record.line(at, None));
        }
        for name in names {
            match claim::verdict(&self.now_in_force.catalog, &name, port) {
                Some(verdict) => self.claimed(record, ends, name, verdict, at),
                None => self.name(record, ends, name, at),
            }
        }
        for (name, verdict) in claims {
            record.name(name.via, &name.name, self.keep_lines);
            self.claimed(record, ends, name, Some(verdict), at);
        }
    }

    /// Whether the name in a hello is the one that is meant. A public name is nobody's evidence.
    pub(super) fn judge_ech(&self, record: &mut Record, hello: &ClientHello, at: Time) {
        let Some(offer) = hello.ech.as_deref() else {
            record.ech = Ech::None;
            return;
        };
        let sni = hello.sni.as_deref();
        let (client, server) = (record.ends.client.ip.ip(), record.ends.server.ip.ip());
        let asked = sni.is_some_and(|sni| {
            let led = self.names.of_flow(client, server, at);
            led.is_some_and(|led| led.names.iter().any(|one| one.name.eq_ignore_ascii_case(sni)))
        });
        let before = record.ech_before.as_deref();
        record.ech = self.identity.fronts.judge(offer, before, sni, asked, at);
        if let EchOffer::Outer(outer) = offer {
            record.ech_before = Some(Box::new(*outer));
        }
    }

    /// Vendors that the records of our own domains name are used by us, whoever asked: a usage without a client, which counts
    /// in no metric and raises nothing.
    pub(super) fn learn_records(&self, message: &DnsMessage, at: Time) {
        for (domain, verdict) in vendors_of_own(&self.now_in_force, message) {
            if self.now_in_force.never.has_vendor(&verdict.vendor.id) {
                continue;
            }
            let key = Key {
                group: DNS_RECORD.into(),
                client: domain,
                vendor: verdict.vendor.id.clone(),
                tenant: None,
                role: Role::Mail,
            };
            self.inventory.record(
                key,
                &Addition {
                    at,
                    client_kind: ClientKind::Shared,
                    ambiguous: true,
                    agent: false,
                    deployment: verdict.vendor.deployment,
                    flows: 0,
                    sessions: 0,
                    sent: 0,
                    received: 0,
                    minute: at.minute(),
                    minute_payload: 0,
                    minute_bursts: 0,
                    quiet: 0,
                },
            );
        }
    }
}

/// Servers of DHCP for IPv4 and IPv6.
const DHCP_PORTS: [u16; 2] = [67, 547];
