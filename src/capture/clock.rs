//! Makes packet time: raw timestamps in, times that never run backwards and ticks of 100 ms out.

use std::time::Duration;

use super::Counter;
use crate::time::{DAY, Time};

/// How far apart ticks are at least, in packet time.
pub const TICK: Duration = Duration::from_millis(100);

/// Frames are reordered by queues and buffers, which hold none for so long.
pub(super) const SKEW: Duration = Duration::from_secs(1);

/// Packet time as it stands. A pure function of the timestamps that it was given.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    now: Time,
    /// Whether a timestamp has set `now`. Zero does not: it is what writers without a clock put.
    set: bool,
    /// The slot of the last tick or frame, if there was any.
    slot: Option<u64>,
    /// Where that slot ends. A timestamp from `now` up to here changes nothing but `now`: nearly all are such.
    until: Time,
    /// A timestamp more than a day ahead that waits for another one near it.
    ahead: Option<Time>,
}

/// What became of one timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) time: Time,
    /// The boundary that time has passed, to be told before the frame.
    pub(super) tick: Option<Time>,
    pub(super) correction: Option<Correction>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Correction {
    /// Earlier than the frame before: took that one's time.
    Backwards,
    /// The same, by more than [`SKEW`]: no reordering, but another clock.
    Skewed,
    /// More than a day ahead, and not confirmed: took the time of the frame before.
    LoneJump,
    /// More than a day ahead, near the timestamp before: time follows.
    Confirmed,
}

impl From<Correction> for Counter {
    fn from(correction: Correction) -> Self {
        match correction {
            Correction::Backwards => Self::Clamped,
            Correction::Skewed => Self::Skewed,
            Correction::LoneJump => Self::JumpRefused,
            Correction::Confirmed => Self::JumpConfirmed,
        }
    }
}

impl Clock {
    /// The time of a frame with the timestamp `raw`.
    #[inline]
    pub(super) fn stamp(&mut self, raw: Time) -> Stamp {
        if self.now <= raw && raw < self.until && self.ahead.is_none() {
            self.now = raw;
            return Stamp { time: raw, tick: None, correction: None };
        }
        self.step(raw)
    }

    fn step(&mut self, raw: Time) -> Stamp {
        let correction = self.follow(raw);
        let slot = slot(self.now);
        // The first frame of all enters no *other* slot.
        let tick = self.slot.is_some_and(|last| last < slot).then(|| boundary(slot));
        self.enter(slot);
        Stamp { time: self.now, tick, correction }
    }

    /// Time passes without a frame: it is now at least `raw` by the kernel's clock. Gives the boundary that was passed, if
    /// one was. The kernel's clock stepping back is no frame's fault and not counted.
    pub(super) fn idle(&mut self, raw: Time) -> Option<Time> {
        self.follow(raw);
        let slot = slot(self.now);
        if self.slot.is_some_and(|last| last >= slot) {
            return None;
        }
        self.enter(slot);
        Some(boundary(slot))
    }

    fn enter(&mut self, slot: u64) {
        self.slot = Some(slot);
        // Zero timestamps at the start set no time: the next one is looked at whole.
        self.until = if self.set { boundary(slot + 1) } else { Time::ZERO };
    }

    fn follow(&mut self, raw: Time) -> Option<Correction> {
        if !self.set {
            self.set = raw > Time::ZERO;
            self.now = raw;
            return None;
        }
        if raw.since(self.now) > DAY {
            let near = |ahead: Time| ahead.since(raw) <= DAY && raw.since(ahead) <= DAY;
            if !self.ahead.is_some_and(near) {
                self.ahead = Some(raw);
                return Some(Correction::LoneJump);
            }
            self.ahead = None;
            self.now = raw;
            return Some(Correction::Confirmed);
        }
        self.ahead = None;
        if raw < self.now {
            let skewed = raw.plus(SKEW) < self.now;
            return Some(if skewed { Correction::Skewed } else { Correction::Backwards });
        }
        self.now = raw;
        None
    }
}

const fn slot(time: Time) -> u64 {
    time.nanos() / TICK.as_nanos() as u64
}

