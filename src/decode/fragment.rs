//! Fragments that wait for the rest of their datagram (RFC 791 section 3.2, RFC 8200 section 4.5), within bounds.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::network::Cut;
use super::tunnel::Trail;
use super::{Address, Counter, Options, Refusal, Rest};
use crate::count::Cells;
use crate::time::Time;

/// Datagrams of which some fragments came.
///
/// A fragment that came before is left out: a span port may mirror every frame twice. One that contradicts an earlier one
/// (overlap, another end) ends the datagram, as RFC 8200 section 4.5 and common receivers have it, and begins another: the
/// 16 bits of an IPv4 identification come again soon.
pub(super) struct Fragments {
    most: usize,
    pool: usize,
    patience: Duration,
    waiting: HashMap<Key, Datagram>,
    /// In the order in which they began, so also in that in which they expire. The serial tells whether the datagram of a key
    /// is still the one that is meant.
    order: VecDeque<(Time, u64, Key)>,
    serial: u64,
    octets: usize,
    cells: Arc<Cells<Counter>>,
}

/// What the fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) source: Address,
    pub(super) destination: Address,
    pub(super) id: u32,
    pub(super) what: What,
    /// Tunnels around it: addresses inside of one are not those outside.
    pub(super) depth: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    /// IPv4, with its protocol.
    V4(u8),
    /// IPv6: next headers of one datagram may differ, that of the first fragment counts.
    V6,
    /// CAPWAP data (RFC 5415 section 3.4).
    Capwap,
}

/// The frame that a datagram began in, and what is around it there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Origin {
    pub(super) number: u64,
    pub(super) trail: Trail,
}

/// A datagram that became whole, or what there is of it once no more is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole {
    pub(super) origin: Origin,
    /// What the first fragment said that the datagram begins with.
    pub(super) next: u8,
    /// Octets of it on the wire; the buffer holds less where a capture cut a fragment.
    pub(super) wire: u32,
    /// Octets of all its frames on the wire.
    pub(super) frames: u32,
}

struct Datagram {
    serial: u64,
    /// By their place.
    pieces: Vec<Piece>,
    /// Where the last fragment ends, once it came.
    end: Option<u32>,
    /// Octets that came.
    have: u32,
    frames: u32,
    next: u8,
    origin: Origin,
    /// Whole, and passed on: remembered for the sake of fragments that come again.
    done: bool,
}

struct Piece {
    start: u32,
    end: u32,
    last: bool,
    /// Tells a fragment that comes again from another one.
    print: u64,
    bytes: Box<[u8]>,
}

/// Fragments of one datagram: 65,535 octets over a link of 576, which IPv4 hosts must take (RFC 791), are 119.
pub(super) const MAX_PIECES: usize = 128;

/// Octets of the longest datagram.
pub(super) const LONGEST: usize = 0xffff;

/// Octets that a fragment takes besides its own: its entry, twice as a vector grows by doubling, and the allocator's.
const PIECE: usize = 2 * size_of::<Piece>() + 16;

/// Octets of a datagram without its fragments: its places in the table, at most 7/8 full, and in the queue. Both double, and
/// while they do, the old one is still there.
pub(super) const DATAGRAM: u64 =
    (4 * (size_of::<(Key, Datagram)>() + 1) + 3 * size_of::<(Time, u64, Key)>()) as u64;

impl Fragments {
    pub(super) fn new(options: &Options, cells: Arc<Cells<Counter>>) -> Self {
        Self {
            most: options.max_fragmented as usize,
            pool: options.fragment_pool_mib as usize * 1024 * 1024,
            patience: Duration::from_secs(options.fragment_seconds.into()),
            waiting: HashMap::new(),
            order: VecDeque::new(),
            serial: 0,
            octets: 0,
            cells,
        }
    }

