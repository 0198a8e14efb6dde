//! A moving window of contiguous octets over a byte stream, filled by large reads.

use std::io::{self, Read};

/// Largest piece that [`Window::have`] can promise: a frame of the greatest length with its block around it.
pub(super) const REACH: usize = 384 * 1024;

/// What of the stream lies in memory. `mmap` would cost half as much again: one page walk a frame, where `read` streams.
pub(super) struct Window {
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Octets of the stream before `start`.
    offset: u64,
}

impl Window {
    pub(super) fn new(input: Box<dyn Read + Send>) -> Self {
        Self { input, buffer: vec![0; FIRST], start: 0, end: 0, offset: 0 }
    }

    /// Where the window stands in its stream.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Makes the next `n` octets available; false where the stream ends before. `n` beyond [`REACH`] may be
    /// refused, however long the stream is.
    pub(super) fn have(&mut self, n: usize) -> io::Result<bool> {
        if self.end - self.start >= n { Ok(true) } else { self.fill(n) }
    }

    /// The next `n` octets, if they are available already.
    pub(super) fn peek(&self, n: usize) -> Option<&[u8]> {
        self.within(0, n)
    }

    /// `n` available octets from `skip` on.
    pub(super) fn within(&self, skip: usize, n: usize) -> Option<&[u8]> {
        let from = self.start.checked_add(skip)?;
        let to = from.checked_add(n)?;
        if to <= self.end { self.buffer.get(from..to) } else { None }
    }

    /// All that is available now.
    #[inline]
    pub(super) fn all(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Leaves the next `n` octets behind, which must be available.
    #[inline]
    pub(super) fn pass(&mut self, n: usize) {
        let n = n.min(self.available());
        self.start += n;
        self.offset += n as u64;
    }

    /// Octets that are available now.
    pub(super) const fn available(&self) -> usize {
        self.end - self.start
    }

    /// Leaves the next `n` octets behind, however many; false where the stream ends before.
    pub(super) fn skip(&mut self, mut n: u64) -> io::Result<bool> {
        loop {
            let step = n.min(self.available() as u64);
            self.start += step as usize;
            self.offset += step;
            n -= step;
            if n == 0 {
                return Ok(true);
            }
            if !self.fill(1)? {
                return Ok(false);
            }
        }
    }

    /// The window's octets not yet left behind and the rest of the stream, to be read in another way.
    pub(super) fn into_rest(mut self) -> impl Read + Send {
        self.buffer.truncate(self.end);
        self.buffer.drain(..self.start);
        io::Cursor::new(self.buffer).chain(self.input)
    }

    #[cold]
    fn fill(&mut self, n: usize) -> io::Result<bool> {
        if n > REACH {
            return Ok(false);
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        // Files wait in the first, small buffer until it is their turn in time: a thousand of them take 64 MiB, not 512.
        if self.offset > 0 || n > self.buffer.len() {
            self.buffer.resize(CHUNK, 0);
        }
        while self.end < n {
            let until = self.buffer.len().min(n.max(self.end + READ));
            let Some(free) = self.buffer.get_mut(self.end..until) else { return Ok(false) };
            match self.input.read(free) {
                Ok(0) => return Ok(false),
                Ok(got) => self.end += got.min(free.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

const FIRST: usize = 64 * 1024;

/// Room for the largest piece and one read.
const CHUNK: usize = 512 * 1024;

/// Octets asked for at once: a system call is shared by hundreds of frames, and what it brought lies in the level-2 cache
/// beside the flow table until it is read. The window goes back to the beginning of its buffer before each.
const READ: usize = 128 * 1024;

const _: () = assert!(REACH <= CHUNK && FIRST <= CHUNK);

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one to seven octets at a time, as a pipe may.
    struct Drip(Vec<u8>, usize);

    impl Read for Drip {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.1 += 1;
            let n = (1 + self.1 % 7).min(self.0.len()).min(out.len());
            out[..n].copy_from_slice(&self.0[..n]);
            self.0.drain(..n);
            Ok(n)
        }
    }

    #[test]
    fn gives_every_octet_once_and_in_order() {
        let bytes: Vec<u8> = (0..1000u32).map(|i| (i % 251) as u8).collect();
        let mut window = Window::new(Box::new(Drip(bytes.clone(), 0)));
        let mut at = 0;
        for n in (1..40).cycle() {
            if !window.have(n).unwrap() {
                break;
            }
            assert_eq!(window.peek(n).unwrap(), &bytes[at..at + n]);
            assert!(window.skip(n as u64).unwrap());
            at += n;
            assert_eq!(window.offset(), at as u64);
        }
        let mut rest = Vec::new();
        window.into_rest().read_to_end(&mut rest).unwrap();
        assert_eq!(rest, &bytes[at..]);
    }

    #[test]
    fn skips_beyond_its_buffer_and_notices_the_end() {
        let mut window = Window::new(Box::new(io::repeat(7).take(3_000_000)));
        assert!(window.skip(2_999_999).unwrap());
        assert!(window.have(1).unwrap() && !window.have(2).unwrap());
        assert!(!window.skip(2).unwrap());
        assert_eq!(window.offset(), 3_000_000);
    }

    #[test]
    fn never_reaches_farther_than_it_may() {
        let mut window = Window::new(Box::new(io::repeat(7)));
        assert!(window.have(REACH).unwrap());
        assert!(!window.have(CHUNK + 1).unwrap());
        assert!(window.buffer.len() == CHUNK);
        assert!(window.within(usize::MAX, 2).is_none());
    }
}
