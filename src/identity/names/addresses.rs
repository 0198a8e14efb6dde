//! Which names an address was given for, and until when.

use std::hash::Hash;
use std::sync::Arc;

use super::aging::{Aging, Weigh};
use crate::time::Time;

/// Names by address, or by client and address.
#[derive(Debug)]
pub struct Addresses<K>(Aging<K, Holders>);

/// The names that have an address.
#[derive(Debug, Default)]
pub struct Holders {
    held: Vec<Held>,
    /// Until then there are more names than are kept.
    crowded: Time,
}

/// One name that has an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The question.
    pub name: Arc<str>,
    /// The names from the question to the owner of the address, without the question.
    pub chain: Arc<[Arc<str>]>,
    /// When the address was first given for the name, without a break since.
    pub since: Time,
    pub expires: Time,
    /// A resolver asked, on behalf of anybody.
    pub for_all: bool,
}

/// Names kept of one address: with more it is a shared front, and decides nothing.
const MAX_HOLDERS: usize = 8;

impl<K: Eq + Hash> Addresses<K> {
    pub fn new(max_octets: usize) -> Self {
        Self(Aging::new(max_octets))
    }

    /// True where the name is new at the address, or stays by an hour longer.
    pub fn learn(&mut self, key: K, held: Held, at: Time) -> bool {
        self.0.change(key, |holders| holders.note(held, at))
    }

    /// The names that were known at `at` and had not run out, the one learned last first, and whether they are all.
    pub fn names(&self, key: &K, at: Time) -> (Vec<&Held>, bool) {
        let Some(holders) = self.0.get(key) else { return (Vec::new(), true) };
        let live = holders.held.iter().filter(|held| held.expires >= at && held.since <= at);
        (live.collect(), holders.crowded < at)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn take_forgotten(&mut self) -> u64 {
        self.0.take_forgotten()
    }
}

impl Holders {
    fn note(&mut self, mut held: Held, at: Time) -> bool {
        let mut new = true;
        if let Some(known) = self.held.iter().find(|known| known.name == held.name) {
            // Another asker's shorter rest of a TTL takes nothing away.
            held.expires = held.expires.max(known.expires);
            if known.expires >= at {
                held.since = known.since;
            }
            held.for_all |= known.for_all;
            new = held.expires.secs() / 3_600 > known.expires.secs() / 3_600;
        }
        self.held.retain(|known| known.name != held.name);
        self.held.retain(|known| known.expires >= at);
        // Nearly all addresses have one name at a time: room for four would be most of what the table holds.
        self.held.reserve_exact(1);
        self.held.insert(0, held);
        if self.held.len() > MAX_HOLDERS
            && let Some(last) = self.held.pop()
        {
            self.crowded = self.crowded.max(last.expires);
        }
        new
    }
}

impl Weigh for Holders {
    fn octets(&self) -> usize {
        let held = |held: &Held| {
            let chain: usize = held.chain.iter().map(|name| name.len() + 2 * ARC).sum();
            held.name.len() + 2 * ARC + chain
        };
        size_of::<Self>()
            + self.held.capacity() * size_of::<Held>()
            + self.held.iter().map(held).sum::<usize>()
    }
}

/// Octets of the counts before a shared value.
const ARC: usize = 16;
