//! Passive DNS: what the answers on the wire say about addresses and names, remembered within bounds.

mod addresses;
pub(super) mod aging;
mod answer;
mod links;
mod rows;
#[cfg(test)]
mod tests;
mod vantage;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::addresses::{Addresses, Held};
use self::answer::Learned;
use self::links::{End, Links};
use self::rows::Changed;
use self::vantage::Askers;
use crate::count::Cells;
use crate::decode::Endpoint;
use crate::sniff::DnsMessage;
use crate::time::{DAY, Time};

pub use self::rows::{Row, is_inside};
pub use self::vantage::Position;

/// `[dns]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Seconds that an address keeps its name at least, and at most, whatever the answer's TTL: programs use addresses
    /// somewhat longer than they may, and no address is a name's for ever.
    pub ttl_floor_seconds: u32,
    pub ttl_cap_seconds: u32,
    /// Days for which a CNAME that was seen once tells whose a host is.
    pub remember_days: u32,
    /// MiB that all names together may take.
    pub max_mib: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { ttl_floor_seconds: 60, ttl_cap_seconds: 86_400, remember_days: 7, max_mib: 64 }
    }
}

impl Options {
    /// Octets that the names can take.
    pub fn memory(&self) -> u64 {
        u64::from(self.max_mib) << 20
    }
}

crate::rows! {
    pub enum Counter {
        Dns => Counter "saastap_dns_messages_total" "DNS messages by protocol." ("protocol", "dns"),
        Mdns => Counter "saastap_dns_messages_total" "DNS messages by protocol." ("protocol", "mdns"),
        Llmnr => Counter "saastap_dns_messages_total" "DNS messages by protocol." ("protocol", "llmnr"),
        Pairs => Gauge "saastap_dns_names" "What DNS answers taught, by table." ("table", "client_address"),
        Servers => Gauge "saastap_dns_names" "What DNS answers taught, by table." ("table", "address"),
        Links => Gauge "saastap_dns_names" "What DNS answers taught, by table." ("table", "cname"),
        Forgotten => Counter "saastap_dns_names_forgotten_total" "What DNS answers taught and was given up for newer when memory was full.",
        Unsaved => Counter "saastap_dns_names_unsaved_total" "What DNS answers taught and would not survive a restart, because too much waited to be saved.",
        Below => Gauge "saastap_dns_vantage" "1 at where the sensor stands by the DNS of the last hour." ("position", "below_resolver"),
        Above => Gauge "saastap_dns_vantage" "1 at where the sensor stands by the DNS of the last hour." ("position", "above_resolver"),
        None => Gauge "saastap_dns_vantage" "1 at where the sensor stands by the DNS of the last hour." ("position", "none"),
    }
}

/// All that DNS answers taught.
pub struct Names {
    options: Options,
    /// By who asked and what was answered.
    pairs: Addresses<(IpAddr, IpAddr)>,
    servers: Addresses<IpAddr>,
    links: Links,
    askers: Askers,
    changed: Changed,
    cells: Arc<Cells<Counter>>,
}

/// Names that an address may have been used under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidates {
    /// The one learned last first; never empty.
    pub names: Vec<Candidate>,
    pub source: Source,
    /// There are more than are told.
    pub more: bool,
}

/// One name, and the names from it to the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub name: Arc<str>,
    /// Without `name`.
    pub chain: Vec<Arc<str>>,
}

/// Whose question it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Another client's: it tells what is at the address, not what this client wanted.
    Others,
    /// A resolver's, which asks for everybody behind it.
    Resolver,
    /// The client's own.
    Client,
}

impl Names {
    pub fn new(options: &Options) -> Self {
        let octets = usize::try_from(options.memory()).unwrap_or(usize::MAX);
        let part = octets / 8;
        let remember = DAY * options.remember_days;
        Self {
            options: options.clone(),
            pairs: Addresses::new(3 * part),
            servers: Addresses::new(2 * part),
            links: Links::new(2 * part, remember),
            askers: Askers::new(part),
            changed: Changed::default(),
            cells: Cells::new(),
        }
    }

    pub fn cells(&self) -> &Arc<Cells<Counter>> {
        &self.cells
    }

    /// Takes one message between `client`, who asks, and `server`. `declared`: the client is known to be a resolver.
    ///
    /// mDNS and LLMNR are counted alone: what anybody on the same link may claim names no flow.
    pub fn learn(
        &mut self,
        client: Endpoint,
        server: Endpoint,
        declared: bool,
        message: &DnsMessage,
        at: Time,
    ) {
        let protocol = protocol(client, server);
        self.cells.add(protocol, 1);
        if protocol != Counter::Dns || message.opcode != 0 {
            return;
        }
        let (client, server) = (client.ip.ip().to_canonical(), server.ip.ip().to_canonical());
        self.askers.note(client, server, message.flags.recursion_desired, declared, at);
        if !message.response {
            return;
        }
        let Some(learned) = Learned::read(message) else { return };
        let for_all = declared || self.askers.is_resolver(client, at);
        self.take(client, &learned, for_all, at);
    }

