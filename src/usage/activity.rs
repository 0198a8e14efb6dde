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
#[derive(Clone, Copy, Debug, Default)]
pub struct Pulse {
    busy_millis: u64,
    session: bool,
}

impl Pulse {
    /// Takes a report of what the flow did up to `until`; true where that made it a session.
    pub fn take(
        &mut self,
        delta: &Delta,
        until: Time,
        transport: Transport,
        options: &Options,
    ) -> bool {
        if self.session {
            return false;
        }
        let millis = u64::try_from(until.since(delta.since).as_millis()).unwrap_or(u64::MAX);
        if is_busy(delta, millis, transport, options) {
            // A capture in which nothing else goes on has no earlier end for a report than the next frame: one burst and the
            // silence after it.
            let busy = millis.min(BUSY_MOST);
            let quiet = (millis - busy) / QUIET_PACE;
            self.busy_millis = self.busy_millis.saturating_add(busy).saturating_sub(quiet);
        } else {
            self.busy_millis = self.busy_millis.saturating_sub(millis / QUIET_PACE);
        }
        self.session = self.busy_millis >= u64::from(options.session_seconds) * 1_000;
        self.session
    }

    pub const fn activity(&self) -> Activity {
        if self.session { Activity::Session } else { Activity::Presence }
    }
}

/// One busy second makes up for so many quiet ones.
const QUIET_PACE: u64 = 4;

/// Milliseconds of one report that count as busy, at most: half as much again as flows report in.
const BUSY_MOST: u64 = 15_000;

/// Milliseconds in which each end says at least one thing: pointer and keys one way, pieces of the screen the other. Keep-alives
/// of a product whose agents are chatty come each ten seconds.
const TURN: u64 = 2_000;

/// Milliseconds between datagrams of one end that are media, whatever the other end says: reports of its receiver (RFC 3550
/// section 6.2) come each five seconds.
const MEDIA: u64 = 100;

/// Whether `delta`, within `millis`, is what a session looks like.
const fn is_busy(delta: &Delta, millis: u64, transport: Transport, options: &Options) -> bool {
    let (sent, received) = (delta.sent, delta.received);
    let both = sent.spoken * TURN >= millis && received.spoken * TURN >= millis;
    let media = matches!(transport, Transport::Udp)
        && (sent.spoken * MEDIA >= millis || received.spoken * MEDIA >= millis);
    (both || media) && {
        let octets = sent.bytes.saturating_add(received.bytes).saturating_mul(1_000);
        octets >= millis.saturating_mul(options.session_rate as u64)
    }
}

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
