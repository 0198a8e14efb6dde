//! Candidates for a signature: the registrable domains that are nobody's signature and carry most, in bounded memory.

use std::collections::HashMap;
use std::sync::Arc;

use super::visibility::Share;

/// Counts by the Space-Saving scheme (Metwally, Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements in
/// Data Streams, 2005): a domain that is new to a full table takes the place of the lightest and inherits its weight, so
/// that whatever carries more than a [`PLACES`]th of all octets is in the table, with an excess that is told.
#[derive(Debug, Default)]
pub struct Candidates {
    places: Vec<Place>,
    by_domain: HashMap<Arc<str>, u32>,
}

/// Domains that are counted. A network of some thousand clients meets some ten thousand in a day, of which the first
/// hundred are worth a look.
const PLACES: usize = 1_024;

/// Octets of one of them: a name of 32, its place, and its entry in a map that may be half empty.
const PLACE_OCTETS: usize = 32 + 2 * size_of::<usize>() + size_of::<Place>() + 2 * 32;

/// Octets that the table can hold.
pub const MEMORY: u64 = (PLACES * PLACE_OCTETS) as u64;

#[derive(Debug)]
struct Place {
    domain: Arc<str>,
    /// Rises when another domain takes the place.
    generation: u32,
    share: Share,
    /// Octets inherited from the domain before.
    excess: u64,
}

/// Where the octets of a flow are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    place: u32,
    generation: u32,
}

/// One domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub domain: Arc<str>,
    pub share: Share,
    /// How many of the octets may be those of domains that had its place before.
    pub excess: u64,
}

impl Candidates {
    /// A flow of `domain` begins.
    pub fn flow(&mut self, domain: &str) -> Ticket {
        let place = match self.by_domain.get(domain) {
            Some(place) => *place,
            None => self.take_place(domain),
        };
        let Some(held) = self.places.get_mut(place as usize) else {
            return Ticket { place: u32::MAX, generation: 0 };
        };
        held.share.flows += 1;
        Ticket { place, generation: held.generation }
    }

    /// Octets of a flow that began with `ticket`; without effect where another domain has its place by now.
    pub fn bytes(&mut self, ticket: Ticket, bytes: u64) {
        if let Some(held) = self.places.get_mut(ticket.place as usize)
            && held.generation == ticket.generation
        {
            held.share.bytes += bytes;
        }
    }

    /// The heaviest, by octets.
    pub fn top(&self, most: usize) -> Vec<Candidate> {
        let mut all: Vec<&Place> = self.places.iter().collect();
        all.sort_unstable_by(|a, b| {
            b.share.bytes.cmp(&a.share.bytes).then_with(|| a.domain.cmp(&b.domain))
        });
        let candidate = |place: &Place| Candidate {
            domain: place.domain.clone(),
            share: place.share,
            excess: place.excess,
        };
        all.into_iter().take(most).map(candidate).collect()
    }

    fn take_place(&mut self, domain: &str) -> u32 {
        let domain: Arc<str> = domain.into();
        let lightest = if self.places.len() < PLACES {
            self.places.push(Place {
                domain: domain.clone(),
                generation: 0,
                share: Share::default(),
                excess: 0,
            });
            self.places.len() - 1
        } else {
            let by_weight = |(_, place): &(usize, &Place)| (place.share.bytes, place.share.flows);
            let lightest = self.places.iter().enumerate().min_by_key(by_weight);
            let lightest = lightest.map_or(0, |(index, _)| index);
            if let Some(place) = self.places.get_mut(lightest) {
                self.by_domain.remove(&place.domain);
                place.domain = domain.clone();
                place.generation = place.generation.wrapping_add(1);
                place.excess = place.share.bytes;
                place.share.flows = 0;
            }
            lightest
        };
        let place = u32::try_from(lightest).unwrap_or(u32::MAX);
        self.by_domain.insert(domain, place);
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_come_first() {
        let mut candidates = Candidates::default();
        let small = candidates.flow("small.example");
        let large = candidates.flow("large.example");
        candidates.bytes(small, 10);
        candidates.bytes(large, 1_000);
        assert_eq!(candidates.flow("small.example"), small);
        let top = candidates.top(9);
        assert_eq!(top.len(), 2);
        assert_eq!((&*top[0].domain, top[0].share.bytes), ("large.example", 1_000));
        assert_eq!(top[1].share, Share { flows: 2, bytes: 10 });
        assert_eq!(candidates.top(1).len(), 1);
    }

    #[test]
    fn a_flood_of_names_pushes_out_no_heavy_one_and_takes_no_memory() {
        let mut candidates = Candidates::default();
        let heavy = candidates.flow("heavy.example");
        candidates.bytes(heavy, 1_000_000);
        let early = candidates.flow("early.example");
        for n in 0..5 * PLACES {
            let ticket = candidates.flow(&format!("n{n}.example"));
            candidates.bytes(ticket, 1);
        }
        candidates.bytes(early, 1_000_000_000);
        assert_eq!((candidates.places.len(), candidates.by_domain.len()), (PLACES, PLACES));
        let top = candidates.top(2);
        assert_eq!((&*top[0].domain, top[0].excess), ("heavy.example", 0));
        assert!(top[1].share.bytes < 100, "a place that is another's by now: {:?}", top[1]);
        assert!(top[1].excess > 0);
    }
}