const fn boundary(slot: u64) -> Time {
    Time::from_nanos(slot.saturating_mul(TICK.as_nanos() as u64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Time {
        Time::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn ticks_once_on_entering_another_slot_and_once_for_a_long_gap() {
        let mut clock = Clock::default();
        let ticks: Vec<_> =
            [1_010, 1_099, 1_100, 1_150, 9_950].map(|t| clock.stamp(ms(t)).tick).into();
        assert_eq!(ticks, [None, None, Some(ms(1_100)), None, Some(ms(9_900))]);
    }

    #[test]
    fn never_runs_backwards() {
        let mut clock = Clock::default();
        clock.stamp(ms(5_000));
        let stamp = clock.stamp(ms(4_000));
        let wanted = Stamp { time: ms(5_000), tick: None, correction: Some(Correction::Backwards) };
        assert_eq!(stamp, wanted);
        assert_eq!(clock.stamp(ms(3_999)).correction, Some(Correction::Skewed));
    }

    #[test]
    fn a_jump_of_more_than_a_day_needs_a_second_frame() {
        let (start, far) = (ms(1_000), ms(1_000).plus(DAY * 3));
        let mut clock = Clock::default();
        clock.stamp(start);
        let lone = clock.stamp(far);
        assert_eq!((lone.time, lone.correction), (start, Some(Correction::LoneJump)));
        let back = clock.stamp(ms(1_001));
        assert_eq!((back.time, back.correction), (ms(1_001), None));
        let lone = clock.stamp(far);
        assert_eq!(lone.correction, Some(Correction::LoneJump), "the first one confirms nothing");
        let other = clock.stamp(far.plus(DAY * 2));
        assert_eq!(other.correction, Some(Correction::LoneJump), "two lone ones are no witnesses");
        let sure = clock.stamp(far.plus(DAY * 2));
        assert_eq!((sure.time, sure.correction), (far.plus(DAY * 2), Some(Correction::Confirmed)));
        assert!(sure.tick.is_some());
    }

    #[test]
    fn exactly_a_day_needs_no_witness() {
        let mut clock = Clock::default();
        clock.stamp(ms(1_000));
        assert_eq!(clock.stamp(ms(1_000).plus(DAY)).correction, None);
    }

    #[test]
    fn zero_timestamps_at_the_start_do_not_set_the_time() {
        let mut clock = Clock::default();
        assert_eq!(clock.stamp(Time::ZERO).time, Time::ZERO);
        assert_eq!(clock.stamp(Time::ZERO).tick, None);
        let real = Time::from_secs(1_700_000_000);
        let stamp = clock.stamp(real);
        assert_eq!(stamp, Stamp { time: real, tick: Some(real), correction: None });
        assert_eq!(clock.stamp(Time::ZERO).correction, Some(Correction::Skewed));
    }

    #[test]
    fn a_silent_link_ticks_and_a_late_frame_keeps_its_order() {
        let mut clock = Clock::default();
        let day = Time::from_secs(1_700_000_000);
        assert_eq!(clock.idle(day), Some(day));
        assert_eq!(clock.idle(day), None);
        assert_eq!(clock.idle(day.plus(TICK)), Some(day.plus(TICK)));
        assert_eq!(clock.idle(day), None, "the kernel's clock stepped back");
        let late = clock.stamp(day);
        assert_eq!((late.time, late.correction), (day.plus(TICK), Some(Correction::Backwards)));
    }

    proptest! {
        #[test]
        fn ticks_strictly_increase_and_times_never_decrease(
            steps in prop::collection::vec((any::<bool>(), prop_oneof![
                0u64..2_000_000_000, Just(0), any::<u64>(), 86_400_000_000_000u64..200_000_000_000_000
            ]), 1..200)
        ) {
            let (mut clock, mut twin) = (Clock::default(), Clock::default());
            let (mut time, mut tick) = (Time::ZERO, None);
            for (idle, raw) in steps {
                let raw = Time::from_nanos(raw);
                twin.until = Time::ZERO; // the twin always takes the long way
                let (new, at) = if idle {
                    let new = clock.idle(raw);
                    prop_assert_eq!(new, twin.idle(raw));
                    (new, None)
                } else {
                    let stamp = clock.stamp(raw);
                    prop_assert_eq!(stamp, twin.stamp(raw));
                    (stamp.tick, Some(stamp.time))
                };
                if let Some(new) = new {
                    prop_assert!(tick.is_none_or(|t| t < new), "{:?} after {:?}", new, tick);
                    prop_assert!(new >= time, "tick {:?} after frame {:?}", new, time);
                    tick = Some(new);
                    time = new;
                }
                if let Some(at) = at {
                    prop_assert!(at >= time);
                    time = at;
                }
            }
        }
    }
}
