//! Lock-free rings from the workers to the collector, and their merge into one order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::update::{Outlet, Update};

/// The worker's end: pushes updates and announces how far it has come.
pub struct RingOutlet {
    ring: rtrb::Producer<Update>,
    reached: Arc<AtomicU64>,
    /// Files wait for room; live capture never does, its flows keep what the ring refuses.
    waits: bool,
}

/// The collector's end of one ring.
pub struct Lane {
    ring: rtrb::Consumer<Update>,
    reached: Arc<AtomicU64>,
}

/// Updates in flight from one worker. A burst of 8,192 ends bridges some 100 ms of 80,000 flows a second.
pub const RING: usize = 8_192;

/// How long a side waits before it looks again at a ring that is full, or empty.
pub const PAUSE: Duration = Duration::from_micros(200);

/// Octets of one ring, without what its updates point to.
pub const fn memory() -> u64 {
    (RING * size_of::<Update>()) as u64
}

pub fn ring(waits: bool) -> (RingOutlet, Lane) {
    let (producer, consumer) = rtrb::RingBuffer::new(RING);
    let reached = Arc::new(AtomicU64::new(0));
    (
        RingOutlet { ring: producer, reached: reached.clone(), waits },
        Lane { ring: consumer, reached },
    )
}

impl RingOutlet {
    /// Everything up to this frame or tick has been pushed.
    pub fn announce(&self, ordinal: u64) {
        self.reached.store(ordinal, Ordering::Release);
    }
}

impl Outlet for RingOutlet {
    fn push(&mut self, update: Update) -> Result<(), Update> {
        let mut update = update;
        loop {
            match self.ring.push(update) {
                Ok(()) => return Ok(()),
                Err(rtrb::PushError::Full(back)) => update = back,
            }
            if !self.waits || self.ring.is_abandoned() {
                return Err(update);
            }
            thread::sleep(PAUSE);
        }
    }
}

/// Takes the rings of all workers in the order of (frame, flow), as one worker would have said it.
pub struct Merger {
    lanes: Vec<Lane>,
}

impl Merger {
    pub const fn new(lanes: Vec<Lane>) -> Self {
        Self { lanes }
    }

    /// Gives at most `most` updates to `take`, with the number of their worker; how many there were.
    ///
    /// The lowest head of all rings is next, if each empty ring's worker has announced that it is past that frame. A ring
    /// that is not empty needs no announcement: its head is the lowest that its worker will ever say.
    pub fn take(&mut self, most: usize, mut take: impl FnMut(usize, Update)) -> usize {
        let mut taken = 0;
        while taken < most {
            let mut lowest: Option<(u64, u64, usize)> = None;
            let mut promised = u64::MAX;
            for (worker, lane) in self.lanes.iter_mut().enumerate() {
                // Read before the ring: what was pushed before the announcement is then seen.
                let reached = lane.reached.load(Ordering::Acquire);
                match lane.ring.peek() {
                    Ok(head) => {
                        let key = (head.ordinal, head.id, worker);
                        lowest = Some(lowest.map_or(key, |l| l.min(key)));
                    }
                    Err(_) if lane.ring.is_abandoned() => {
                        // Its worker is gone and all it said was taken, unless it pushed just before it left.
                        if lane.ring.peek().is_ok() {
                            promised = 0;
                        }
                    }
                    Err(_) => promised = promised.min(reached),
                }
            }
            let Some((ordinal, _, worker)) = lowest.filter(|l| l.0 <= promised) else { break };
            let Some(Ok(update)) = self.lanes.get_mut(worker).map(|l| l.ring.pop()) else { break };
            debug_assert_eq!(update.ordinal, ordinal);
            take(worker, update);
            taken += 1;
        }
        taken
    }

    /// Every worker has left and every update was taken.
    pub fn is_over(&self) -> bool {
        self.lanes.iter().all(|l| l.ring.is_abandoned() && l.ring.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::update::What;
    use crate::time::Time;

    fn update(ordinal: u64, id: u64) -> Update {
        Update { ordinal, at: Time::ZERO, slot: 0, id, what: What::Tick }
    }

    #[test]
    fn an_empty_ring_holds_the_others_back_until_its_worker_is_past() {
        let (mut first, first_lane) = ring(false);
        let (second, second_lane) = ring(false);
        let mut merger = Merger::new(vec![first_lane, second_lane]);
        first.push(update(5, 1)).unwrap();
        first.announce(5);
        assert_eq!(merger.take(10, |_, _| ()), 0);
        second.announce(4);
        assert_eq!(merger.take(10, |_, _| ()), 0);
        second.announce(5);
        assert_eq!(merger.take(10, |_, _| ()), 1);
        assert!(!merger.is_over());
        drop((first, second));
        assert!(merger.is_over());
    }

    #[test]
    fn updates_come_by_frame_then_flow_whatever_their_worker() {
        let (mut first, first_lane) = ring(false);
        let (mut second, second_lane) = ring(false);
        let mut merger = Merger::new(vec![first_lane, second_lane]);
        for (ordinal, id) in [(1, 9), (3, 2), (3, 7)] {
            first.push(update(ordinal, id)).unwrap();
        }
        for (ordinal, id) in [(2, 1), (3, 1), (3, 5)] {
            second.push(update(ordinal, id)).unwrap();
        }
        drop((first, second));
        let mut order = Vec::new();
        merger.take(10, |_, u| order.push((u.ordinal, u.id)));
        assert_eq!(order, [(1, 9), (2, 1), (3, 1), (3, 2), (3, 5), (3, 7)]);
    }

    #[test]
    fn a_full_ring_gives_the_update_back() {
        let (mut outlet, _lane) = ring(false);
        for i in 0..RING as u64 {
            outlet.push(update(i, 0)).unwrap();
        }
        assert_eq!(outlet.push(update(1, 77)).unwrap_err().id, 77);
    }
}
