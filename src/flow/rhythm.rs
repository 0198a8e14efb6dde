//! When a client does something beyond keeping a connection alive: bursts of payload, less the regular ones.

use std::time::Duration;

use crate::time::Time;

/// Bursts of client payload on one flow. A burst is a run of segments without a pause of [`PAUSE`]; one that comes in the
/// rhythm of those before it, and is not larger, is a keep-alive and does not count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rhythm {
    /// When the current burst began, and the last segment came.
    began: Time,
    last: Time,
    /// From the burst before to the current one, in milliseconds; 0 where there was none.
    interval: u32,
    /// Octets of the current burst, and of the one before.
    size: u32,
    size_before: u32,
    /// The current burst came in the rhythm of those before it.
    regular: bool,
}

/// What a segment of client payload counts for activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Activity {
    pub bursts: u32,
    pub payload: u32,
}

/// A shorter silence belongs to one action: a page load, a message and its confirmation.
const PAUSE: Duration = Duration::from_secs(1);

/// Two intervals are equal where they differ by no more than a fifth: timers of scripts drift by load and back-off.
const TOLERANCE: u32 = 5;

/// A keep-alive may vary a little in size (cursors, time stamps).
const SIZE_SLACK: u32 = 256;

impl Rhythm {
    /// Takes `payload` octets that the client sent at `at`.
    pub fn client_sent(&mut self, at: Time, payload: u32) -> Activity {
        if payload == 0 {
            return Activity::default();
        }
        let fresh = self.last == Time::ZERO;
        if !fresh && at < self.last.plus(PAUSE) {
            self.last = at;
            self.size = self.size.saturating_add(payload);
            if self.regular && self.size > self.size_before.saturating_add(SIZE_SLACK) {
                // It came in rhythm but carries more than a keep-alive: the whole burst counts after all.
                self.regular = false;
                return Activity { bursts: 1, payload: self.size };
            }
            return if self.regular {
                Activity::default()
            } else {
                Activity { bursts: 0, payload }
            };
        }
        let interval = if fresh {
            0
        } else {
            u32::try_from(at.since(self.began).as_millis()).unwrap_or(u32::MAX)
        };
        let steady = interval > 0
            && self.interval > 0
            && interval.abs_diff(self.interval) <= self.interval / TOLERANCE;
        self.size_before = if steady { self.size_before.max(self.size) } else { self.size };
        self.regular = steady && payload <= self.size_before.saturating_add(SIZE_SLACK);
        self.interval = interval;
        self.began = at;
        self.last = at;
        self.size = payload;
        if self.regular { Activity::default() } else { Activity { bursts: 1, payload } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bursts(times: impl Iterator<Item = (u64, u32)>) -> u32 {
        let mut rhythm = Rhythm::default();
        times
            .map(|(ms, n)| rhythm.client_sent(Time::from_nanos(ms * 1_000_000 + 1), n).bursts)
            .sum()
    }

    #[test]
    fn a_widget_that_polls_is_a_keep_alive() {
        // 8 hours, each 10 s (with a jitter of up to 5 %) 900 octets.
        let polls = (1..2880u64).map(|i| (i * 10_000 + i * 7919 % 500, 900));
        assert!(bursts(polls) <= 3);
    }

    #[test]
    fn a_person_is_not() {
        let clicks = [0u64, 3_100, 9_000, 11_200, 30_000, 31_500, 44_000, 60_500];
        assert!(bursts(clicks.iter().map(|ms| (ms + 5_000, 700))) >= 7);
    }

    #[test]
    fn a_large_burst_in_rhythm_counts() {
        let beats = (1..10u64).map(|i| (i * 5_000, if i == 8 { 9_000 } else { 100 }));
        assert_eq!(bursts(beats), 3);
    }
}
