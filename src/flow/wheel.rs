//! A lazy timer wheel on packet time: a packet never moves a timer; a flow is looked at when its bucket is due, and filed
//! again where it was active meanwhile.

use std::time::Duration;

use crate::time::Time;

/// Buckets of one second. Whoever wants to wait longer than [`HORIZON`] is looked at and filed again.
pub struct Wheel {
    buckets: Vec<Vec<Entry>>,
    /// The next second to look at.
    next: Option<u64>,
}

/// A table slot, and the flow that it held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub slot: u32,
    /// The lower half of the flow's id. One that has the same comes 2^32 frames later; what an entry older than that
    /// did to it would be an early look.
    flow: u32,
}

impl Entry {
    pub const fn of(slot: u32, id: u64) -> Self {
        Self { slot, flow: id as u32 }
    }
}

/// The longest time that an entry lies in the wheel without being looked at.
pub const HORIZON: Duration = Duration::from_secs(60);

/// More than [`HORIZON`] in seconds, so that a bucket holds entries of one second only.
const BUCKETS: u64 = 64;

/// Octets of one entry, for the sum of memory: a bucket's vector may be half empty.
pub const ENTRY_MEMORY: u64 = 2 * size_of::<Entry>() as u64;

impl Wheel {
    pub fn new() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| Vec::new()).collect(), next: None }
    }

    /// Files an entry for the second of `check`, at most [`HORIZON`] after `now`.
    pub fn file(&mut self, entry: Entry, check: Time, now: Time) {
        let next = *self.next.get_or_insert(now.secs());
        let second = check.min(now.plus(HORIZON)).secs().max(next);
        if let Some(bucket) = self.buckets.get_mut((second % BUCKETS) as usize) {
            bucket.push(entry);
        }
    }

    /// Takes out all entries of seconds that are wholly before or at `now`, in no particular order.
    pub fn take_due(&mut self, now: Time, due: &mut Vec<Entry>) {
        let Some(next) = self.next else { return };
        let Some(last) = now.secs().checked_sub(1).filter(|last| *last >= next) else { return };
        // After a long gap each bucket is emptied once, not once a second.
        for second in next..=last.min(next + BUCKETS - 1) {
            if let Some(bucket) = self.buckets.get_mut((second % BUCKETS) as usize) {
                due.append(bucket);
                // A burst of new flows must not leave its room in 64 buckets for ever.
                bucket.shrink_to(KEPT_ENTRIES);
            }
        }
        self.next = Some(last + 1);
    }
}

const KEPT_ENTRIES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Model: a scan over all entries. Whatever the jumps of time, each entry comes once, never before its second, and at
    /// the latest two seconds after it.
    #[test]
    fn every_entry_comes_once_and_in_time() {
        let mut wheel = Wheel::new();
        let mut state = 0x1234_5678_9abc_def1u64;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut now = Time::from_secs(1000);
        let mut open = std::collections::BTreeMap::new();
        for slot in 0..20_000u32 {
            let check = now.plus(Duration::from_millis(random(90_000)));
            wheel.file(Entry::of(slot, 1), check, now);
            open.insert(slot, check.min(now.plus(HORIZON)));
            let jump = if random(500) == 0 { random(400_000) } else { random(50) };
            now = now.plus(Duration::from_millis(jump));
            let mut due = Vec::new();
            wheel.take_due(now, &mut due);
            for entry in due {
                let check = open.remove(&entry.slot).expect("comes once");
                assert!(check <= now, "{slot} came before its time");
            }
            let late = open.values().filter(|c| c.plus(Duration::from_secs(2)) < now).count();
            assert_eq!(late, 0);
        }
    }
}
