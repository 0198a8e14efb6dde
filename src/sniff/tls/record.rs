//! The record layer of TLS as far as it is in the clear, and handshake messages across records.

use crate::sniff::reader::Reader;

/// What the next record holds.
pub enum Record<'a> {
    /// A fragment of handshake; the last one of the opening may be cut.
    Handshake(&'a [u8]),
    /// Nothing of the fragment is there yet.
    Cut,
    Other,
}

/// Takes one record, if it holds handshake.
pub fn record<'a>(reader: &mut Reader<'a>) -> Record<'a> {
    // What is there of the header must fit: noise is refused at its first octet.
    match reader.rest() {
        [] | [HANDSHAKE] | [HANDSHAKE, MAJOR] | [HANDSHAKE, MAJOR, 0..=MAX_MINOR] => Record::Cut,
        [HANDSHAKE, MAJOR, 0..=MAX_MINOR, high] if usize::from(*high) <= MAX_FRAGMENT >> 8 => {
            Record::Cut
        }
        [HANDSHAKE, MAJOR, 0..=MAX_MINOR, high, low, rest @ ..] => {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            // RFC 8446 section 5.1: no fragment of handshake is empty.
            if len == 0 || len > MAX_FRAGMENT {
                return Record::Other;
            }
            let (fragment, rest) = rest.split_at_checked(len).unwrap_or((rest, &[]));
            *reader = Reader::new(rest);
            if fragment.is_empty() { Record::Cut } else { Record::Handshake(fragment) }
        }
        _ => Record::Other,
    }
}

/// What follows a record of `kind` with `len` octets at the beginning, if there is one; `None` where such a record is cut.
pub fn behind(bytes: &[u8], kind: u8, len: u8) -> Option<&[u8]> {
    let header = [kind, MAJOR, 0, 0, len];
    let fits = header.iter().zip(bytes).enumerate().all(|(at, (wanted, seen))| match at {
        2 => *seen <= MAX_MINOR,
        _ => wanted == seen,
    });
    if !fits || bytes.is_empty() {
        return Some(bytes);
    }
    bytes.get(header.len() + usize::from(len)..)
}

/// The handshake messages of one side in their order: several may share a record, and one may span many (RFC 8446
/// section 5.1).
///
/// ```text
///  record                                              record
/// +----+-------+--------+---------+------+------------+----+-------+--------+------------
/// | 22 | 03 xx | length | message | kind | length (3) | 22 | 03 xx | length | body ...
/// +----+-------+--------+---------+------+------------+----+-------+--------+------------
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Messages<'a> {
    records: Reader<'a>,
    /// What is left of the record that was taken last.
    fragment: &'a [u8],
    broken: bool,
}

impl<'a> Messages<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { records: Reader::new(bytes), fragment: &[], broken: false }
    }

    /// Something else than handshake came: what is missing will never come.
    pub const fn is_broken(&self) -> bool {
        self.broken
    }

    /// Kind and length of the next message.
    pub fn header(&mut self) -> Option<(u8, usize)> {
        let kind = self.octet()?;
        Some((kind, self.u24()?))
    }

    pub fn u24(&mut self) -> Option<usize> {
        let octets = [0, self.octet()?, self.octet()?, self.octet()?];
        usize::try_from(u32::from_be_bytes(octets)).ok()
    }

    /// False where there are not so many octets.
    pub fn skip(&mut self, mut len: usize) -> bool {
        while len > 0 {
            if !self.refill() {
                return false;
            }
            len -= self.piece(len).len();
        }
        true
    }

    /// The next `len` octets, or as many of them as there are. They are joined in `joined` where they span records.
    pub fn take<'b>(&mut self, len: usize, joined: &'b mut Vec<u8>) -> &'b [u8]
    where
        'a: 'b,
    {
        self.refill();
        if self.fragment.len() >= len {
            return self.piece(len);
        }
        joined.clear();
        while joined.len() < len && self.refill() {
            let piece = self.piece(len - joined.len());
            joined.extend_from_slice(piece);
        }
        joined
    }

    fn octet(&mut self) -> Option<u8> {
        self.refill();
        let (first, rest) = self.fragment.split_first()?;
        self.fragment = rest;
        Some(*first)
    }

    fn piece(&mut self, len: usize) -> &'a [u8] {
        let (piece, rest) = self.fragment.split_at(len.min(self.fragment.len()));
        self.fragment = rest;
        piece
    }

    /// Whether there is something to take.
    fn refill(&mut self) -> bool {
        if self.fragment.is_empty() && !self.broken {
            match record(&mut self.records) {
                Record::Handshake(fragment) => self.fragment = fragment,
                Record::Cut => {}
                Record::Other => self.broken = true,
            }
        }
        !self.fragment.is_empty()
    }
}

pub const CHANGE_CIPHER_SPEC: u8 = 20;
pub const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
pub const MAJOR: u8 = 3;
/// TLS 1.3 writes 3,1 or 3,3 into records; 3,4 is seen from careless clients.
const MAX_MINOR: u8 = 4;
/// RFC 8446 section 5.1.
const MAX_FRAGMENT: usize = 1 << 14;
