//! Where a server stands: inside local networks or not, declared as ours or not; and what that settles of the deployment.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::judge::Judged;
use super::name::{Name, Via};
use super::record::Contact;
use super::rules::Rules;
use crate::alert::Session;
use crate::count::Cells;
use crate::decode::{Endpoint, Transport};
use crate::export::web::{InsideServerRow, InsideServers};
use crate::flow::{self, Ends};
use crate::policy::Relation;
use crate::signature::{Confidence, Deployment, Role, Verdict};
use crate::time::Time;

crate::rows! {
    pub enum Counter {
        Unknown => Gauge "saastap_inside_servers_unknown" "Inside servers that clients outside reached, and whose software is not known.",
        Beyond => Counter "saastap_inside_servers_left_out_flows_total" "Flows from outside to inside servers of unknown software that were not told apart, because there were too many.",
    }
}

/// The networks that are inside, and what is reached in them from outside.
pub struct Premises {
    options: flow::Options,
    reached: HashMap<(IpAddr, u16), Reached>,
    /// Flows of clients outside to servers inside, known or not.
    incoming: u64,
    cells: Arc<Cells<Counter>>,
}

/// An inside server whose software nothing showed.
#[derive(Clone, Copy, Debug)]
pub struct Reached {
    pub server: IpAddr,
    pub port: u16,
    pub transport: Transport,
    pub flows: u64,
    /// Octets both ways.
    pub bytes: u64,
    pub last: Time,
}

/// Inside servers that are told apart: an organisation that publishes more is one that knows its addresses.
const MAX_REACHED: usize = 1_000;

/// Octets that it can hold: rows in a table that may be half empty, and once more while it grows.
pub const MEMORY: u64 = (MAX_REACHED * (size_of::<((IpAddr, u16), Reached)>() + 1) * 4) as u64;

impl Premises {
    pub fn new(options: &flow::Options) -> Self {
        Self { options: options.clone(), reached: HashMap::new(), incoming: 0, cells: Cells::new() }
    }

    pub fn cells(&self) -> &Arc<Cells<Counter>> {
        &self.cells
    }

    pub fn is_inside(&self, address: IpAddr) -> bool {
        self.options.is_local(address)
    }

    /// Whether a client outside reaches a server inside.
    pub fn comes_in(&self, ends: Ends) -> bool {
        self.is_inside(ends.server.ip.ip()) && !self.is_inside(ends.client.ip.ip())
    }

    /// Where what was judged runs. A vendor who sells both leaves it open: names that are the vendor's own are its cloud,
    /// whatever proxy stands between; all else is settled by where the server stands.
    pub fn deployment(
        &self,
        rules: &Rules,
        judged: &Judged,
        name: &Name,
        ends: Ends,
    ) -> Deployment {
        let vendor = &judged.verdict.vendor;
        if vendor.deployment != Deployment::Both {
            return vendor.deployment;
        }
        let server = ends.server;
        if rules.policy.own_server(server.ip.ip(), server.port).is_some() {
            return Deployment::OnPremise;
        }
        let ours = || {
            rules.policy.own_name(&name.name).is_some() || rules.policy.is_own_domain(&name.name)
        };
        let vendors = name.via.is_host() && (!ours() || !judged.chain.is_empty());
        if !vendors && self.is_inside(server.ip.ip()) {
            Deployment::OnPremise
        } else {
            Deployment::Cloud
        }
    }

    /// The way of a session with `octets` sent and received. A product whose protocol every desktop speaks has no relay, and
    /// that of a cloud is outside.
    pub fn session(&self, contact: &Contact, ends: Ends, octets: (u64, u64)) -> Session {
        let [client, server] = [ends.client, ends.server].map(|end| self.is_inside(end.ip.ip()));
        let native = contact.name.via == Via::Native;
        let peer = native && server && contact.deployment == Deployment::Cloud;
        if contact.verdict.vendor.ordinary_inside || peer {
            Session::direct(client, server)
        } else {
            Session::relayed(octets.0, octets.1)
        }
    }

    /// A flow from outside to a server inside has ended.
    pub fn came_in(&mut self, ends: Ends, unknown: bool, bytes: u64, at: Time) {
        self.incoming += 1;
        if !unknown {
            return;
        }
        let Endpoint { ip, port } = ends.server;
        let place = (ip.ip(), port);
        if self.reached.len() >= MAX_REACHED && !self.reached.contains_key(&place) {
            self.cells.add(Counter::Beyond, 1);
            return;
        }
        let fresh = Reached {
            server: ip.ip(),
            port,
            transport: ends.transport,
            flows: 0,
            bytes: 0,
            last: at,
        };
        let row = self.reached.entry(place).or_insert(fresh);
        row.flows += 1;
        row.bytes = row.bytes.saturating_add(bytes);
        row.last = row.last.max(at);
        self.cells.set(Counter::Unknown, self.reached.len() as u64);
    }

    /// What is told of them, with the name that `shown` gives an address; the servers with most flows first.
    pub fn told(&self, shown: impl Fn(IpAddr) -> String) -> InsideServers {
        let mut reached: Vec<&Reached> = self.reached.values().collect();
        reached.sort_unstable_by_key(|row| (Reverse(row.flows), row.server, row.port));
        let row = |row: &Reached| InsideServerRow {
            server: shown(row.server),
            transport: match row.transport {
                Transport::Tcp => "tcp",
                Transport::Udp => "udp",
            },
            port: row.port,
            flows: row.flows,
            bytes: row.bytes,
            last_seen: row.last,
        };
        InsideServers {
            flows_from_outside: self.incoming,
            left_out: self.cells.get(Counter::Beyond),
            unknown: reached.into_iter().map(row).collect(),
        }
    }
}

/// What `[own] servers` says of a server; `web` tells whether TLS or HTTP was read.
pub fn declared(rules: &Rules, server: Endpoint, web: bool) -> Option<Judged> {
    let own = rules.policy.own_server(server.ip.ip(), server.port)?;
    // Of a machine declared whole, only what browsers and programs use: not its shell, not its database.
    if !(own.by_port || web || WEB_PORTS.contains(&server.port)) {
        return None;
    }
    let vendor = rules.catalog.vendor(own.vendor)?.clone();
    let verdict = Verdict {
        vendor,
        // Behind one address stand the agents' console and the customers' pages, as behind a name of `own.names`.
        role: Role::Either,
        tenant: own.tenant.cloned(),
        ambiguous: true,
        agent: false,
        confidence: Confidence::High,
        signature: Arc::from("own.servers"),
    };
    Some(Judged { verdict, relation: Relation::Own, chain: Vec::new() })
}

/// How a flow is called that only its server's address names: as the declaration does, so that no address passes on.
pub fn name_of(judged: &Judged) -> Name {
    let Verdict { vendor, tenant, .. } = &judged.verdict;
    let name = match tenant {
        Some(tenant) => format!("{}/{tenant}", vendor.id).into(),
        None => vendor.id.clone(),
    };
    Name { via: Via::OwnServer, name }
}

/// Where the beginning of a flow was not seen, these are taken for HTTP or TLS.
const WEB_PORTS: [u16; 4] = [80, 443, 8_080, 8_443];
