//! Whether a connection of remote assistance only keeps in touch, or somebody is connected.

use serde::Serialize;

use super::Options;
use crate::decode::Transport;
use crate::flow::Delta;
use crate::time::Time;

/// What goes on in a flow of remote assistance, or of media, by its traffic alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Activity {
    /// An agent is there and keeps in touch, or nothing else was seen yet.
    Presence,
    /// Somebody is connected: for some time both ends had much to say, or media flowed.
    Session,
}

impl Activity {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Presence => "presence",
            Self::Session => "session",
        }
    }
}

/// What the reports of one flow amount to: a bucket that busy time fills, and quiet time empties at a quarter of the pace.
/// A burst each minute never fills it; a person who watches, reads and clicks does.
///
/// Reports are more frequent than a person's turns: what they tell is gathered before it is judged. Small, as each open flow
/// has one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pulse {
    /// [`SESSION`] from the moment on at which it is one.
    busy_millis: u32,
    gathered_millis: u32,
    /// On the wire, both ways.
    octets: u32,
    /// Frames with payload.
    sent: u16,
    received: u16,
}

const SESSION: u32 = u32::MAX;

impl Pulse {
    /// Takes a report of what the flow did up to `until`; true where that made it a session.
    pub fn take(
        &mut self,
        delta: &Delta,
        until: Time,
        transport: Transport,
        options: &Options,
    ) -> bool {
        if self.busy_millis == SESSION {
            return false;
        }
        self.gather(delta, until);
        let millis = self.gathered_millis;
        if millis < JUDGED {
            return false;
        }
        let before = self.busy_millis;
        self.busy_millis = if self.is_busy(transport, options) {
            // A capture in which nothing else goes on has no earlier end for a report than the next frame: one burst and the
            // silence after it.
            let busy = millis.min(BUSY_MOST);
            before.saturating_add(busy).saturating_sub((millis - busy) / QUIET_PACE)
        } else {
            before.saturating_sub(millis / QUIET_PACE)
        };
        let session = self.busy_millis >= options.session_seconds.saturating_mul(1_000);
        *self = Self {
            busy_millis: if session { SESSION } else { self.busy_millis },
            ..Self::default()
        };
        session
    }

    pub const fn activity(&self) -> Activity {
        if self.busy_millis == SESSION { Activity::Session } else { Activity::Presence }
    }

    fn gather(&mut self, delta: &Delta, until: Time) {
        let millis = u32::try_from(until.since(delta.since).as_millis()).unwrap_or(u32::MAX);
        self.gathered_millis = self.gathered_millis.saturating_add(millis);
        let octets = delta.sent.bytes.saturating_add(delta.received.bytes);
        self.octets = self.octets.saturating_add(u32::try_from(octets).unwrap_or(u32::MAX));
        let few = |spoken| u16::try_from(spoken).unwrap_or(u16::MAX);
        self.sent = self.sent.saturating_add(few(delta.sent.spoken));
        self.received = self.received.saturating_add(few(delta.received.spoken));
    }

    /// Whether what was gathered is what a session looks like.
    fn is_busy(&self, transport: Transport, options: &Options) -> bool {
        let millis = self.gathered_millis;
        let each = |spoken: u16, every: u32| u32::from(spoken).saturating_mul(every) >= millis;
        let both = each(self.sent, TURN) && each(self.received, TURN);
        let media = matches!(transport, Transport::Udp)
            && (each(self.sent, MEDIA) || each(self.received, MEDIA));
        let needed = u64::from(millis) * u64::from(options.session_rate);
        (both || media) && u64::from(self.octets) * 1_000 >= needed
    }
}

/// One busy second makes up for so many quiet ones.
const QUIET_PACE: u32 = 4;

/// Milliseconds that are judged together, at least: a person reads before the next click.
const JUDGED: u32 = 10_000;

/// Milliseconds judged together that count as busy, at most.
const BUSY_MOST: u32 = 15_000;

