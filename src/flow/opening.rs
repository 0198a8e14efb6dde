//! The first in-order bytes of one direction of a stream, from segments in any order, overlapping, repeated or wrapped.

/// What is known of the beginning of one direction.
///
/// ```text
///   base                         Segments are placed by their distance from `base`. When the SYN was missed, `base`
///   |                            is the lowest sequence number seen so far, and an earlier segment moves it down.
///   v
///   [ first range ][  hole  ][ second range ]
///   '-- bytes() --'
/// ```
#[derive(Debug, Default)]
pub struct Opening {
    base: Option<u32>,
    /// `base` comes from a SYN or from the peer's acknowledgment of one: nothing can lie before it.
    certain: bool,
    bytes: Vec<u8>,
    /// Present ranges of `bytes`, sorted, disjoint, not touching.
    ranges: Ranges,
}

/// What became of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// The in-order bytes are more than before, or begin elsewhere.
    Grew,
    /// Nothing new to look at: a duplicate, or a piece behind a hole.
    Same,
    /// More holes than [`MAX_RANGES`]; the piece was left out.
    TooManyHoles,
    /// It lies outside the window of `limit` octets from the base.
    Outside,
}

/// Pieces with holes between them that one opening remembers. A sender's burst reordered on a span port gives two or
/// three; eight leaves room and keeps an opening's size a constant.
pub const MAX_RANGES: usize = 8;

impl Opening {
    /// The beginning is known: the sequence number after the SYN. Of several SYNs with numbers of their own, as behind a
    /// balancer that tries one server after another, the last before any payload holds.
    pub fn begins_at(&mut self, sequence: u32) {
        if self.certain && !self.bytes.is_empty() {
            return;
        }
        if let Some(base) = self.base
            && base != sequence
        {
            // Bytes kept under a guessed base are moved to where they belong; what lay before the beginning goes.
            let shift = base.wrapping_sub(sequence) as i32;
            let distance = shift.unsigned_abs() as usize;
            let (up, cut) = if shift >= 0 { (distance, 0) } else { (0, distance) };
            let old = std::mem::take(&mut self.bytes);
            let ranges = std::mem::take(&mut self.ranges);
            self.base = Some(sequence);
            for (start, end) in ranges.iter() {
                let from = start.max(cut);
                let place = from - cut + up;
                if let Some(piece) = old.get(from..end).filter(|_| place < MAX_OPENING) {
                    self.insert(place, piece);
                }
            }
        }
        self.base = Some(sequence);
        self.certain = true;
    }

    /// Whether nothing can lie before the first byte.
    pub const fn is_certain(&self) -> bool {
        self.certain
    }

    /// Places the payload of one segment; keeps no byte at a distance of `limit` or more.
    pub fn place(&mut self, sequence: u32, payload: &[u8], limit: usize) -> Placed {
        if payload.is_empty() {
            return Placed::Same;
        }
        let limit = limit.min(MAX_OPENING);
        let base = *self.base.get_or_insert(sequence);
        let distance = sequence.wrapping_sub(base) as i32;
        if distance < 0 {
            let before = distance.unsigned_abs() as usize;
            if self.certain {
                // A retransmission from before the beginning: only its tail can be new (RFC 9293 section 3.10.7.4).
                return match payload.get(before..) {
                    Some(tail) if !tail.is_empty() => self.put(0, tail, limit),
                    _ => Placed::Same,
                };
            }
            if before > limit {
                return Placed::Outside;
            }
            return self.move_base(sequence, before, payload, limit);
        }
        self.put(distance as usize, payload, limit)
    }

    /// The bytes in order from the beginning; empty while the first piece is missing.
    pub fn bytes(&self) -> &[u8] {
        let end = match self.ranges.iter().next() {
            Some((0, end)) => end,
            _ => 0,
        };
        self.bytes.get(..end).unwrap_or_default()
    }

    /// Octets of memory held.
    pub fn held(&self) -> usize {
        self.bytes.capacity()
    }

