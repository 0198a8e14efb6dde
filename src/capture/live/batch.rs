//! Frames copied out of the kernel's ring: as many as lie ready, so that libpcap is called once for many.

use std::time::Duration;

use crate::capture::Link;
use crate::capture::clock::SKEW;
use crate::time::Time;

/// Frames of one round over all interfaces. Its memory is kept from round to round.
#[derive(Debug, Default)]
pub(super) struct Batch {
    octets: Vec<u8>,
    records: Vec<Record>,
    /// The first record that was not taken yet.
    at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) raw: Time,
    pub(super) link: Link,
    pub(super) interface: u16,
    pub(super) wire_len: u32,
    start: usize,
    len: usize,
}

impl Batch {
    pub(super) fn clear(&mut self) {
        self.octets.clear();
        self.records.clear();
        self.at = 0;
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.at >= self.records.len()
    }

    pub(super) const fn octets(&self) -> usize {
        self.octets.len()
    }

    pub(super) fn push(
        &mut self,
        raw: Time,
        link: Link,
        interface: u16,
        wire_len: u32,
        bytes: &[u8],
    ) {
        let (start, len) = (self.octets.len(), bytes.len());
        self.octets.extend_from_slice(bytes);
        let wire_len = wire_len.max(u32::try_from(len).unwrap_or(u32::MAX));
        self.records.push(Record { raw, link, interface, wire_len, start, len });
    }

    /// Makes timestamps good: none is later than `wall`, the time at which they were read; all are moved `ahead`, so far
    /// as the wall clock was set back. Frames of several interfaces come into the order of time. How many were stamped by
    /// another clock: more than [`SKEW`] after they were read.
    pub(super) fn settle(&mut self, wall: Time, ahead: Duration, several: bool) -> u64 {
        let mut skewed = 0;
        for record in &mut self.records {
            skewed += u64::from(record.raw > wall.plus(SKEW));
            record.raw = record.raw.min(wall).plus(ahead);
        }
        if several {
            self.records.sort_by_key(|r| r.raw);
        }
        skewed
    }

    pub(super) fn first(&self) -> Option<Record> {
        self.records.get(self.at).copied()
    }

    /// The octets of the first record, which is left behind.
    pub(super) fn take(&mut self, record: Record) -> &[u8] {
        self.at += 1;
        self.octets.get(record.start..record.start + record.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_several_interfaces_come_in_the_order_of_time() {
        let t = Time::from_secs;
        let mut batch = Batch::default();
        for (at, interface, bytes) in [(3, 0, "a3"), (9, 0, "a9"), (2, 1, "b2"), (3, 1, "b3")] {
            batch.push(t(at), Link::ETHERNET, interface, 60, bytes.as_bytes());
        }
        assert_eq!(batch.settle(t(5), Duration::from_secs(100), true), 1);
        let mut seen = Vec::new();
        while let Some(record) = batch.first() {
            let bytes = String::from_utf8(batch.take(record).to_vec()).unwrap();
            seen.push((record.raw.secs(), record.interface, bytes));
        }
        let wanted = [(102, 1, "b2"), (103, 0, "a3"), (103, 1, "b3"), (105, 0, "a9")];
        assert_eq!(seen, wanted.map(|(t, i, b)| (t, i, b.to_owned())));
    }
}
