//! A session of remote assistance: whether its ends talk directly, and which way it goes.

use serde::{Deserialize, Serialize};

use crate::signature::Confidence;

/// What is known of the way of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub path: Path,
    pub direction: Direction,
    /// Of the direction.
    pub confidence: Confidence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    /// Both ends of the flow are the ends of the session.
    Direct,
    /// Both ends of the session dial out to a third.
    Relay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Direct: opened from outside the local networks to a machine inside; the other way; within them.
    Inbound,
    Outbound,
    Internal,
    /// Through a relay: the client receives a screen; it sends its own.
    Viewer,
    Viewed,
    Unknown,
}

impl Session {
    /// By who opened it: whether client and server lie in networks of ours.
    pub const fn direct(client_inside: bool, server_inside: bool) -> Self {
        let (direction, confidence) = match (client_inside, server_inside) {
            (false, true) => (Direction::Inbound, Confidence::High),
            (true, false) => (Direction::Outbound, Confidence::High),
            (true, true) => (Direction::Internal, Confidence::High),
            (false, false) => (Direction::Unknown, Confidence::Low),
        };
        Self { path: Path::Direct, direction, confidence }
    }

    /// By the octets that the client sent and received: a guess, as a file may flow against the screen.
    pub const fn relayed(sent: u64, received: u64) -> Self {
        let direction = if received / SCREEN >= sent && received > 0 {
            Direction::Viewer
        } else if sent / SCREEN >= received && sent > 0 {
            Direction::Viewed
        } else {
            Direction::Unknown
        };
        Self { path: Path::Relay, direction, confidence: Confidence::Low }
    }

    pub const fn is_direct(&self) -> bool {
        matches!(self.path, Path::Direct)
    }
}

impl Path {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relay => "relay",
        }
    }
}

impl Direction {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Internal => "internal",
            Self::Viewer => "viewer",
            Self::Viewed => "viewed",
            Self::Unknown => "unknown",
        }
    }
}

/// How often the octets of who watches and clicks go into those of the screen, at least.
const SCREEN: u64 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_opened_a_direct_session_gives_its_direction() {
        for (client, server, direction) in [
            (false, true, Direction::Inbound),
            (true, false, Direction::Outbound),
            (true, true, Direction::Internal),
            (false, false, Direction::Unknown),
        ] {
            assert_eq!(Session::direct(client, server).direction, direction);
        }
    }

    #[test]
    fn the_screen_through_a_relay_is_a_guess() {
        for (sent, received, direction) in [
            (1_000, 3_000, Direction::Viewer),
            (3_000, 1_000, Direction::Viewed),
            (1_000, 2_999, Direction::Unknown),
            (0, 0, Direction::Unknown),
            (0, 1_000, Direction::Viewer),
            (u64::MAX, 0, Direction::Viewed),
        ] {
            let told = Session::relayed(sent, received);
            assert_eq!((told.direction, told.confidence), (direction, Confidence::Low), "{sent}");
        }
    }
}