    /// Forgets everything and begins anew at `sequence`: the next request on a connection.
    pub fn restart(&mut self, sequence: u32) {
        *self = Self { base: Some(sequence), certain: true, ..Self::default() };
    }

    /// Frees the bytes, keeps the beginning.
    pub fn clear(&mut self) {
        self.bytes = Vec::new();
        self.ranges = Ranges::default();
    }

    fn move_base(&mut self, sequence: u32, shift: usize, payload: &[u8], limit: usize) -> Placed {
        let old = std::mem::take(&mut self.bytes);
        let ranges = std::mem::take(&mut self.ranges);
        self.base = Some(sequence);
        let placed = self.put(0, payload, limit);
        for (start, end) in ranges.iter() {
            let piece = old.get(start..end).unwrap_or_default();
            self.put(start + shift, piece, limit);
        }
        placed
    }

    fn put(&mut self, offset: usize, payload: &[u8], limit: usize) -> Placed {
        let Some(room) = limit.checked_sub(offset).filter(|room| *room > 0) else {
            return Placed::Outside;
        };
        let piece = payload.get(..payload.len().min(room)).unwrap_or_default();
        let before = self.bytes().len();
        if !self.insert(offset, piece) {
            return Placed::TooManyHoles;
        }
        if self.bytes().len() > before { Placed::Grew } else { Placed::Same }
    }

    /// Writes `piece` where nothing is yet (the first copy of a byte wins); false where that would make too many ranges.
    fn insert(&mut self, offset: usize, piece: &[u8]) -> bool {
        let end = offset + piece.len();
        let mut ranges = self.ranges;
        if !ranges.add(offset, end) {
            return false;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let mut at = offset;
        while at < end {
            // The next stretch of `piece` that no present range covers.
            let (covered_to, next) = self.ranges.cover(at);
            if let Some(to) = covered_to {
                at = to;
                continue;
            }
            let to = next.map_or(end, |n| n.min(end));
            if let (Some(room), Some(new)) =
                (self.bytes.get_mut(at..to), piece.get(at - offset..to - offset))
            {
                room.copy_from_slice(new);
            }
            at = to;
        }
        self.ranges = ranges;
        true
    }
}

/// No opening is longer, whatever the options say: ranges are kept in 16 bits.
pub const MAX_OPENING: usize = 0xffff;

/// At most [`MAX_RANGES`] sorted, disjoint, non-touching ranges.
#[derive(Clone, Copy, Debug, Default)]
struct Ranges {
    used: u8,
    slots: [(u16, u16); MAX_RANGES],
}

impl Ranges {
    fn iter(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.slots.iter().take(self.used.into()).map(|(s, e)| (usize::from(*s), usize::from(*e)))
    }

    /// Adds a range, joining what it touches; false, and nothing done, where that needs one slot too many.
    fn add(&mut self, start: usize, end: usize) -> bool {
        let (mut start, mut end) = (start, end);
        let mut joined = Self::default();
        let mut placed = false;
        for (s, e) in self.iter() {
            if e < start {
                joined.push(s, e);
            } else if s > end {
                if !placed {
                    placed = true;
                    if !joined.push(start, end) {
                        return false;
                    }
                }
                if !joined.push(s, e) {
                    return false;
                }
            } else {
                start = start.min(s);
                end = end.max(e);
            }
        }
        if !placed && !joined.push(start, end) {
            return false;
        }
        *self = joined;
        true
    }

    fn push(&mut self, start: usize, end: usize) -> bool {
        let (Ok(start), Ok(end)) = (u16::try_from(start), u16::try_from(end)) else {
            return false;
        };
        match self.slots.get_mut(usize::from(self.used)) {
            Some(slot) => {
                *slot = (start, end);
                self.used += 1;
                true
            }
            None => false,
        }
    }