    /// Takes one fragment, of a frame (or a whole datagram around it) of `frame` octets on the wire. Where it is the last that was missing, `whole` holds
    /// the datagram: all of it, or what precedes the first octet that the capture lacks.
    pub(super) fn add(
        &mut self,
        at: Time,
        key: Key,
        (cut, rest): (Cut, Rest<'_>),
        (origin, frame): (Origin, u32),
        whole: &mut Vec<u8>,
    ) -> Result<Option<Whole>, Refusal> {
        // Any but the last is a multiple of eight octets, and no datagram is longer than its length field can say.
        let end = cut.start.saturating_add(rest.wire);
        let odd = cut.more && (rest.wire == 0 || !rest.wire.is_multiple_of(8));
        if odd || end as usize > LONGEST {
            return Err(Refusal::BadLength);
        }
        let piece = Piece {
            start: cut.start,
            end,
            last: !cut.more,
            print: print(rest.bytes),
            bytes: Box::default(),
        };
        let known = self.waiting.get(&key).map(|known| (known.judge(&piece), known.done));
        match known {
            Some((Verdict::Repeated, _)) => {
                self.cells.add(Counter::Repeated, 1);
                return Ok(None);
            }
            Some((Verdict::New, false)) => {}
            Some((Verdict::Full, false)) => {
                self.drop(&key, Some(Counter::TooManyPieces));
                return Ok(None);
            }
            Some((_, done)) => {
                self.drop(&key, (!done).then_some(Counter::Overlapping));
                self.begin(at, key);
            }
            None => self.begin(at, key),
        }
        let Some(datagram) = self.waiting.get_mut(&key) else { return Ok(None) };
        let piece = Piece { bytes: rest.bytes.into(), ..piece };
        self.octets += PIECE + piece.bytes.len();
        datagram.take(piece, (cut.next, origin), frame);
        let found = datagram.is_whole().then(|| {
            self.cells.add(Counter::Reassembled, 1);
            let (found, held) = datagram.finish(whole);
            self.octets = self.octets.saturating_sub(held);
            found
        });
        while self.octets > self.pool && self.evict() {}
        self.cells.set(Counter::Waiting, self.octets as u64);
        Ok(found)
    }

    /// Gives up what did not become whole in time. Where the beginning came, `part` holds what followed it without a gap; then
    /// more may be overdue.
    pub(super) fn overdue(&mut self, at: Time, part: &mut Vec<u8>) -> Option<(Key, Whole)> {
        while let Some((began, serial, key)) = self.order.front().copied() {
            if at.since(began) <= self.patience {
                break;
            }
            self.order.pop_front();
            if let Some(mut datagram) = self.drop_serial(&key, serial, Counter::Expired)
                && datagram.pieces.first().is_some_and(|p| p.start == 0)
            {
                return Some((key, datagram.finish(part).0));
            }
        }
        None
    }

    fn begin(&mut self, at: Time, key: Key) {
        while self.order.len() >= self.most.max(1) && self.evict() {}
        self.serial += 1;
        self.order.push_back((at, self.serial, key));
        self.waiting.insert(key, Datagram::new(self.serial));
    }

    /// Gives up the oldest; false where there is none.
    fn evict(&mut self) -> bool {
        let Some((_, serial, key)) = self.order.pop_front() else { return false };
        self.drop_serial(&key, serial, Counter::Evicted);
        true
    }

    /// The datagram, where it is still that one and was not passed on.
    fn drop_serial(&mut self, key: &Key, serial: u64, reason: Counter) -> Option<Datagram> {
        let Entry::Occupied(entry) = self.waiting.entry(*key) else { return None };
        if entry.get().serial != serial {
            return None;
        }
        let datagram = entry.remove();
        self.octets = self.octets.saturating_sub(datagram.octets());
        self.cells.set(Counter::Waiting, self.octets as u64);
        if datagram.done {
            return None;
        }
        self.cells.add(reason, 1);
        Some(datagram)
    }

    fn drop(&mut self, key: &Key, reason: Option<Counter>) {
        if let Some(datagram) = self.waiting.remove(key) {
            self.octets = self.octets.saturating_sub(datagram.octets());
        }
        if let Some(reason) = reason {
            self.cells.add(reason, 1);
        }
    }
}

enum Verdict {
    New,
    Repeated,
    Contradicts,
    Full,
}

impl Datagram {
    fn new(serial: u64) -> Self {
        Self {
            serial,
            pieces: Vec::new(),
            end: None,
            have: 0,
            frames: 0,
            next: 0,
            origin: Origin::default(),
            done: false,
        }
    }

    fn judge(&self, new: &Piece) -> Verdict {
        let at = self.pieces.partition_point(|p| p.start < new.start);
        let before = at.checked_sub(1).and_then(|at| self.pieces.get(at));
        let after = self.pieces.get(at);
        let same = |p: &Piece| {
            (p.start, p.end, p.last, p.print) == (new.start, new.end, new.last, new.print)
        };
        if after.is_some_and(same) {
            return Verdict::Repeated;
        }
        let beyond = match self.end {
            Some(end) => new.end > end || new.last,
            None => new.last && self.pieces.last().is_some_and(|p| p.end > new.end),
        };
        let overlaps = before.is_some_and(|p| p.end > new.start)
            || after.is_some_and(|p| p.start < new.end || p.start == new.start);
        if beyond || overlaps {
            Verdict::Contradicts
        } else if self.pieces.len() >= MAX_PIECES {
            Verdict::Full
        } else {
            Verdict::New
        }
    }

    fn take(&mut self, piece: Piece, begins: (u8, Origin), frame: u32) {
        if piece.start == 0 {
            (self.next, self.origin) = begins;
        }
        if piece.last {
            self.end = Some(piece.end);
        }
        self.have += piece.end - piece.start;
        self.frames = self.frames.saturating_add(frame);
        let at = self.pieces.partition_point(|p| p.start < piece.start);
        self.pieces.insert(at, piece);
    }

    fn is_whole(&self) -> bool {
        self.end == Some(self.have)
    }

    /// Moves the octets to `whole`, as far as they were captured without a gap; and how many the fragments held.
    fn finish(&mut self, whole: &mut Vec<u8>) -> (Whole, usize) {
        self.done = true;
        whole.clear();
        let (mut wire, mut held) = (0, 0);
        for piece in &mut self.pieces {
            let bytes = std::mem::take(&mut piece.bytes);
            held += bytes.len();
            if whole.len() == piece.start as usize {
                whole.extend_from_slice(&bytes);
            }
            if wire == piece.start {
                wire = piece.end;
            }
        }
        let Self { origin, next, frames, .. } = *self;
        (Whole { origin, next, wire, frames }, held)
    }

    fn octets(&self) -> usize {
        self.pieces.iter().map(|p| PIECE + p.bytes.len()).sum()
    }
}

/// A number that fragments with other octets do not share by accident.
fn print(bytes: &[u8]) -> u64 {
    let (words, tail) = bytes.as_chunks::<8>();
    let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(ODD).rotate_left(29);
    let sum =
        words.iter().fold(bytes.len() as u64, |sum, word| mix(sum, u64::from_le_bytes(*word)));
    tail.iter().fold(sum, |sum, octet| mix(sum, u64::from(*octet)))
}

/// 2^64 divided by the golden ratio: odd, and without a pattern in its bits.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests;
