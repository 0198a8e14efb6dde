//! The flow table of one worker: bounded, with eviction, a timer wheel and one pool for openings.

use std::collections::VecDeque;

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

use super::Options;
use super::key::{Key, Side};
use super::state::Flow;
use super::wheel::{ENTRY_MEMORY, Entry, HORIZON, Wheel};
use crate::decode::Segment;
use crate::time::Time;

/// Flows by key. A slot number stays the same while its flow lives.
pub struct Table<S> {
    options: Options,
    hasher: DefaultHashBuilder,
    index: HashTable<u32>,
    slots: Vec<Option<Flow<S>>>,
    free: Vec<u32>,
    /// The slot that was found last: segments come in trains.
    recent: u32,
    wheel: Wheel,
    due: Vec<Entry>,
    /// Where the search for a victim goes on.
    hand: usize,
    /// Octets held by openings, and who took them, oldest first.
    opening_bytes: usize,
    holders: VecDeque<Entry>,
}

/// Slots looked at for a victim: the longest silent of sixteen is nearly as good as that of all, at a constant cost.
const CANDIDATES: usize = 16;

impl<S: Default> Table<S> {
    pub fn new(options: Options) -> Self {
        Self {
            options,
            hasher: DefaultHashBuilder::default(),
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            recent: 0,
            wheel: Wheel::new(),
            due: Vec::new(),
            hand: 0,
            opening_bytes: 0,
            holders: VecDeque::new(),
        }
    }

    pub const fn options(&self) -> &Options {
        &self.options
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.len() >= self.options.max_flows.max(1) as usize
    }

    #[inline]
    pub fn find(&mut self, key: &Key) -> Option<u32> {
        if self.flow(self.recent).is_some_and(|f| f.key == *key) {
            return Some(self.recent);
        }
        let found = self.search(key);
        self.recent = found.unwrap_or(self.recent);
        found
    }

