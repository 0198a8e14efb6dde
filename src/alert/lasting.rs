//! What lasts and no one contact shows: a vendor that fell silent, a sensor that sees less than it should.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::event::VendorName;
use super::finding::{SANCTIONED_SILENT, VISIBILITY_LOSS};
use crate::policy::State;
use crate::time::Time;

/// A condition of which somebody has to say that it still holds. Its JSON form is `{"vendor": ..., "silence": {...}}` or
/// `{"loss": {...}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Lasting {
    Silence { vendor: VendorName, state: State, silence: Silence },
    Loss { loss: Loss },
}

/// A vendor that was used every working day, and is not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Working days without a client.
    pub days: u32,
    /// Working days before them, and clients on one of them in the mean.
    pub known_days: u32,
    pub clients_a_day: u32,
    /// The day (UTC) on which it was last used.
    pub last_used: Time,
}

/// Part of what passes the sensor of which it cannot see enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    pub cause: Cause,
    /// Of `whole` packets, TCP flows or octets within so many minutes.
    pub part: u64,
    pub whole: u64,
    pub minutes: u32,
    pub threshold_percent: u32,
}

/// Why it cannot be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The kernel or the interface gave packets up.
    Drops,
    /// Flows of which one direction alone arrives.
    OneWay,
    /// Packets that arrive twice.
    Duplicates,
    /// Flows with a VLAN tag in one direction only.
    TagAsymmetry,
    /// Stamps that differ by more than a second from those before.
    ClockSkew,
    /// Names that are encrypted.
    Ech,
}

impl Lasting {
    /// The id of the finding that tells of it.
    pub const fn finding(&self) -> &'static str {
        match self {
            Self::Silence { .. } => SANCTIONED_SILENT,
            Self::Loss { .. } => VISIBILITY_LOSS,
        }
    }

    pub const fn vendor(&self) -> Option<&VendorName> {
        match self {
            Self::Silence { vendor, .. } => Some(vendor),
            Self::Loss { .. } => None,
        }
    }

    pub const fn state(&self) -> Option<State> {
        match self {
            Self::Silence { state, .. } => Some(*state),
            Self::Loss { .. } => None,
        }
    }

    pub const fn silence(&self) -> Option<&Silence> {
        match self {
            Self::Silence { silence, .. } => Some(silence),
            Self::Loss { .. } => None,
        }
    }

    pub const fn loss(&self) -> Option<&Loss> {
        match self {
            Self::Loss { loss } => Some(loss),
            Self::Silence { .. } => None,
        }
    }

    /// The option that decided.
    pub const fn threshold(&self) -> &'static str {
        match self {
            Self::Silence { .. } => "silent_days",
            Self::Loss { loss } => loss.cause.option(),
        }
    }
}

/// As a person reads it behind the title of the finding.
impl fmt::Display for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence { vendor, silence, .. } => write!(
                f,
                "{} ({} working days without a client, {} a day before)",
                vendor.name, silence.days, silence.clients_a_day
            ),
            Self::Loss { loss } => {
                write!(f, "{} ({} % of {})", loss.cause, loss.percent(), loss.cause.of())
            }
        }
    }
}

impl Loss {
    /// Rounded down.
    pub fn percent(&self) -> u32 {
        let percent = self.part.saturating_mul(100).checked_div(self.whole).unwrap_or(0);
        u32::try_from(percent).unwrap_or(u32::MAX)
    }
}

impl Cause {
    pub const ALL: [Self; 6] = [
        Self::Drops,
        Self::OneWay,
        Self::Duplicates,
        Self::TagAsymmetry,
        Self::ClockSkew,
        Self::Ech,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Drops => "drops",
            Self::OneWay => "one_way",
            Self::Duplicates => "duplicates",
            Self::TagAsymmetry => "tag_asymmetry",
            Self::ClockSkew => "clock_skew",
            Self::Ech => "ech",
        }
    }

    /// The key of `[alert.loss]` that holds its threshold.
    pub const fn option(self) -> &'static str {
        match self {
            Self::Drops => "drops_percent",
            Self::OneWay => "one_way_percent",
            Self::Duplicates => "duplicates_percent",
            Self::TagAsymmetry => "tag_asymmetry_percent",
            Self::ClockSkew => "clock_skew_percent",
            Self::Ech => "ech_percent",
        }
    }

    /// What it is a part of.
    pub const fn of(self) -> &'static str {
        match self {
            Self::Drops | Self::Duplicates | Self::ClockSkew => "packets",
            Self::OneWay | Self::TagAsymmetry => "TCP flows",
            Self::Ech => "octets",
        }
    }

    /// Whether it keeps names and octets from the sensor; else it only tells that something is connected wrongly.
    pub const fn hides(self) -> bool {
        matches!(self, Self::Drops | Self::OneWay | Self::Ech)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::alert) fn silence() -> Lasting {
        Lasting::Silence {
            vendor: VendorName {
                id: "zendesk".into(),
                name: "Zendesk".into(),
                category: Some("helpdesk".into()),
            },
            state: State::Sanctioned,
            silence: Silence {
                days: 5,
                known_days: 20,
                clients_a_day: 7,
                last_used: Time::from_secs(1_794_960_000),
            },
        }
    }

    pub(in crate::alert) fn loss() -> Lasting {
        let (part, whole) = (30, 120);
        let cause = Cause::OneWay;
        Lasting::Loss { loss: Loss { cause, part, whole, minutes: 15, threshold_percent: 20 } }
    }

    #[test]
    fn a_person_reads_what_it_is_and_how_much() {
        let told = "Zendesk (5 working days without a client, 7 a day before)";
        assert_eq!(silence().to_string(), told);
        assert_eq!(loss().to_string(), "one_way (25 % of TCP flows)");
        for lasting in [silence(), loss()] {
            let row = serde_json::to_string(&lasting).unwrap();
            assert_eq!(serde_json::from_str::<Lasting>(&row).unwrap(), lasting);
        }
    }

    #[test]
    fn names_are_those_of_the_rows_and_options_are_keys_of_the_configuration() {
        let options = serde_json::to_value(crate::alert::LossOptions::default()).unwrap();
        for cause in Cause::ALL {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.name());
            assert!(options.get(cause.option()).is_some(), "{cause}");
        }
    }
}
