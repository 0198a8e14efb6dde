//! Interfaces as a source, by libpcap: all of them one stream, with ticks where nothing comes.

mod batch;
mod interface;
mod wall;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use self::batch::Batch;
use self::interface::Interface;
use self::wall::Wall;
use super::clock::{Clock, Stamp};
use super::{Counter, Error, Frame, Next, Options, Source};
use crate::count::Cells;
use crate::time::Time;

/// All interfaces of one capture. Handles never block: this polls them, because libpcap's own waiting has no end on a
/// silent link, whatever timeout it was given.
pub(super) struct Live {
    interfaces: Vec<Interface>,
    options: Options,
    batch: Batch,
    clock: Clock,
    wall: Wall,
    number: u64,
    /// The time of the batch's current frame, where a tick was told before it.
    held: Option<Time>,
    started: Instant,
    /// When interfaces and the kernel's counters were last looked at.
    looked: Instant,
    counts: Arc<Cells<Counter>>,
}

impl Live {
    pub(super) fn open(options: &Options, counts: Arc<Cells<Counter>>) -> Result<Self, Error> {
        check(options)?;
        let interfaces: Vec<_> = options
            .interfaces
            .iter()
            .map(|name| Interface::open(name, options))
            .collect::<Result<_, _>>()?;
        counts.set(Counter::InterfacesUp, interfaces.len() as u64);
        let now = monotonic();
        Ok(Self {
            interfaces,
            options: options.clone(),
            batch: Batch::default(),
            clock: Clock::default(),
            wall: Wall::default(),
            number: 0,
            held: None,
            started: now,
            looked: now,
            counts,
        })
    }

    /// Waits until there are frames in the batch, or a tick to tell.
    fn refill(&mut self) -> Option<Time> {
        loop {
            let now = monotonic();
            if now.duration_since(self.looked) >= LOOK {
                self.looked = now;
                self.look();
            }
            self.batch.clear();
            for (index, interface) in self.interfaces.iter_mut().enumerate() {
                // 65,535 interfaces are more than a machine has; `check` refuses more.
                interface.drain(&mut self.batch, index as u16, &self.counts);
            }
            let (read, wall) = (monotonic(), wall_clock());
            let (ahead, stepped) = self.wall.observe(wall, read.duration_since(self.started));
            if stepped {
                self.counts.add(Counter::ClockSteps, 1);
                tracing::warn!(
                    ahead_seconds = ahead.as_secs(),
                    "the system clock was set back; packet time goes on without the step"
                );
            }
            let skewed = self.batch.settle(wall, ahead, self.interfaces.len() > 1);
            self.counts.add(Counter::Skewed, skewed);
            if !self.batch.is_empty() {
                return None;
            }
            if let Some(tick) = self.clock.idle(wall.minus(LAG).plus(ahead)) {
                return Some(tick);
            }
            self.wait();
        }
    }

    /// Waits for frames on any interface, at most as long as a block of the kernel's ring may.
    fn wait(&self) {
        let handles = self.interfaces.iter().filter_map(Interface::handle);
        let mut polled: Vec<_> = handles.map(|h| PollFd::new(h, PollFlags::IN)).collect();
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(BLOCK_MILLIS) * 1_000_000 };
        // An error of an interface shows when it is drained; a signal only ends the wait.
        if poll(&mut polled, Some(&timeout)).is_ok_and(|ready| ready > 0)
            && polled.iter().all(|p| !p.revents().contains(PollFlags::IN))
        {
            // A dead socket is always ready with its error: without frames to read this would spin.
            std::thread::sleep(Duration::from_millis(BLOCK_MILLIS as u64));
        }
    }

    /// Looks after interfaces that went away or came back, and takes over the kernel's counters.
    fn look(&mut self) {
        for interface in &mut self.interfaces {
            interface.look(&self.options, &self.counts);
        }
        let up = self.interfaces.iter().filter(|i| i.is_up()).count();
        self.counts.set(Counter::InterfacesUp, up as u64);
    }
}

