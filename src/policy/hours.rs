//! When the hours of a rule are: days of the week and times of the day in a named time zone.

use std::fmt;

use crate::time::{Time, Zone};

/// `Mon-Fri 08:00-18:00, Sat 09:00-12:00 Europe/Berlin`. A span beyond midnight belongs to the day on which it begins.
#[derive(Clone, Debug)]
pub struct Hours {
    spans: Vec<Span>,
    zone: Zone,
    text: Box<str>,
}

impl Hours {
    /// # Errors
    /// What is wrong with the text, for a person.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.trim();
        let mut zone = Zone::UTC;
        if let Some((before, last)) = words.rsplit_once(' ')
            && last.starts_with(|c: char| c.is_ascii_alphabetic())
        {
            zone = Zone::named(last).ok_or_else(|| format!("unknown time zone `{last}`"))?;
            words = before.trim_end();
        }
        let spans = words.split(',').map(Span::parse).collect::<Result<_, _>>()?;
        Ok(Self { spans, zone, text: text.trim().into() })
    }

    pub fn hold(&self, at: Time) -> bool {
        let (day, minute) = self.zone.wall(at);
        self.spans.iter().any(|span| span.holds(day, minute))
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Minutes of some days of the week.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// One bit a day, Monday the lowest.
    days: u8,
    from: u16,
    to: u16,
}

impl Span {
    /// `Mon-Fri 08:00-18:00`, `Sat,Sun` only as two spans; without days: every day.
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (days, times) = match text.split_once(' ') {
            Some((days, times)) => (days_of(days)?, times.trim()),
            None => (EVERY_DAY, text),
        };
        let wrong = || format!("`{text}` is no span of hours");
        let (from, to) = times.split_once('-').ok_or_else(wrong)?;
        let (from, to) = (minute_of(from).ok_or_else(wrong)?, minute_of(to).ok_or_else(wrong)?);
        if from == to || from == MIDNIGHT {
            return Err(format!("`{text}` begins where it ends; all day is 00:00-24:00"));
        }
        Ok(Self { days, from, to })
    }

    const fn holds(self, day: u8, minute: u16) -> bool {
        let yesterday = if day == 0 { 6 } else { day - 1 };
        let (today, before) = (self.days >> day & 1 == 1, self.days >> yesterday & 1 == 1);
        if self.from < self.to {
            today && self.from <= minute && minute < self.to
        } else {
            (today && self.from <= minute) || (before && minute < self.to)
        }
    }
}

/// `Fri` or `Fri-Mon`, around the week's end.
fn days_of(text: &str) -> Result<u8, String> {
    let day = |name: &str| {
        let found = DAYS.iter().position(|d| d.eq_ignore_ascii_case(name.trim()));
        found.ok_or_else(|| format!("unknown day `{name}`: write one of {}", DAYS.join(", ")))
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (day(first)?, day(last)?);
    let count = (last + 7 - first) % 7 + 1;
    Ok((first..first + count).fold(0, |days, day| days | 1 << (day % 7)))
}

/// `08:30`; the end of the day is `24:00`.
fn minute_of(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let all = hour * 60 + minute;
    (minute < 60 && all <= MIDNIGHT).then_some(all)
}

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const EVERY_DAY: u8 = 0x7f;
const MIDNIGHT: u16 = 24 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        serde_json::from_str(&format!("{text:?}")).unwrap()
    }

    fn holds(hours: &str, text: &str) -> bool {
        Hours::parse(hours).unwrap().hold(at(text))
    }

    #[test]
    fn days_and_times_of_a_named_zone() {
        let office = "Mon-Fri 08:00-18:00, Sat 09:00-12:00 Europe/Berlin";
        for (text, expected) in [
            ("2026-11-20T07:00:00Z", true),  // Friday, 08:00 there
            ("2026-11-20T06:59:59Z", false), // 07:59
            ("2026-11-20T16:59:59Z", true),  // 17:59
            ("2026-11-20T17:00:00Z", false), // 18:00
            ("2026-11-21T08:30:00Z", true),  // Saturday, 09:30
            ("2026-11-21T11:00:00Z", false), // 12:00
            ("2026-11-22T09:00:00Z", false), // Sunday
            ("2026-07-20T06:00:00Z", true),  // summer: Monday, 08:00 there
            ("2026-07-20T05:59:00Z", false),
        ] {
            assert_eq!(holds(office, text), expected, "{text}");
        }
        assert!(holds("08:00-18:00", "2026-11-22T08:00:00Z"), "every day, UTC");
        assert!(holds("Sat-Mon 00:00-24:00", "2026-11-22T23:59:59Z"));
        assert!(!holds("Sat-Mon 00:00-24:00", "2026-11-24T00:00:00Z"));
    }

    #[test]
    fn a_span_beyond_midnight_belongs_to_its_first_day() {
        let night = "Fri 22:00-06:00";
        assert!(holds(night, "2026-11-20T22:00:00Z"));
        assert!(holds(night, "2026-11-21T05:59:00Z"), "the morning after");
        assert!(!holds(night, "2026-11-20T05:00:00Z"), "the morning before");
        assert!(!holds(night, "2026-11-21T22:30:00Z"));
        assert!(holds("Sun 22:00-06:00", "2026-11-23T01:00:00Z"), "Sunday night ends on Monday");
    }

    #[test]
    fn what_is_no_span_is_told() {
        for (text, word) in [
            ("", "no span"),
            ("Mon-Fri", "no span"),
            ("Mon-Fri 8-18", "no span"),
            ("Mon-Fri 08:00-25:00", "no span"),
            ("Mon-Fri 08:60-18:00", "no span"),
            ("Mo-Fr 08:00-18:00", "unknown day `Mo`"),
            ("Mon-Fri 08:00-18:00 Europe/Atlantis", "unknown time zone"),
            ("Mon-Fri 08:00-08:00", "begins where it ends"),
            ("24:00-06:00", "begins where it ends"),
        ] {
            let error = Hours::parse(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
