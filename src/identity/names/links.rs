//! CNAME chains over all messages: which name leads to which, and back.

use std::sync::Arc;
use std::time::Duration;

use super::aging::{Aging, Weigh};
use crate::time::Time;

/// Owner to target, and target to owners.
#[derive(Debug)]
pub struct Links {
    targets: Aging<Arc<str>, Ends>,
    owners: Aging<Arc<str>, Ends>,
    /// How long after it was seen a link still tells whose a host is.
    remember: Duration,
}

/// The other ends of the links of a name, the one seen last first.
#[derive(Debug, Default)]
pub struct Ends(Vec<End>);

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub name: Arc<str>,
    pub seen: Time,
    /// By the record's own TTL.
    pub expires: Time,
}

/// Ends kept of a name: targets take turns where traffic is spread, and some hosts of a customer share a target.
const MAX_ENDS: usize = 8;

/// Links of one chain: longer ones are loops, or resolvers refuse them.
const MAX_CHAIN: usize = 16;

impl Links {
    pub fn new(max_octets: usize, remember: Duration) -> Self {
        let half = max_octets / 2;
        Self { targets: Aging::new(half), owners: Aging::new(half), remember }
    }

    /// True where the link is new, or was last seen on another day.
    pub fn learn(&mut self, owner: &Arc<str>, target: End) -> bool {
        if *owner == target.name {
            return false;
        }
        let end = End { name: owner.clone(), ..target.clone() };
        self.owners.change(target.name.clone(), |ends| ends.note(end));
        self.targets.change(owner.clone(), |ends| ends.note(target))
    }

    /// The owner has addresses of its own now.
    pub fn ends_at(&mut self, owner: &Arc<str>) {
        if self.targets.get(owner).is_some_and(|ends| !ends.0.is_empty()) {
            self.targets.change(owner.clone(), |ends| ends.0.clear());
        }
    }

    /// The names that `name` leads to, one after the other, by the links seen last.
    pub fn chain(&self, name: &Arc<str>, at: Time) -> Vec<Arc<str>> {
        let mut chain = vec![name.clone()];
        while chain.len() <= MAX_CHAIN
            && let Some(last) = chain.last()
            && let Some(end) = self.targets.get(last).and_then(|ends| ends.0.first())
            && at.since(end.seen) <= self.remember
            && !chain.contains(&end.name)
        {
            chain.push(end.name.clone());
        }
        chain.split_off(1)
    }

    /// Names that lead to `name`, directly or over others; `live`: by links whose TTL has not run out.
    pub fn owners(&self, name: &Arc<str>, at: Time, live: bool) -> Vec<Arc<str>> {
        let mut found = vec![name.clone()];
        let mut next = 0;
        while let Some(name) = found.get(next).cloned()
            && found.len() <= MAX_CHAIN
        {
            next += 1;
            let Some(ends) = self.owners.get(&name) else { continue };
            let holds = |end: &&End| {
                if live { at <= end.expires } else { at.since(end.seen) <= self.remember }
            };
            for end in ends.0.iter().filter(holds) {
                // A target that its owner has left since stands in its list, but no more in the owner's.
                let left = self.targets.get(&end.name);
                let stands = left.is_some_and(|ends| ends.0.iter().any(|e| e.name == name));
                if stands && !found.contains(&end.name) {
                    found.push(end.name.clone());
                }
            }
        }
        found.split_off(1)
    }

    /// The targets of an owner, the one seen last first.
    pub fn targets(&self, owner: &Arc<str>) -> &[End] {
        self.targets.get(owner).map_or(&[], |ends| &ends.0)
    }

    pub fn len(&self) -> usize {
        self.targets.len()
    }

    pub fn take_forgotten(&mut self) -> u64 {
        self.owners.take_forgotten();
        self.targets.take_forgotten()
    }
}

impl Ends {
    fn note(&mut self, end: End) -> bool {
        let known = self.0.iter().find(|known| known.name == end.name);
        let new = known.is_none_or(|known| known.seen.day() != end.seen.day());
        self.0.retain(|known| known.name != end.name);
        // What ran out is kept only until there is something newer.
        self.0.retain(|known| known.expires >= end.seen);
        self.0.insert(0, end);
        self.0.truncate(MAX_ENDS);
        new
    }
}

impl Weigh for Ends {
    fn octets(&self) -> usize {
        let names: usize = self.0.iter().map(|end| end.name.len() + ARC).sum();
        self.0.capacity() * size_of::<End>() + names
    }
}

/// Octets of the counts before a shared name.
const ARC: usize = 16;
