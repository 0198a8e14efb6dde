//! Octets that come in pieces, in any order, repeated or overlapping: a handshake in CRYPTO frames or DTLS fragments.

/// At most [`MAX_OCTETS`] octets in at most [`MAX_RANGES`] ranges with holes between them.
#[derive(Debug, Default)]
pub struct Pieces {
    bytes: Vec<u8>,
    /// What is there: sorted, disjoint, not touching.
    ranges: Vec<(usize, usize)>,
}

/// Octets kept: a browser's hello with a post-quantum share has 2 KiB, and as much as is looked at of a stream is enough.
pub const MAX_OCTETS: usize = 16 * 1024;

/// Browsers cut a hello into some ten frames a packet and shuffle them: those of three packets fit twice.
pub const MAX_RANGES: usize = 64;

impl Pieces {
    /// Adds a piece; where pieces overlap the first stays. False where a bound kept some of it out.
    pub fn add(&mut self, at: u64, piece: &[u8]) -> bool {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let room = MAX_OCTETS.saturating_sub(at);
        let kept = piece.get(..room).unwrap_or(piece);
        let whole = kept.len() == piece.len();
        (kept.is_empty() || self.insert(at, at + kept.len(), kept)) && whole
    }

    /// The octets from the beginning to the first hole.
    pub fn beginning(&self) -> &[u8] {
        match self.ranges.first() {
            Some((0, end)) => self.bytes.get(..*end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Octets of memory that it takes.
    pub const fn octets(&self) -> usize {
        self.bytes.capacity() + self.ranges.capacity() * size_of::<(usize, usize)>()
    }

    fn insert(&mut self, at: usize, end: usize, piece: &[u8]) -> bool {
        // Ranges that overlap the piece or touch it become one with it.
        let first = self.ranges.partition_point(|range| range.1 < at);
        let after = self.ranges.partition_point(|range| range.0 <= end);
        if first == after && self.ranges.len() == MAX_RANGES {
            return false;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let joined = self.ranges.get(first..after).unwrap_or_default();
        let mut from = at;
        for &(begins, ends) in joined.iter().chain(&[(end, end)]) {
            if let (Some(hole), Some(new)) = (
                self.bytes.get_mut(from..begins.max(from)),
                piece.get(from - at..begins.max(from) - at),
            ) {
                hole.copy_from_slice(new);
            }
            from = ends.clamp(from, end);
        }
        let begins = joined.first().map_or(at, |range| range.0.min(at));
        let ends = joined.last().map_or(end, |range| range.1.max(end));
        self.ranges.splice(first..after, [(begins, ends)]);
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_hold_and_are_told() {
        let mut pieces = Pieces::default();
        assert!(pieces.add(u64::MAX, b"") && pieces.add(9, b""));
        assert!(!pieces.add(u64::MAX, b"a") && !pieces.add(MAX_OCTETS as u64, b"a"));
        assert_eq!(pieces.octets(), 0);
        assert!(!pieces.add(MAX_OCTETS as u64 - 1, b"ab"), "its first octet is kept");
        for hole in 0..MAX_RANGES as u64 - 1 {
            assert!(pieces.add(hole * 2 + 1, b"x"));
        }
        assert!(!pieces.add(1000, b"x"), "one hole too many");
        assert!(pieces.add(0, b"01234"), "what fills a hole is always welcome");
        assert_eq!(pieces.beginning(), b"0x2x4x");
        assert!(pieces.octets() < MAX_OCTETS + 4096);
    }

    proptest! {
        /// Against a map of octets: the first copy of each stays.
        #[test]
        fn any_order_gives_the_same(
            parts in prop::collection::vec((0_usize..60, prop::collection::vec(any::<u8>(), 0..20)), 0..40),
        ) {
            let mut pieces = Pieces::default();
            let mut map = std::collections::BTreeMap::new();
            for (at, part) in &parts {
                prop_assert!(pieces.add(*at as u64, part));
                for (offset, octet) in part.iter().enumerate() {
                    map.entry(at + offset).or_insert(*octet);
                }
                let expected: Vec<u8> = (0..).map_while(|at| map.get(&at).copied()).collect();
                prop_assert_eq!(pieces.beginning(), expected);
            }
        }
    }
}
