//! A capture played as if it came from a wire: at a multiple of its own speed, over and over, each time some days later.

use std::thread;
use std::time::{Duration, Instant};

use super::{Error, Next, Source};
use crate::time::{DAY, Time};

/// Opens the capture anew for each round.
pub type Open = Box<dyn FnMut() -> Result<Box<dyn Source>, Error> + Send>;

/// Plays a capture in a loop.
pub struct Replay {
    open: Open,
    source: Box<dyn Source>,
    speed: u32,
    /// Added to all times of this round, and frames of earlier rounds.
    shift: Duration,
    frames: u64,
    /// The first and the latest time of this round, unshifted.
    first: Option<Time>,
    latest: Time,
    latest_frame: u64,
    /// Packet time that has been waited for.
    shown: Time,
    due: Instant,
    ended: bool,
}

/// A night without frames is passed over in so much of real time.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

impl Replay {
    /// `speed`: seconds of packet time in one second.
    ///
    /// # Errors
    /// A capture that cannot be opened.
    #[allow(clippy::disallowed_methods)] // pacing is what makes it live; packet time stays the capture's
    pub fn new(mut open: Open, speed: u32) -> Result<Self, Error> {
        let source = open()?;
        Ok(Self {
            open,
            source,
            speed: speed.max(1),
            shift: Duration::ZERO,
            frames: 0,
            first: None,
            latest: Time::ZERO,
            latest_frame: 0,
            shown: Time::ZERO,
            due: Instant::now(),
            ended: false,
        })
    }

    /// The next round begins whole days later, at the same time of day, so that hours and rhythms stay.
    fn next_round(&mut self) -> Result<(), Error> {
        self.source = (self.open)()?;
        let lasted = self.latest.since(self.first.unwrap_or(self.latest));
        let days = lasted.as_secs() / DAY.as_secs() + 1;
        self.shift += DAY * u32::try_from(days).unwrap_or(1);
        self.frames += self.latest_frame;
        self.first = None;
        Ok(())
    }
}

impl Source for Replay {
    fn next(&mut self) -> Result<Next<'_>, Error> {
        if std::mem::take(&mut self.ended) {
            self.next_round()?;
        }
        match self.source.next()? {
            Next::Frame(mut frame) => {
                self.first.get_or_insert(frame.time);
                self.latest = frame.time;
                self.latest_frame = frame.number;
                frame.time = frame.time.plus(self.shift);
                frame.number += self.frames;
                Ok(Next::Frame(frame))
            }
            Next::Tick(at) => {
                let at = at.plus(self.shift);
                wait(&mut self.shown, &mut self.due, at, self.speed);
                Ok(Next::Tick(at))
            }
            Next::End => {
                self.ended = true;
                Ok(Next::Tick(self.shown))
            }
        }
    }

    fn notices(&mut self) -> Vec<String> {
        self.source.notices()
    }

    fn progress(&self) -> Option<(u64, u64)> {
        None
    }
}

/// Sleeps until packet time `at` is due.
#[allow(clippy::disallowed_methods)] // see `Replay::new`
fn wait(shown: &mut Time, due: &mut Instant, at: Time, speed: u32) {
    if *shown != Time::ZERO {
        *due += (at.since(*shown) / speed).min(LONGEST_WAIT);
    }
    *shown = (*shown).max(at);
    let now = Instant::now();
    if *due > now {
        thread::sleep(*due - now);
    } else {
        // What was late stays late: catching up would play faster than asked for.
        *due = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Frame, Link};

    /// Two frames, 1 s apart, and a tick.
    struct Two(u64);

    impl Source for Two {
        fn next(&mut self) -> Result<Next<'_>, Error> {
            self.0 += 1;
            let time = Time::from_secs(1_000_000 + self.0);
            Ok(match self.0 {
                1 | 2 => Next::Frame(Frame {
                    time,
                    number: self.0,
                    link: Link(1),
                    interface: 0,
                    wire_len: 0,
                    bytes: &[],
                }),
                3 => Next::Tick(time),
                _ => Next::End,
            })
        }

        fn notices(&mut self) -> Vec<String> {
            Vec::new()
        }

        fn progress(&self) -> Option<(u64, u64)> {
            None
        }
    }

    #[test]
    fn rounds_follow_each_other_by_whole_days_and_frames_count_on() {
        let mut replay = Replay::new(Box::new(|| Ok(Box::new(Two(0)))), 1_000_000).unwrap();
        let mut frames = Vec::new();
        let mut last = Time::ZERO;
        for _ in 0..12 {
            match replay.next().unwrap() {
                Next::Frame(frame) => {
                    assert!(frame.time >= last);
                    last = frame.time;
                    frames.push((frame.number, frame.time.secs()));
                }
                Next::Tick(at) => {
                    assert!(at >= last);
                    last = at;
                }
                Next::End => panic!("a replay does not end"),
            }
        }
        let day = 86_400;
        let (a, b) = (1_000_001, 1_000_002);
        let wanted =
            [(1, a), (2, b), (3, a + day), (4, b + day), (5, a + 2 * day), (6, b + 2 * day)];
        assert_eq!(frames, wanted);
    }
}
