//! How many distinct clients the last 24 hours of packet time saw: exact while they are few, a HyperLogLog sketch above.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use crate::time::Time;

/// Distinct clients of the current hour and the 23 before it.
#[derive(Default)]
pub(super) struct Clients {
    hours: VecDeque<(u64, Distinct)>,
    /// All of `hours` together, rebuilt when an hour leaves.
    union: Distinct,
}

impl Clients {
    /// Octets that one of them holds at most.
    pub(super) const MEMORY: u64 = (WINDOW_HOURS + 1) * (REGISTERS as u64 + 64);

    pub(super) fn see(&mut self, hash: u64, at: Time) {
        let hour = hour(at);
        self.advance(at);
        // A report that comes late counts into the newest hour: it stays in the window longer, never shorter.
        match self.hours.back_mut() {
            Some((newest, distinct)) if *newest >= hour => distinct.add(hash),
            _ => {
                let mut distinct = Distinct::default();
                distinct.add(hash);
                self.hours.push_back((hour, distinct));
            }
        }
        self.union.add(hash);
    }

    /// Forgets what has left the window ending at `now`.
    pub(super) fn advance(&mut self, now: Time) {
        let oldest = (hour(now) + 1).saturating_sub(WINDOW_HOURS);
        let before = self.hours.len();
        while self.hours.front().is_some_and(|(hour, _)| *hour < oldest) {
            self.hours.pop_front();
        }
        if self.hours.len() != before {
            self.union = Distinct::default();
            for (_, distinct) in &self.hours {
                self.union.merge(distinct);
            }
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.union.count()
    }
}

/// Keyed by chance at start, so that nobody can choose client names that collide.
#[derive(Default)]
pub(super) struct Hasher(RandomState);

impl Hasher {
    pub(super) fn hash(&self, client: &str) -> u64 {
        self.0.hash_one(client)
    }
}

enum Distinct {
    /// Sorted hashes.
    Exact(Vec<u64>),
    /// HyperLogLog registers: the longest run of leading zeros seen in each of `REGISTERS` parts of the hash space.
    Sketch(Box<[u8]>),
}

impl Default for Distinct {
    fn default() -> Self {
        Self::Exact(Vec::new())
    }
}

impl Distinct {
    fn add(&mut self, hash: u64) {
        match self {
            Self::Exact(hashes) => {
                let Err(place) = hashes.binary_search(&hash) else { return };
                if hashes.len() < EXACT {
                    hashes.insert(place, hash);
                    return;
                }
                let mut registers = vec![0; REGISTERS].into_boxed_slice();
                for known in hashes.iter().chain([&hash]) {
                    register(&mut registers, *known);
                }
                *self = Self::Sketch(registers);
            }
            Self::Sketch(registers) => register(registers, hash),
        }
    }

    fn merge(&mut self, other: &Self) {
        match other {
            Self::Exact(hashes) => hashes.iter().for_each(|hash| self.add(*hash)),
            Self::Sketch(theirs) => {
                if let Self::Exact(hashes) = self {
                    let hashes = std::mem::take(hashes);
                    *self = Self::Sketch(theirs.clone());
                    hashes.iter().for_each(|hash| self.add(*hash));
                } else if let Self::Sketch(ours) = self {
                    for (our, their) in ours.iter_mut().zip(theirs) {
                        *our = (*our).max(*their);
                    }
                }
            }
        }
    }

    fn count(&self) -> u64 {
        let registers = match self {
            Self::Exact(hashes) => return hashes.len() as u64,
            Self::Sketch(registers) => registers,
        };
        let m = REGISTERS as f64;
        let sum: f64 = registers.iter().map(|rank| 0.5f64.powi(i32::from(*rank))).sum();
        let empty = registers.iter().filter(|rank| **rank == 0).count();
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        // Flajolet et al. 2007, figure 3: counting empty registers is more exact as long as there are enough of them.
        let estimate = if raw <= 2.5 * m && empty > 0 { m * (m / empty as f64).ln() } else { raw };
        estimate.round() as u64
    }
}

fn register(registers: &mut [u8], hash: u64) {
    let part = (hash >> (64 - REGISTER_BITS)) as usize;
    let rest = (hash << REGISTER_BITS) | (1 << (REGISTER_BITS - 1));
    if let Some(rank) = registers.get_mut(part) {
        *rank = (*rank).max(rest.leading_zeros() as u8 + 1);
    }
}

const fn hour(at: Time) -> u64 {
    at.secs() / 3600
}

const WINDOW_HOURS: u64 = 24;
/// 512 registers of one octet: a standard error of 4.6 %.
const REGISTER_BITS: u32 = 9;
const REGISTERS: usize = 1 << REGISTER_BITS;
/// As many hashes as fit into the octets of a sketch.
const EXACT: usize = REGISTERS / 8;

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;

    /// A fixed scrambling of small numbers (splitmix64), so that the test does not depend on chance.
    fn hash(n: u64) -> u64 {
        let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    #[test]
    fn few_are_counted_exactly_and_repeats_once() {
        let mut clients = Clients::default();
        for round in 0..3 {
            for n in 0..EXACT as u64 {
                clients.see(hash(n), Time::from_secs(round * HOUR));
            }
        }
        assert_eq!(clients.count(), EXACT as u64);
    }

    #[test]
    fn many_are_estimated() {
        for many in [100u64, 1_000, 20_000] {
            let mut clients = Clients::default();
            for n in 0..many {
                clients.see(hash(n), Time::from_secs(n % 20 * HOUR));
            }
            let off = (clients.count() as f64 / many as f64 - 1.0).abs();
            assert!(off < 0.15, "{many} counted as {}", clients.count());
        }
    }

    #[test]
    fn forgets_after_a_day() {
        let mut clients = Clients::default();
        for n in 0..500 {
            clients.see(hash(n), Time::from_secs(0));
        }
        clients.see(hash(1_000), Time::from_secs(10 * HOUR));
        assert!(clients.count() > 400);
        clients.advance(Time::from_secs(23 * HOUR));
        assert!(clients.count() > 400);
        clients.advance(Time::from_secs(24 * HOUR));
        assert_eq!(clients.count(), 1);
        clients.advance(Time::MAX);
        assert_eq!(clients.count(), 0);
    }

    #[test]
    fn late_reports_make_no_new_hours() {
        let mut clients = Clients::default();
        for n in 0..1_000 {
            clients.see(hash(n), Time::from_secs((1_000 - n) * HOUR));
        }
        assert_eq!(clients.hours.len(), 1);
    }
}