/// Milliseconds in which each end says at least one thing: pointer and keys one way, pieces of the screen the other. Keep-alives
/// of a product whose agents are chatty come each ten seconds.
const TURN: u32 = 2_000;

/// Milliseconds between datagrams of one end that are media, whatever the other end says: reports of its receiver (RFC 3550
/// section 6.2) come each five seconds.
const MEDIA: u32 = 100;

#[cfg(test)]
mod tests {
    use std::iter::repeat_n;
    use std::time::Duration;

    use super::*;
    use crate::flow::Tally;

    /// What both ends did in a report of so many seconds: octets and spoken segments.
    type Report = (u32, (u64, u64), (u64, u64));

    fn after(transport: Transport, reports: impl IntoIterator<Item = Report>) -> Activity {
        let mut pulse = Pulse::default();
        let mut since = Time::from_secs(1_800_000_000);
        for (seconds, sent, received) in reports {
            let tally = |(bytes, spoken)| Tally { bytes, packets: spoken, spoken };
            let (sent, received) = (tally(sent), tally(received));
            let until = since.plus(Duration::from_secs(seconds.into()));
            let delta = Delta { since, sent, received, ..Delta::default() };
            pulse.take(&delta, until, transport, &Options::default());
            since = until;
        }
        pulse.activity()
    }

    fn tcp(reports: impl IntoIterator<Item = Report>) -> Activity {
        after(Transport::Tcp, reports)
    }

    #[test]
    fn who_keeps_in_touch_is_present() {
        let beat = (10, (100, 1), (100, 1));
        assert_eq!(
            tcp(repeat_n(beat, 8_640)),
            Activity::Presence,
            "a beat each ten seconds of a day"
        );
        let chatty = (10, (1_000, 10), (1_000, 10));
        assert_eq!(tcp(repeat_n(chatty, 8_640)), Activity::Presence, "and each second");
        let burst = [(10, (9_000, 20), (40_000, 40)), (50, (0, 0), (0, 0))];
        assert_eq!(tcp(burst.repeat(1_440)), Activity::Presence, "a burst each minute");
        let login = [(5, (9_000, 40), (90_000, 90)), (60, (100, 1), (100, 1))];
        assert_eq!(tcp(login), Activity::Presence);
    }

    #[test]
    fn who_is_connected_has_a_session() {
        let busy = (10, (2_000, 30), (30_000, 60));
        assert_eq!(tcp([busy; 2]), Activity::Presence, "not yet");
        assert_eq!(tcp([busy; 3]), Activity::Session);
        let reads = [busy, (20, (60, 1), (60, 1))];
        assert_eq!(tcp(reads.repeat(6)), Activity::Session, "a third of the time");
        let quiet = (600, (60, 1), (60, 1));
        assert_eq!(tcp([busy, busy, quiet, busy]), Activity::Presence, "half an hour of it gone");
        assert_eq!(tcp([busy, busy, busy, quiet]), Activity::Session, "it was one");
    }

    #[test]
    fn one_burst_and_a_long_silence_in_one_report_are_no_session() {
        let sign_in = (31, (4_000, 20), (60_000, 50));
        assert_eq!(tcp([sign_in]), Activity::Presence);
        let seldom = (20, (4_000, 60), (60_000, 120));
        assert_eq!(tcp([seldom; 3]), Activity::Session, "reports that come less often");
    }

    #[test]
    fn one_direction_alone_is_a_download_or_media() {
        let download = (10, (9_000, 1), (9_000_000, 6_000));
        assert_eq!(tcp([download; 60]), Activity::Presence);
        let screen = (10, (300, 2), (300_000, 300));
        assert_eq!(after(Transport::Udp, [screen; 3]), Activity::Session);
        let pings = (10, (600, 10), (600, 10));
        assert_eq!(after(Transport::Udp, [pings; 360]), Activity::Presence);
    }

    #[test]
    fn reports_of_no_length_and_of_a_clock_that_stood_still_change_nothing() {
        assert_eq!(tcp(repeat_n((0, (9_000, 9), (9_000, 9)), 1_000)), Activity::Presence);
    }
}
