//! When a client does something beyond keeping a connection alive: bursts of payload, less the regular ones.

use crate::time::Time;

/// Bursts of client payload on one flow. A burst is a run of segments without a pause of [`PAUSE`]; one that comes in the
/// beat of earlier ones of its size is a keep-alive and does not count. A connection may have several beats: HTTP/2 carries
/// the heartbeat, the long poll and the counters of a page together.
#[derive(Clone, Debug, Default)]
pub struct Rhythm {
    /// None before a second burst: most flows never have one.
    beats: Option<Box<[Beat; BEATS]>>,
    /// When the current burst began, and when its last segment came, in milliseconds that wrap.
    began: u32,
    last: u32,
    /// Octets of the current burst; 0: there was none yet.
    size: u32,
    /// The beat in which the current burst came.
    beat: Option<u8>,
}

/// What a segment of client payload counts for activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Activity {
    pub bursts: u32,
    pub payload: u32,
}

/// A timer of a script, as its requests show it.
#[derive(Clone, Copy, Debug, Default)]
struct Beat {
    /// When the last request of it came, in milliseconds that wrap.
    last: u32,
    /// Milliseconds from one to the next; 0 where only one is known.
    interval: u32,
    /// Octets of one; 0: the place is free.
    size: u16,
    /// How often it came when it was expected, less how often it did not.
    hits: u8,
}

/// Milliseconds; a shorter silence belongs to one action: a page load, a message and its confirmation.
const PAUSE: u32 = 1_000;

/// Beats that are told apart on one flow: an agent's workspace was seen with three.
const BEATS: usize = 4;

/// A beat may come earlier or later by a fifth of its interval: timers of scripts drift by load and back-off.
const TOLERANCE: u32 = 5;

/// A beat's requests may vary in size by so many octets (cursors, time stamps, cookies), and an eighth.
const SIZE_SLACK: u32 = 64;

/// A beat that came as expected so often may be missed once or twice: when it falls together with what somebody does.
const SURE: u8 = 2;
const MISSED: u32 = 2;

/// Hits are not counted further, so that what stops to be a beat is soon none.
const MOST_HITS: u8 = 7;

/// A first segment of so many octets may have others behind it: the least that TCP may assume is not in use any more, and
/// tunnels leave at least this.
const FULL_SEGMENT: u32 = 1_200;

impl Rhythm {
    /// Takes `payload` octets that the client sent at `at`.
    pub fn client_sent(&mut self, at: Time, payload: u32) -> Activity {
        if payload == 0 {
            return Activity::default();
        }
        let now = millis(at);
        let goes_on = self.size > 0 && now.wrapping_sub(self.last) < PAUSE;
        if goes_on && !self.is_another(now, payload) {
            return self.goes_on(now, payload);
        }
        if self.size > 0 {
            self.learn();
        }
        self.beat = self.expected(now, payload);
        (self.began, self.last, self.size) = (now, now, payload);
        if self.beat.is_some() { Activity::default() } else { Activity { bursts: 1, payload } }
    }

    fn goes_on(&mut self, now: u32, payload: u32) -> Activity {
        self.last = now;
        self.size = self.size.saturating_add(payload);
        let Some(beat) = self.of_beat() else { return Activity { bursts: 0, payload } };
        let size = u32::from(beat.size);
        if self.size <= size.saturating_add(slack(size)) {
            return Activity::default();
        }
        // It came in a beat but carries more than that: the whole burst counts after all.
        self.beat = None;
        Activity { bursts: 1, payload: self.size }
    }

    /// Whether two beats fall together: all of the current one has come, and this seems to be another.
    fn is_another(&self, now: u32, payload: u32) -> bool {
        self.of_beat().is_some_and(|beat| beat.is_of(self.size))
            && self.expected(now, payload).is_some_and(|other| Some(other) != self.beat)
    }

    fn expected(&self, now: u32, payload: u32) -> Option<u8> {
        self.beats().iter().position(|beat| beat.announces(now, payload)).map(to_u8)
    }

    fn of_beat(&self) -> Option<&Beat> {
        self.beats().get(usize::from(self.beat?))
    }

    fn beats(&self) -> &[Beat] {
        self.beats.as_deref().map_or(&[], |beats| beats)
    }