impl Source for Live {
    fn next(&mut self) -> Result<Next<'_>, Error> {
        if self.batch.is_empty()
            && let Some(tick) = self.refill()
        {
            self.counts.add(Counter::Ticks, 1);
            return Ok(Next::Tick(tick));
        }
        let Some(record) = self.batch.first() else { return Ok(Next::End) };
        let time = match self.held.take() {
            Some(time) => time,
            None => {
                let Stamp { time, tick, correction } = self.clock.stamp(record.raw);
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
        self.number += 1;
        let frame = Frame {
            time,
            number: self.number,
            link: record.link,
            interface: record.interface,
            wire_len: record.wire_len,
            bytes: self.batch.take(record),
        };
        frame.count(&self.counts);
        Ok(Next::Frame(frame))
    }

    /// Nothing: what happens to interfaces is counted and logged as it happens.
    fn notices(&mut self) -> Vec<String> {
        Vec::new()
    }

    fn progress(&self) -> Option<(u64, u64)> {
        None
    }
}

/// What can be said about options before any interface is touched.
fn check(options: &Options) -> Result<(), Error> {
    let names = &options.interfaces;
    if names.is_empty() {
        return Err(Error::new(
            "no interface is given",
            "name one in `interfaces` of [capture], or with --interface",
        ));
    }
    if names.len() > usize::from(u16::MAX) {
        return Err(Error::new("too many interfaces", "name at most 65,535"));
    }
    if names.iter().any(|n| n == "any") {
        return Err(Error::new(
            "the interface `any` cannot be used: it is never promiscuous, sees a frame once for each layer of a bridge \
             or VLAN, and tells nothing about interfaces that go away",
            "name the interfaces that carry the span, as in `interfaces = [\"eth1\", \"eth2\"]`",
        ));
    }
    if let Some(twice) =
        names.iter().enumerate().find(|(i, n)| names.iter().take(*i).any(|m| m == *n))
    {
        let what = format!("the interface {} is named twice", twice.1);
        return Err(Error::new(what, "name it once: each of its frames would count twice"));
    }
    if !(SNAPLEN_MIN..=SNAPLEN_MAX).contains(&options.snaplen) {
        let what = format!("a snaplen of {} octets cannot be used", options.snaplen);
        return Err(Error::new(what, format!("give {SNAPLEN_MIN} to {SNAPLEN_MAX}")));
    }
    if !(1..=BUFFER_MIB_MAX).contains(&options.buffer_mib) {
        let what = format!("a buffer of {} MiB cannot be used", options.buffer_mib);
        return Err(Error::new(what, format!("give 1 to {BUFFER_MIB_MAX}")));
    }
    Ok(())
}

/// The clock that stamps frames. One of the few places that may look at it: silent links have no other time.
#[allow(clippy::disallowed_methods)]
fn wall_clock() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::ZERO.plus(since)
}

/// For waiting and for noticing steps of the other clock; never becomes packet time.
#[allow(clippy::disallowed_methods)]
fn monotonic() -> Instant {
    Instant::now()
}

/// Octets taken from one interface at a time; the last frames may overrun them by [`BATCH_FRAMES`] of full length.
pub(super) const BATCH_OCTETS: usize = 256 * 1024;

/// Frames that libpcap hands out in one call.
pub(super) const BATCH_FRAMES: usize = 64;

/// The kernel hands a block of its ring over when it is full or so old.
const BLOCK_MILLIS: i32 = 50;

/// How far behind the wall clock a silent link's time stays: frames may be on their way for the block's timeout, and its
/// timer and this thread are not exact.
const LAG: Duration = Duration::from_millis(BLOCK_MILLIS as u64 + 50);

/// How often interfaces and kernel counters are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Less than this holds no headers worth having.
const SNAPLEN_MIN: u32 = 64;
const SNAPLEN_MAX: u32 = 262_144;
/// libpcap takes the size as 31 bits of octets.
const BUFFER_MIB_MAX: u32 = 2047;

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(options: &Options) -> String {
        Live::open(options, Cells::new()).err().expect("refused").to_string()
    }

    fn on(names: &[&str]) -> Options {
        let interfaces = names.iter().map(|n| (*n).to_owned()).collect();
        Options { interfaces, ..Options::default() }
    }

    #[test]
    fn options_that_cannot_work_are_refused_with_the_remedy() {
        assert!(refused(&on(&[])).contains("mend: name one"));
        assert!(refused(&on(&["any"])).contains("never promiscuous"));
        assert!(refused(&on(&["lo", "lo"])).contains("lo is named twice"));
        assert!(refused(&Options { snaplen: 20, ..on(&["lo"]) }).contains("64 to 262144"));
        assert!(refused(&Options { buffer_mib: 4096, ..on(&["lo"]) }).contains("1 to 2047"));
    }

    #[test]
    fn an_interface_that_does_not_exist_is_told_with_those_that_do() {
        let error = refused(&on(&["nosuch7"]));
        assert!(error.contains("nosuch7 does not exist"), "{error}");
        assert!(error.contains("lo"), "{error}");
    }
}