    /// (end of the range that covers `at`, start of the next range after `at`).
    fn cover(&self, at: usize) -> (Option<usize>, Option<usize>) {
        for (s, e) in self.iter() {
            if s <= at && at < e {
                return (Some(e), None);
            }
            if s > at {
                return (None, Some(s));
            }
        }
        (None, None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn in_order_pieces_join() {
        let mut opening = Opening::default();
        opening.begins_at(1000);
        assert_eq!(opening.place(1000, b"hel", 64), Placed::Grew);
        assert_eq!(opening.place(1003, b"lo", 64), Placed::Grew);
        assert_eq!(opening.place(1003, b"lo", 64), Placed::Same);
        assert_eq!(opening.bytes(), b"hello");
    }

    #[test]
    fn an_earlier_segment_moves_a_guessed_base() {
        let mut opening = Opening::default();
        opening.place(5, b"world", 64);
        assert_eq!(opening.bytes(), b"world");
        assert_eq!(opening.place(0xffff_ffff, b"hello ", 64), Placed::Grew);
        assert_eq!(opening.bytes(), b"hello world");
    }

    #[test]
    fn a_late_syn_puts_the_pieces_where_they_belong() {
        let mut opening = Opening::default();
        opening.place(106, b"world", 64);
        opening.begins_at(100);
        assert_eq!(opening.bytes(), b"");
        opening.place(100, b"hello ", 64);
        assert_eq!(opening.bytes(), b"hello world");
    }

    #[test]
    fn the_last_syn_before_any_payload_holds() {
        let mut opening = Opening::default();
        for sequence in [100, 0xffff_0000, 5_000] {
            opening.begins_at(sequence);
        }
        assert_eq!(opening.place(5_000, b"hello", 64), Placed::Grew);
        opening.begins_at(4_998);
        assert_eq!((opening.bytes(), opening.is_certain()), (&b"hello"[..], true));
    }

    #[test]
    fn a_late_syn_cuts_off_what_lay_before_the_beginning() {
        let mut opening = Opening::default();
        opening.place(99, b"xhello", 64);
        opening.begins_at(100);
        assert_eq!(opening.bytes(), b"hello");
    }

    #[test]
    fn nothing_is_kept_beyond_the_limit_and_holes_are_bounded() {
        let mut opening = Opening::default();
        opening.begins_at(0);
        assert_eq!(opening.place(60, b"0123456789", 64), Placed::Same);
        assert_eq!(opening.place(64, b"x", 64), Placed::Outside);
        assert!(opening.held() <= 64);
        let mut holed = Opening::default();
        holed.begins_at(0);
        for i in 0..MAX_RANGES as u32 {
            assert_eq!(holed.place(10 + i * 3, b"x", 1024), Placed::Same);
        }
        assert_eq!(holed.place(900, b"x", 1024), Placed::TooManyHoles);
    }

    proptest! {
        /// Model: a map from position to the first byte that came for it. Pieces come in any order, overlap, repeat, wrap.
        #[test]
        fn any_pieces_equal_the_model(
            isn in any::<u32>(),
            certain in any::<bool>(),
            pieces in prop::collection::vec((0usize..200, 1usize..60), 1..24),
        ) {
            let stream: Vec<u8> = (0..260u32).map(|i| (i * 7 + 3) as u8).collect();
            let mut opening = Opening::default();
            if certain { opening.begins_at(isn); }
            let mut model = vec![false; 260];
            let mut lowest = usize::MAX;
            let mut refused = false;
            for (offset, len) in pieces {
                let sequence = isn.wrapping_add(offset as u32);
                let placed = opening.place(sequence, &stream[offset..offset + len], 4096);
                if placed == Placed::TooManyHoles { refused = true; continue; }
                lowest = lowest.min(offset);
                model[offset..offset + len].fill(true);
            }
            let begin = if certain { 0 } else { lowest };
            let end = (begin..260).find(|i| !model[*i]).unwrap_or(260);
            if !refused {
                prop_assert_eq!(opening.bytes(), &stream[begin..end]);
            } else {
                prop_assert!(stream[begin..].starts_with(opening.bytes()));
            }
        }
    }
}
