//! Capture files as a source: several files are one stream in time.

mod kind;
mod pcap;
mod pcapng;
mod reader;
mod record;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
mod window;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use self::reader::{Reader, unreadable};
use super::clock::{Clock, Stamp};
use super::{Counter, Error, Frame, Next, Source};
use crate::count::Cells;
use crate::time::Time;

/// All files, each at its next record. Frames are handed out in place, from the buffers that `read` filled.
pub(super) struct Files {
    readers: Vec<Option<Reader>>,
    /// Where the earliest record is; its timestamp, and the reader that stands there.
    first: Option<Place>,
    /// The other readers, each at its next record; equal timestamps in the order of the arguments.
    later: BinaryHeap<Reverse<Place>>,
    clock: Clock,
    number: u64,
    /// Whether the current record was handed out.
    spent: bool,
    /// The time of the current record, where a tick was told before it.
    held: Option<Time>,
    counts: Arc<Cells<Counter>>,
    notices: Vec<String>,
    read: Arc<AtomicU64>,
    /// Octets of all files; `None` where one is no regular file.
    total: Option<u64>,
}

/// The timestamp of a reader's current record, and its index.
type Place = (Time, usize);

impl Files {
    pub(super) fn open(paths: &[PathBuf], counts: Arc<Cells<Counter>>) -> Result<Self, Error> {
        if paths.is_empty() {
            return Err(Error::new(
                "no capture file is given",
                "name one, or `-` for standard input",
            ));
        }
        if paths.iter().filter(|p| is_stdin(p)).count() > 1 {
            return Err(Error::new("standard input is given twice", "give `-` once"));
        }
        let read = Arc::new(AtomicU64::new(0));
        let (mut inputs, mut total) = (Vec::new(), Some(0u64));
        for path in paths {
            let (name, input, len) = input(path, &read)?;
            total = total.zip(len).map(|(a, b)| a.saturating_add(b));
            inputs.push((name, input));
        }
        Self::over(inputs, counts, read, total)
    }

    fn over(
        inputs: Vec<(String, Box<dyn Read + Send>)>,
        counts: Arc<Cells<Counter>>,
        read: Arc<AtomicU64>,
        total: Option<u64>,
    ) -> Result<Self, Error> {
        let (mut readers, mut later, mut notices) = (Vec::new(), BinaryHeap::new(), Vec::new());
        for (index, (name, input)) in inputs.into_iter().enumerate() {
            let mut reader = Reader::open(name, input)?;
            let first = reader.advance(&counts, &mut notices)?;
            later.extend(first.map(|time| Reverse((time, index))));
            readers.push(first.map(|_| reader));
        }
        Ok(Self {
            readers,
            first: later.pop().map(|Reverse(place)| place),
            later,
            clock: Clock::default(),
            number: 0,
            spent: false,
            held: None,
            counts,
            notices,
            read,
            total,
        })
    }

    /// Leaves the earliest record behind, which was handed out.
    fn advance(&mut self) -> Result<(), Error> {
        let Some((_, index)) = self.first else { return Ok(()) };
        let Some(slot) = self.readers.get_mut(index) else { return Ok(()) };
        let next = match slot {
            Some(reader) => reader.advance(&self.counts, &mut self.notices)?,
            None => None,
        };
        let Some(time) = next else {
            *slot = None; // gives the buffer and the descriptor back
            self.first = self.later.pop().map(|Reverse(place)| place);
            return Ok(());
        };
        let mut place = (time, index);
        if let Some(mut other) = self.later.peek_mut()
            && other.0 < place
        {
            std::mem::swap(&mut other.0, &mut place);
        }
        self.first = Some(place);
        Ok(())
    }
}

impl Source for Files {
    fn next(&mut self) -> Result<Next<'_>, Error> {
        if std::mem::take(&mut self.spent) {
            self.advance()?;
        }
        let Some((raw, index)) = self.first else { return Ok(Next::End) };
        let time = match self.held.take() {
            Some(time) => time,
            None => {
                let Stamp { time, tick, correction } = self.clock.stamp(raw);
                if let Some(correction) = correction {
                    self.counts.add(correction.into(), 1);
                }
                if let Some(tick) = tick {
                    self.held = Some(time);
                    self.counts.add(Counter::Ticks, 1);
                    return Ok(Next::Tick(tick));
                }
                time
            }
        };
        let reader = self.readers.get(index).and_then(Option::as_ref);
        let Some((reader, record)) = reader.and_then(|r| Some((r, r.record()?))) else {
            return Ok(Next::End);
        };
        self.spent = true;
        self.number += 1;
        let frame = Frame {
            time,
            number: self.number,
            link: record.link,
            interface: record.interface,
            wire_len: record.wire_len,
            bytes: reader.bytes(&record),
        };
        frame.count(&self.counts);
        Ok(Next::Frame(frame))
    }

    fn notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    fn progress(&self) -> Option<(u64, u64)> {
        let read = self.read.load(Ordering::Relaxed);
        self.total.map(|total| (read.min(total), total))
    }
}

type Input = (String, Box<dyn Read + Send>, Option<u64>);

/// The name that a person knows, the octets, and how many they are where that is known.
fn input(path: &Path, read: &Arc<AtomicU64>) -> Result<Input, Error> {
    let read = Arc::clone(read);
    if is_stdin(path) {
        let input = Metered { input: io::stdin(), read };
        return Ok(("standard input".into(), Box::new(input), None));
    }
    let name = path.display().to_string();
    let opened = File::open(path).and_then(|file| file.metadata().map(|about| (file, about)));
    let (file, about) = opened.map_err(|e| unreadable(&name, &e))?;
    let len = about.is_file().then_some(about.len());
    Ok((name, Box::new(Metered { input: file, read }), len))
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Counts the octets that were read, packed as they are in the file.
struct Metered<R> {
    input: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buffer)?;
        self.read.fetch_add(got as u64, Ordering::Relaxed);
        Ok(got)
    }
}