    /// The names under which a client may have reached a server with a flow that began at `at`: those it asked for itself,
    /// else those that anybody asked.
    pub fn of_flow(&self, client: IpAddr, server: IpAddr, at: Time) -> Option<Candidates> {
        let (client, server) = (client.to_canonical(), server.to_canonical());
        let (own, all) = self.pairs.names(&(client, server), at);
        if !own.is_empty() {
            let names = own.into_iter().map(Candidate::from).collect();
            return Some(Candidates { names, source: Source::Client, more: !all });
        }
        let (held, all) = self.servers.names(&server, at);
        let mut names: Vec<Candidate> = Vec::new();
        for held in &held {
            // A resolver asks for each name of a chain by itself, so that the question lies further back.
            let mut owners = self.links.owners(&held.name, at, true);
            owners.retain(|owner| names.iter().all(|known| known.name != *owner));
            names.extend(owners.into_iter().map(|name| {
                let chain = self.links.chain(&name, at);
                Candidate { name, chain }
            }));
            names.push(Candidate::from(*held));
        }
        let for_all = held.iter().all(|held| held.for_all);
        let source = if for_all { Source::Resolver } else { Source::Others };
        (!names.is_empty()).then_some(Candidates { names, source, more: !all })
    }

    /// The names that a host name leads to, by the CNAMEs seen last.
    pub fn chain(&self, name: &str, at: Time) -> Vec<Arc<str>> {
        answer::host(name).map_or_else(Vec::new, |name| self.links.chain(&name, at))
    }

    /// The names that lead to a host name.
    pub fn owners(&self, name: &str, at: Time) -> Vec<Arc<str>> {
        answer::host(name).map_or_else(Vec::new, |name| self.links.owners(&name, at, false))
    }

    /// Sets the gauges, and counts what was forgotten.
    pub fn tell(&mut self, at: Time) {
        let position = self.askers.position(at);
        for (row, is) in [
            (Counter::Below, Position::BelowResolver),
            (Counter::Above, Position::AboveResolver),
            (Counter::None, Position::None),
        ] {
            self.cells.set(row, u64::from(position == is));
        }
        self.cells.set(Counter::Pairs, self.pairs.len() as u64);
        self.cells.set(Counter::Servers, self.servers.len() as u64);
        self.cells.set(Counter::Links, self.links.len() as u64);
        let forgotten = self.pairs.take_forgotten()
            + self.servers.take_forgotten()
            + self.links.take_forgotten()
            + self.askers.take_forgotten();
        self.cells.add(Counter::Forgotten, forgotten);
    }

    fn take(&mut self, client: IpAddr, learned: &Learned, for_all: bool, at: Time) {
        for link in &learned.links {
            let expires = at.plus(self.lasts(link.ttl));
            let end = End { name: link.target.clone(), seen: at, expires };
            if self.links.learn(&link.owner, end) && !self.changed.link(&link.owner) {
                self.cells.add(Counter::Unsaved, 1);
            }
        }
        for owner in &learned.ends {
            self.links.ends_at(owner);
        }
        for found in &learned.addresses {
            let expires = at.plus(self.lasts(found.ttl));
            let address = found.address.to_canonical();
            let name = learned.question.clone();
            let held = Held { name, chain: found.chain.clone(), since: at, expires, for_all };
            self.pairs.learn((client, address), held.clone(), at);
            if self.servers.learn(address, held, at) && !self.changed.address(address) {
                self.cells.add(Counter::Unsaved, 1);
            }
        }
    }

    fn remember(&self) -> Duration {
        DAY * self.options.remember_days
    }

    fn lasts(&self, ttl: u32) -> Duration {
        let Options { ttl_floor_seconds: floor, ttl_cap_seconds: cap, .. } = self.options;
        Duration::from_secs(u64::from(ttl.max(floor).min(cap)))
    }
}

impl From<&Held> for Candidate {
    fn from(held: &Held) -> Self {
        Self { name: held.name.clone(), chain: held.chain.to_vec() }
    }
}

/// mDNS (RFC 6762 section 3) and LLMNR (RFC 4795 section 2) by their ports.
fn protocol(client: Endpoint, server: Endpoint) -> Counter {
    match (client.port, server.port) {
        (MDNS, _) | (_, MDNS) => Counter::Mdns,
        (LLMNR, _) | (_, LLMNR) => Counter::Llmnr,
        _ => Counter::Dns,
    }
}

const MDNS: u16 = 5353;
const LLMNR: u16 = 5355;
