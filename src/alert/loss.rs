//! What the sensor misses: shares of packets, flows and octets in windows of packet time, against thresholds.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lasting::{Cause, Loss};
use super::reason::Reason;
use crate::time::Time;

/// `[alert.loss]`. Percentages above 100 are never reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename = "Options")]
pub struct LossOptions {
    /// Minutes from the start in which nothing is said: a sensor that starts meets flows of which it missed the beginning,
    /// and sizes its buffers to the traffic.
    pub after_minutes: u32,
    /// Minutes over which shares are taken: shorter ones would tell of every burst.
    pub minutes: u32,
    /// Of packets that the kernel or the interface dropped. One in a hundred breaks every tenth handshake.
    pub drops_percent: u32,
    /// Of TCP flows that show one direction. Asymmetric routes make some in every network; a fifth is a missing span port.
    pub one_way_percent: u32,
    /// Of packets that came twice: they are counted once, but take room from others.
    pub duplicates_percent: u32,
    /// Of TCP flows with a VLAN tag in one direction only: they are put together, but no group by VLAN is right.
    pub tag_asymmetry_percent: u32,
    /// Of packets stamped a second or more before those ahead of them: orders and times of findings are wrong then.
    pub clock_skew_percent: u32,
    /// Of octets in flows with encrypted names: so much use has no vendor.
    pub ech_percent: u32,
}

impl Default for LossOptions {
    fn default() -> Self {
        Self {
            after_minutes: 60,
            minutes: 15,
            drops_percent: 1,
            one_way_percent: 20,
            duplicates_percent: 20,
            tag_asymmetry_percent: 20,
            clock_skew_percent: 1,
            ech_percent: 25,
        }
    }
}

impl LossOptions {
    const fn threshold(&self, cause: Cause) -> u32 {
        match cause {
            Cause::Drops => self.drops_percent,
            Cause::OneWay => self.one_way_percent,
            Cause::Duplicates => self.duplicates_percent,
            Cause::TagAsymmetry => self.tag_asymmetry_percent,
            Cause::ClockSkew => self.clock_skew_percent,
            Cause::Ech => self.ech_percent,
        }
    }
}

/// Sums since the start: what the cause takes, and of how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    pub part: u64,
    pub whole: u64,
}

/// What a window showed of one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    pub cause: Cause,
    /// The share is a loss, or why not.
    pub outcome: Result<Loss, Reason>,
}

/// Windows of packet time, one after the other. It holds no clock.
#[derive(Debug, Default)]
pub struct Losses {
    begun: Option<Time>,
    /// When the present window began, and the sums at that time.
    window: Time,
    before: Vec<Measure>,
}

impl Losses {
    /// Whether `now` is time to [`look`](Self::look).
    pub fn is_due(&self, now: Time, options: &LossOptions) -> bool {
        self.begun.is_none() || now >= self.window.plus(minutes(options.minutes))
    }

    /// Ends the window: `sums` says how each cause stands. Empty while there is none to end.
    pub fn look(
        &mut self,
        now: Time,
        options: &LossOptions,
        sums: impl Fn(Cause) -> Measure,
    ) -> Vec<Measured> {
        let after = Cause::ALL.map(sums).to_vec();
        let before = std::mem::replace(&mut self.before, after.clone());
        let window = std::mem::replace(&mut self.window, now);
        let Some(begun) = self.begun else {
            self.begun = Some(now);
            return Vec::new();
        };
        let judged = begun.plus(minutes(options.after_minutes));
        let each = Cause::ALL.into_iter().zip(before.into_iter().zip(after));
        let measured = each.map(|(cause, (before, after))| {
            let part = after.part.saturating_sub(before.part);
            let whole = after.whole.saturating_sub(before.whole);
            let lasted = now.since(window).as_secs() / 60;
            let loss = Loss {
                cause,
                part,
                whole,
                minutes: u32::try_from(lasted).unwrap_or(u32::MAX),
                threshold_percent: options.threshold(cause),
            };
            let outcome = match () {
                () if window < judged => Err(Reason::Starting { until: judged }),
                () if whole < least(cause) => Err(Reason::Little { whole, needs: least(cause) }),
                () if is_below(&loss) => Err(Reason::Share(loss)),
                () => Ok(loss),
            };
            Measured { cause, outcome }
        });
        measured.collect()
    }
}

const fn is_below(loss: &Loss) -> bool {
    // In wide numbers: octets of a fast network times a hundred.
    (loss.part as u128) * 100 < (loss.whole as u128) * (loss.threshold_percent as u128)
}