    fn search(&self, key: &Key) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        let holds = |slot: &u32| self.flow(*slot).is_some_and(|f| f.key == *key);
        self.index.find(hash, holds).copied()
    }

    pub fn flow(&self, slot: u32) -> Option<&Flow<S>> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub fn flow_mut(&mut self, slot: u32) -> Option<&mut Flow<S>> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// The flow in `entry`'s slot, if it is still the one that the entry was made for.
    fn flow_of(&self, entry: Entry) -> Option<&Flow<S>> {
        self.flow(entry.slot).filter(|flow| Entry::of(entry.slot, flow.id) == entry)
    }

    /// Begins a flow with the segment that shows it first. The key must not be in the table, and the table not full; no other
    /// flow ever has the same `id`.
    pub fn insert(
        &mut self,
        key: Key,
        sender: Side,
        segment: &Segment<'_>,
        at: Time,
        id: u64,
    ) -> u32 {
        let flow = Flow::new(key, sender, segment, at, id, &self.options);
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                (self.slots.len() - 1) as u32
            }
        };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(flow);
        }
        self.file(slot, at);
        let (slots, hasher) = (&self.slots, &self.hasher);
        let rehash = |slot: &u32| {
            let flow = slots.get(*slot as usize).and_then(Option::as_ref);
            flow.map_or(0, |f| hasher.hash_one(f.key))
        };
        self.index.insert_unique(hasher.hash_one(key), slot, rehash);
        slot
    }

    pub fn remove(&mut self, slot: u32) -> Option<Flow<S>> {
        let flow = self.slots.get_mut(slot as usize)?.take()?;
        let hash = self.hasher.hash_one(flow.key);
        if let Ok(entry) = self.index.find_entry(hash, |s| *s == slot) {
            entry.remove();
        }
        self.opening_bytes = self.opening_bytes.saturating_sub(flow.noted());
        self.free.push(slot);
        Some(flow)
    }

    /// The longest silent of the next [`CANDIDATES`] flows.
    pub fn victim(&mut self) -> Option<u32> {
        let mut oldest: Option<(Time, u32)> = None;
        let mut seen = 0;
        for _ in 0..self.slots.len() {
            if seen == CANDIDATES {
                break;
            }
            self.hand = (self.hand + 1) % self.slots.len();
            let Some(flow) = self.flow(self.hand as u32) else { continue };
            seen += 1;
            if oldest.is_none_or(|(last, _)| flow.last < last) {
                oldest = Some((flow.last, self.hand as u32));
            }
        }
        oldest.map(|(_, slot)| slot)
    }

    /// Flows that wanted to be looked at by `now`, by the order of their beginning. Each must be removed or filed again.
    pub fn take_due(&mut self, now: Time) -> Vec<u32> {
        self.wheel.take_due(now, &mut self.due);
        let mut entries = std::mem::take(&mut self.due);
        let mut due: Vec<u32> = Vec::with_capacity(entries.len());
        // A flow that was filed anew for an earlier time leaves its old entry behind.
        let valid = |entry: &Entry| self.flow_of(*entry).is_some_and(|flow| flow.is_due(now));
        due.extend(entries.drain(..).filter(valid).map(|entry| entry.slot));
        self.due = entries;
        due.sort_unstable_by_key(|slot| self.flow(*slot).map(|f| f.id));
        due.dedup();
        due
    }

    /// Files a flow for the next look: after one, and when something made an earlier one needful.
    pub fn file(&mut self, slot: u32, now: Time) {
        let Some(Some(flow)) = self.slots.get_mut(slot as usize) else { return };
        let check = flow.check_at(&self.options).min(now.plus(HORIZON)).max(now);
        flow.file(check);
        self.wheel.file(Entry::of(slot, flow.id), check, now);
    }

    /// All flows, by the order of their beginning.
    pub fn all(&self) -> Vec<u32> {
        let mut all: Vec<u32> =
            (0..self.slots.len() as u32).filter(|s| self.flow(*s).is_some()).collect();
        all.sort_unstable_by_key(|slot| self.flow(*slot).map(|f| f.id));
        all
    }

    /// Notes what is held now for looking at a flow: its openings, and `more` octets. What the pool knows of a flow is kept
    /// with it: they change by segments and by handshakes, and a difference told wrong once would stay in the sum for ever.
    pub fn note_openings(&mut self, slot: u32, more: usize) {
        let Some(flow) = self.flow_mut(slot) else { return };
        let entry = Entry::of(slot, flow.id);
        let (before, held) = flow.note(more);
        self.opening_bytes = (self.opening_bytes + held).saturating_sub(before);
        if before == 0 && held > 0 {
            self.holders.push_back(entry);
            // Two looks at the front for one push at the back: those that ended long ago never pile up.
            for _ in 0..2 {
                let Some(front) = self.holders.front().copied() else { break };
                if self.holds(front) {
                    break;
                }
                self.holders.pop_front();
            }
        }
    }

    /// Frees the openings of a flow that needs them no longer.
    pub fn close_openings(&mut self, slot: u32) {
        let Some(flow) = self.flow_mut(slot) else { return };
        let noted = flow.look_away();
        self.opening_bytes = self.opening_bytes.saturating_sub(noted);
    }

    pub const fn opening_bytes(&self) -> usize {
        self.opening_bytes
    }

    /// The flow that has held octets of the pool longest, where the pool is used up.
    pub fn pool_victim(&mut self) -> Option<u32> {
        if self.opening_bytes <= self.options.opening_pool_mib as usize * 1024 * 1024 {
            return None;
        }
        while let Some(front) = self.holders.pop_front() {
            if self.holds(front) {
                return Some(front.slot);
            }
        }
        None
    }

    fn holds(&self, entry: Entry) -> bool {
        self.flow_of(entry).is_some_and(|flow| flow.noted() > 0)
    }
}

/// Octets of one flow that is not looked at any more, with a progress of `S`: its slot, its place in the index (one octet of tag
/// and four of slot number at a load of 7/16 after growth), its timer, the free list.
pub const fn flow_memory<S>() -> u64 {
    size_of::<Option<Flow<S>>>() as u64 + 5 * 16 / 7 + ENTRY_MEMORY + 4
}
