//! Packet time as a value: nanoseconds since the Unix epoch, made in `capture` and passed on.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment of packet time, in nanoseconds since 1970-01-01T00:00:00Z. Reaches to the year 2554.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

/// Seconds of a day; packet time knows no leap seconds.
pub const DAY: Duration = Duration::from_secs(86_400);

impl Time {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(u64::MAX);

    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    pub const fn nanos(self) -> u64 {
        self.0
    }

    pub const fn secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// Whole minutes since the epoch.
    pub const fn minute(self) -> u32 {
        (self.secs() / 60) as u32
    }

    /// Whole days (UTC) since the epoch.
    pub const fn day(self) -> u32 {
        (self.secs() / 86_400) as u32
    }

    /// The first moment of a day (UTC) that is written `2027-03-31`; `None` where that is no day, or one before the epoch.
    pub fn of_day(text: &str) -> Option<Self> {
        let day: jiff::civil::Date = text.parse().ok().filter(|_| text.len() == 10)?;
        let start = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
        u64::try_from(start).ok().map(Self::from_secs)
    }

    /// How long after `earlier` this is; zero where it is not after.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment and `more`; stays at the end of time instead of wrapping.
    pub const fn plus(self, more: Duration) -> Self {
        let nanos = more.as_nanos();
        Self(self.0.saturating_add(if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 }))
    }

    /// This moment and so many seconds, without the way through a [`Duration`]: for what is asked at every packet.
    #[inline]
    pub const fn plus_secs(self, secs: u32) -> Self {
        Self(self.0.saturating_add(secs as u64 * 1_000_000_000))
    }

    /// This moment less `less`; stays at the epoch instead of wrapping.
    pub const fn minus(self, less: Duration) -> Self {
        let nanos = less.as_nanos();
        Self(self.0.saturating_sub(if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 }))
    }
}

/// A named time zone (IANA), with its changes of the clock.
#[derive(Clone, Debug)]
pub struct Zone(jiff::tz::TimeZone);

impl Zone {
    pub const UTC: Self = Self(jiff::tz::TimeZone::UTC);

    /// `Europe/Berlin`; `None` where neither the system's database nor the one built in knows it.
    pub fn named(name: &str) -> Option<Self> {
        jiff::tz::TimeZone::get(name).ok().map(Self)
    }

    /// What calendar and clock on the wall say there: the day of the week (0 is Monday) and the minute of the day.
    pub fn wall(&self, at: Time) -> (u8, u16) {
        let stamp = jiff::Timestamp::from_second(at.secs() as i64).unwrap_or_default();
        let there = self.0.to_datetime(stamp);
        let day = there.weekday().to_monday_zero_offset().unsigned_abs();
        (
            day,
            u16::from(there.hour().unsigned_abs()) * 60 + u16::from(there.minute().unsigned_abs()),
        )
    }
}

/// A time as a person reads it in a line: `2026-11-22T14:37:00Z`.
pub struct Second(pub Time);

impl fmt::Display for Second {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0.secs() as i64) {
            Ok(stamp) => stamp.fmt(f),
            Err(_) => write!(f, "{}s", self.0.secs()),
        }
    }
}

/// RFC 3339 in UTC with microseconds: `2026-11-22T14:37:00.000001Z`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(stamp) => write!(f, "{stamp:.6}"),
            Err(_) => write!(f, "{}ns", self.0),
        }
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// RFC 3339.
impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let stamp: jiff::Timestamp =
            text.parse().map_err(|error: jiff::Error| error.to_string())?;
        u64::try_from(stamp.as_nanosecond()).map(Self).map_err(|error| error.to_string())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_knows_when_its_clocks_change() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let at = |text: &str| serde_json::from_str::<Time>(&format!("{text:?}")).unwrap();
        // 2026-03-29, a Sunday: at 01:00 UTC the clocks go from 02:00 to 03:00.
        assert_eq!(berlin.wall(at("2026-03-29T00:59:00Z")), (6, 60 + 59));
        assert_eq!(berlin.wall(at("2026-03-29T01:00:00Z")), (6, 3 * 60));
        assert_eq!(berlin.wall(at("2026-11-22T23:30:00Z")), (0, 30), "Monday there");
        assert_eq!(Zone::UTC.wall(at("2026-11-22T23:30:00Z")), (6, 23 * 60 + 30));
        assert!(Zone::named("Europe/Atlantis").is_none());
    }

    #[test]
    fn shows_rfc_3339_with_microseconds_and_reads_it_back() {
        let time = Time::from_nanos(1_795_358_220_000_001_999);
        assert_eq!(time.to_string(), "2026-11-22T14:37:00.000001Z");
        let text = serde_json::to_string(&time).unwrap();
        assert_eq!(Second(time).to_string(), "2026-11-22T14:37:00Z");
        let back: Time = serde_json::from_str(&text).unwrap();
        assert_eq!(back.nanos(), 1_795_358_220_000_001_000);
    }

    #[test]
    fn never_wraps() {
        assert_eq!(Time::ZERO.minus(DAY), Time::ZERO);
        assert_eq!(Time::MAX.plus(Duration::MAX), Time::MAX);
        assert_eq!(Time::ZERO.since(Time::MAX), Duration::ZERO);
    }
}