/// Of less a share says nothing: a lone connection at night that goes one way is no broken span port.
const fn least(cause: Cause) -> u64 {
    match cause {
        Cause::Drops | Cause::Duplicates | Cause::ClockSkew => 10_000,
        Cause::OneWay | Cause::TagAsymmetry => 100,
        Cause::Ech => 10_000_000,
    }
}

const fn minutes(minutes: u32) -> Duration {
    Duration::from_secs(minutes as u64 * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_secs(1_795_000_000);

    /// A sensor whose counters a test moves.
    struct Bench {
        losses: Losses,
        options: LossOptions,
        sums: [Measure; 6],
        now: Time,
    }

    impl Bench {
        fn new() -> Self {
            let (losses, options) = (Losses::default(), LossOptions::default());
            let mut bench = Self { losses, options, sums: [Measure::default(); 6], now: START };
            assert!(bench.window(Cause::Drops, 0, 0).is_empty(), "there is no window yet");
            bench
        }

        /// One that has been up for an hour.
        fn settled() -> Self {
            let mut bench = Self::new();
            (0..4).for_each(|_| drop(bench.window(Cause::Drops, 0, 0)));
            bench
        }

        /// What a window gives in which so much of so much showed the cause.
        fn window(&mut self, cause: Cause, part: u64, whole: u64) -> Vec<Measured> {
            self.sums[cause as usize].part += part;
            self.sums[cause as usize].whole += whole;
            let sums = self.sums;
            let told = self.losses.look(self.now, &self.options, |of| sums[of as usize]);
            assert!(!self.losses.is_due(self.now.plus(minutes(14)), &self.options));
            self.now = self.now.plus(minutes(15));
            assert!(self.losses.is_due(self.now, &self.options));
            told
        }

        fn outcome(&mut self, cause: Cause, part: u64, whole: u64) -> Result<Loss, Reason> {
            let told = self.window(cause, part, whole);
            told.into_iter().find(|told| told.cause == cause).unwrap().outcome
        }
    }

    /// Of a window large enough for every cause.
    const WHOLE: u64 = 100_000_000;

    #[test]
    fn a_share_at_its_threshold_is_a_loss_and_one_below_is_none() {
        for cause in Cause::ALL {
            let mut bench = Bench::settled();
            let percent = u64::from(bench.options.threshold(cause));
            let enough = WHOLE / 100 * percent;
            let told = bench.outcome(cause, enough, WHOLE).unwrap();
            assert_eq!((told.cause, told.part, told.whole), (cause, enough, WHOLE));
            assert_eq!((told.minutes, u64::from(told.percent())), (15, percent));
            let below = bench.outcome(cause, enough - 1, WHOLE);
            assert!(
                matches!(below, Err(Reason::Share(loss)) if loss.part == enough - 1),
                "{below:?}"
            );
            let others = bench.window(cause, WHOLE, WHOLE);
            let raised = others.iter().filter(|told| told.outcome.is_ok()).map(|told| told.cause);
            assert_eq!(raised.collect::<Vec<_>>(), [cause], "no other");
        }
    }

    #[test]
    fn the_first_hour_and_what_is_too_little_say_nothing() {
        let mut bench = Bench::new();
        for _ in 0..4 {
            let told = bench.outcome(Cause::Drops, WHOLE, WHOLE);
            assert_eq!(told, Err(Reason::Starting { until: START.plus(minutes(60)) }));
        }
        assert!(bench.outcome(Cause::Drops, WHOLE, WHOLE).is_ok());
        for cause in Cause::ALL {
            let few = least(cause) - 1;
            let told = bench.outcome(cause, few, few);
            assert_eq!(told, Err(Reason::Little { whole: few, needs: few + 1 }));
            assert!(bench.outcome(cause, few + 1, few + 1).is_ok());
        }
    }

    #[test]
    fn counters_that_begin_anew_are_no_loss_and_above_100_percent_is_never_reached() {
        let mut bench = Bench::settled();
        bench.outcome(Cause::Drops, 20_000, WHOLE).unwrap_err();
        bench.sums[Cause::Drops as usize] = Measure { part: 5, whole: 5 };
        assert!(bench.outcome(Cause::Drops, 0, 0).is_err());
        bench.options.drops_percent = 101;
        assert!(bench.outcome(Cause::Drops, WHOLE, WHOLE).is_err());
    }
}