    /// What the burst that is over says of the beats.
    fn learn(&mut self) {
        let (at, size) = (self.began, self.size);
        let alike = |beat: &&mut Beat| beat.is_of(size);
        let beats = self.beats.get_or_insert_default();
        if let Some(beat) = beats.iter_mut().filter(alike).find(|b| b.expects(at).is_some()) {
            if beat.expects(at) == Some(1) {
                beat.interval = at.wrapping_sub(beat.last);
            }
            (beat.last, beat.size) = (at, to_u16(size));
            beat.hits = (beat.hits + 1).min(MOST_HITS);
            return;
        }
        if let Some(beat) = beats.iter_mut().filter(alike).find(|beat| beat.hits == 0) {
            *beat = Beat { last: at, interval: at.wrapping_sub(beat.last), ..*beat };
            return;
        }
        beats.iter_mut().filter(alike).for_each(|beat| beat.hits = beat.hits.saturating_sub(1));
        if let Some(place) = beats.iter_mut().max_by_key(|beat| beat.silence(at)) {
            *place = Beat { last: at, interval: 0, size: to_u16(size), hits: 0 };
        }
    }
}

impl Beat {
    /// Whether a burst that begins with `payload` octets now seems to be of this beat.
    fn announces(&self, now: u32, payload: u32) -> bool {
        let begins =
            self.hits >= SURE && payload >= FULL_SEGMENT && payload <= u32::from(self.size);
        (begins || self.is_of(payload)) && self.expects(now).is_some()
    }

    fn is_of(&self, size: u32) -> bool {
        let own = u32::from(self.size);
        own > 0 && own.abs_diff(u32::from(to_u16(size))) <= slack(own)
    }

    /// How many intervals after its last it comes, if it is expected now.
    fn expects(&self, now: u32) -> Option<u32> {
        if self.interval == 0 {
            return None;
        }
        let most = if self.hits >= SURE { 1 + MISSED } else { 1 };
        let since = now.wrapping_sub(self.last);
        (1..=most)
            .find(|n| since.abs_diff(self.interval.saturating_mul(*n)) <= self.interval / TOLERANCE)
    }

    /// How long it has been silent, by its own measure: the longest gives its place away, a free one before all.
    const fn silence(&self, now: u32) -> u32 {
        if self.size == 0 {
            return u32::MAX;
        }
        let own = if self.interval > PAUSE { self.interval } else { PAUSE };
        now.wrapping_sub(self.last) / own
    }
}

fn slack(size: u32) -> u32 {
    SIZE_SLACK + size / 8
}

/// Milliseconds since the epoch, as far as 32 bits tell them: intervals of less than 49 days come out right.
fn millis(at: Time) -> u32 {
    (at.since(Time::ZERO).as_millis() & u128::from(u32::MAX)) as u32
}

fn to_u16(size: u32) -> u16 {
    u16::try_from(size).unwrap_or(u16::MAX)
}

fn to_u8(place: usize) -> u8 {
    u8::try_from(place).unwrap_or(u8::MAX)
}

const _: () = assert!(size_of::<Rhythm>() <= 24);

/// Octets of it elsewhere.
pub(super) const MEMORY: u64 = size_of::<[Beat; BEATS]>() as u64;

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

    /// Heartbeat, long poll and counters of a page on one connection, for an hour, and whatever else is sent.
    fn page(others: &[(u64, u32)]) -> u32 {
        let beats = [(10_013u64, 1_150), (60_170, 1_700), (61_400, 2_300)];
        let mut all: Vec<(u64, u32)> = others.to_vec();
        for (interval, size) in beats {
            all.extend(
                (1..3_600_000 / interval).map(|i| (i * interval + 700 + i * 7919 % 400, size)),
            );
        }
        all.sort_unstable();
        bursts(all.into_iter())
    }

    #[test]
    fn several_timers_on_one_connection_are_keep_alives() {
        let idle = page(&[]);
        assert!(idle <= 30, "{idle} of 476");
        // Sixty clicks among them: most are seen.
        let clicks: Vec<(u64, u32)> = (0..60)
            .map(|i| (600_000 + i * 9_100 + i * i * 37 % 5_000, 600 + i as u32 * 50))
            .collect();
        let with = page(&clicks);
        assert!(with >= idle + 35, "{with}");
    }

    #[test]
    fn a_large_burst_in_rhythm_counts() {
        let beats = (1..10u64).map(|i| (i * 5_000, if i == 8 { 9_000 } else { 100 }));
        assert_eq!(bursts(beats), 3);
    }
}
