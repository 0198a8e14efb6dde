//! One reader, several workers: segments travel in batches, with their bytes, by the hash of the canonical flow key.

use std::hash::BuildHasher;
use std::thread;

use hashbrown::DefaultHashBuilder;

use super::reader::Taker;
use super::ring::{PAUSE, RingOutlet};
use super::worker::{Moment, Worker};
use crate::decode::{Endpoint, Segment, Tcp, Transport, Tunnels};
use crate::flow::Key;

/// The reader's side: a lane to each worker.
pub struct Shard {
    hasher: DefaultHashBuilder,
    lanes: Vec<Sender>,
}

/// The worker's side of a lane.
pub struct Receiver {
    full: rtrb::Consumer<Batch>,
    empty: rtrb::Producer<Batch>,
}

struct Sender {
    filling: Batch,
    full: rtrb::Producer<Batch>,
    empty: rtrb::Consumer<Batch>,
}

#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    bytes: Vec<u8>,
    /// The reader is past this frame or tick, whether or not it concerned this worker.
    upto: u64,
    end: Option<Moment>,
}

enum Item {
    Tick(Moment),
    Segment { moment: Moment, frame: u64, head: Head, payload: usize },
}

/// A segment without its payload.
struct Head {
    source: Endpoint,
    destination: Endpoint,
    transport: Transport,
    tcp: Option<Tcp>,
    vlan: Option<u16>,
    tunnels: Tunnels,
    payload_len: u32,
    wire_len: u32,
}

/// A batch travels when it holds so many segments or octets: the cost of a ring is paid once for all of them.
const BATCH_ITEMS: usize = 256;
const BATCH_BYTES: usize = 256 * 1024;

/// Batches on the way to one worker: at most 16 MiB of bytes each.
const LANE: usize = 64;

/// Octets that the lanes of `workers` can hold.
pub const fn memory(workers: usize) -> u64 {
    (workers * (LANE + 1) * (BATCH_BYTES + 0xffff + BATCH_ITEMS * size_of::<Item>())) as u64
}

/// Lanes to `workers` workers.
pub fn lanes(workers: usize) -> (Shard, Vec<Receiver>) {
    let mut lanes = Vec::with_capacity(workers);
    let mut receivers = Vec::with_capacity(workers);
    for _ in 0..workers {
        let (full, full_end) = rtrb::RingBuffer::new(LANE);
        let (empty_end, empty) = rtrb::RingBuffer::new(LANE + 1);
        lanes.push(Sender { filling: Batch::default(), full, empty });
        receivers.push(Receiver { full: full_end, empty: empty_end });
    }
    (Shard { hasher: DefaultHashBuilder::default(), lanes }, receivers)
}

impl Taker for Shard {
    fn segment(&mut self, moment: Moment, frame: u64, segment: &Segment<'_>) {
        let (key, _) = Key::of(segment);
        let worker = (self.hasher.hash_one(key) >> 32) as usize % self.lanes.len().max(1);
        let Some(lane) = self.lanes.get_mut(worker) else { return };
        let batch = &mut lane.filling;
        batch.bytes.extend_from_slice(segment.payload);
        batch.items.push(Item::Segment {
            moment,
            frame,
            head: Head {
                source: segment.source,
                destination: segment.destination,
                transport: segment.transport,
                tcp: segment.tcp,
                vlan: segment.vlan,
                tunnels: segment.tunnels,
                payload_len: segment.payload_len,
                wire_len: segment.wire_len,
            },
            payload: segment.payload.len(),
        });
        if batch.items.len() >= BATCH_ITEMS || batch.bytes.len() >= BATCH_BYTES {
            self.send(worker, moment.ordinal);
        }
    }

    fn tick(&mut self, moment: Moment) {
        for worker in 0..self.lanes.len() {
            if let Some(lane) = self.lanes.get_mut(worker) {
                lane.filling.items.push(Item::Tick(moment));
            }
            self.send(worker, moment.ordinal);
        }
    }

    fn finish(&mut self, moment: Moment) {
        for worker in 0..self.lanes.len() {
            if let Some(lane) = self.lanes.get_mut(worker) {
                lane.filling.end = Some(moment);
            }
            self.send(worker, moment.ordinal);
        }
    }
}

impl Shard {
    /// Sends the batch of one worker; waits for room. While it waits, the others get what there is for them: the collector
    /// may be waiting for word from an idle worker before it can make room for a busy one.
    fn send(&mut self, worker: usize, upto: u64) {
        if let Some(lane) = self.lanes.get_mut(worker) {
            lane.filling.upto = upto;
        }
        while !self.try_send(worker) {
            for other in (0..self.lanes.len()).filter(|o| *o != worker) {
                if let Some(lane) = self.lanes.get_mut(other) {
                    lane.filling.upto = lane.filling.upto.max(upto.saturating_sub(1));
                }
                self.try_send(other);
            }
            thread::sleep(PAUSE);
        }
    }

    fn try_send(&mut self, worker: usize) -> bool {
        let Some(lane) = self.lanes.get_mut(worker) else { return true };
        if lane.full.is_abandoned() {
            return true;
        }
        if lane.full.slots() == 0 {
            return false;
        }
        let fresh = lane.empty.pop().unwrap_or_default();
        let batch = std::mem::replace(&mut lane.filling, fresh);
        lane.full.push(batch).is_ok()
    }
}

impl Receiver {
    /// Works until the reader has ended.
    pub fn work(mut self, worker: &mut Worker<RingOutlet>, first: bool) {
        loop {
            let Ok(mut batch) = self.full.pop() else {
                if self.full.is_abandoned() && self.full.is_empty() {
                    return;
                }
                thread::sleep(PAUSE);
                continue;
            };
            let mut at = 0;
            for item in batch.items.drain(..) {
                match item {
                    Item::Tick(moment) => worker.tick(moment, first),
                    Item::Segment { moment, frame, head, payload } => {
                        let bytes = batch.bytes.get(at..at + payload).unwrap_or_default();
                        at += payload;
                        worker.segment(moment, frame, &head.with(bytes));
                    }
                }
            }
            batch.bytes.clear();
            if let Some(moment) = batch.end.take() {
                // The last announcement comes after the last word: before it, others' ends would be taken first.
                worker.finish(moment);
                worker.announce(moment.ordinal);
                return;
            }
            worker.announce(batch.upto);
            // A ring of the same length takes every batch back; should it be full, the batch is simply freed.
            let _ = self.empty.push(batch);
        }
    }
}

impl Head {
    const fn with<'a>(&self, payload: &'a [u8]) -> Segment<'a> {
        Segment {
            source: self.source,
            destination: self.destination,
            transport: self.transport,
            tcp: self.tcp,
            vlan: self.vlan,
            // They told copies apart, which is done.
            id: 0,
            datagram: &[],
            tunnels: self.tunnels,
            payload,
            payload_len: self.payload_len,
            wire_len: self.wire_len,
        }
    }
}
