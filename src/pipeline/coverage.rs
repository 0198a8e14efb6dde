//! What the collector has seen: how much of it has a name, why the rest has none, and the names that nobody claims.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;

use crate::decode::Address;
use crate::export::web::{CandidateRow, VisibilityRow};
use crate::export::{Coverage, UsageMetrics};
use crate::signature::registrable;
use crate::time::Time;
use crate::usage::{CANDIDATES_MEMORY, Candidates, Shares, Ticket, Visibility};

/// Sums over all flows. Octets that come before a flow has a name or a reason are pending, and in no sum.
pub struct Seen {
    metrics: Arc<UsageMetrics>,
    shares: Shares,
    candidates: Candidates,
    first: Option<Time>,
    last: Time,
    /// Hashes of the addresses of clients, at most [`MAX_CLIENTS`]: the addresses stay in front of the door, only their
    /// number passes.
    clients: HashSet<u64>,
    hasher: DefaultHashBuilder,
}

/// Clients that the coverage tells apart: a scan of a network from outside must not fill the memory.
const MAX_CLIENTS: usize = 262_144;

/// Octets of one of them: a hash and a tag, in a table that may be half empty, and once more while it grows.
const CLIENT_OCTETS: usize = 27;

/// Octets that it can hold.
pub const MEMORY: u64 = (MAX_CLIENTS * CLIENT_OCTETS) as u64 + CANDIDATES_MEMORY;

/// Rows that are shown of the candidates for a signature.
const CANDIDATES: usize = 50;

impl Seen {
    pub fn new(metrics: Arc<UsageMetrics>) -> Self {
        Self {
            metrics,
            shares: Shares::default(),
            candidates: Candidates::default(),
            first: None,
            last: Time::ZERO,
            clients: HashSet::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// Packet time has come to `at`.
    pub fn advance(&mut self, at: Time) {
        self.last = self.last.max(at);
        self.first.get_or_insert(at);
    }

    /// Packet time of the latest update.
    pub const fn clock(&self) -> Time {
        self.last
    }

    pub fn client(&mut self, address: Address) {
        if self.clients.len() < MAX_CLIENTS {
            self.clients.insert(self.hasher.hash_one(address));
        }
    }

    pub fn add(&mut self, visibility: Visibility, flows: u64, bytes: u64) {
        if flows > 0 || bytes > 0 {
            self.shares.add(visibility, flows, bytes);
            self.metrics.visibility(visibility, flows, bytes);
        }
    }

    /// A flow has the name `host`, which is nobody's signature; `None` where that is no name in the public tree.
    pub fn candidate(&mut self, host: &str) -> Option<Ticket> {
        registrable(host).map(|domain| self.candidates.flow(&domain))
    }

    /// Octets of a flow of a candidate.
    pub fn candidate_bytes(&mut self, ticket: Ticket, bytes: u64) {
        self.candidates.bytes(ticket, bytes);
    }

    /// Octets of flows whose name is encrypted, and of all that have a name or a reason.
    pub fn encrypted_names(&self) -> (u64, u64) {
        (self.shares.of(Visibility::Ech).bytes, self.shares.all().bytes)
    }

    /// The first line of every page and report.
    pub fn coverage(&self) -> Coverage {
        let all = self.shares.all().bytes;
        let share = |bytes: u64| (all > 0).then(|| bytes as f64 / all as f64);
        let names = self.shares.iter().filter(|(visibility, _)| visibility.has_name());
        let tunnelled = self.shares.of(Visibility::Tunnel).bytes;
        Coverage {
            clients: self.clients.len() as u64,
            named: share(names.map(|(_, share)| share.bytes).sum()),
            tunnelled: share(tunnelled).filter(|share| *share > 0.0),
            silent_networks: Vec::new(),
            from: self.first,
            until: self.first.map(|_| self.last),
        }
    }

    /// Every visibility that was met.
    pub fn visibility_rows(&self) -> Vec<VisibilityRow> {
        let met = self.shares.iter().filter(|(_, share)| share.flows > 0 || share.bytes > 0);
        met.map(|(visibility, share)| VisibilityRow { visibility, share }).collect()
    }

    /// The unnamed domains that carry most.
    pub fn candidate_rows(&self) -> Vec<CandidateRow> {
        let row = |candidate: crate::usage::Candidate| CandidateRow {
            domain: candidate.domain.to_string(),
            share: candidate.share,
            excess: candidate.excess,
        };
        self.candidates.top(CANDIDATES).into_iter().map(row).collect()
    }
}
