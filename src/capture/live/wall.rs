//! Notices when the system clock is set back, so that packet time need not stand still until it has caught up.

use std::time::Duration;

use crate::time::Time;

/// How far the wall clock was set back, by comparison with a clock that only runs forward.
#[derive(Debug, Default)]
pub(super) struct Wall {
    last: Option<(Time, Duration)>,
    ahead: Duration,
}

impl Wall {
    /// `wall` and `steady` (time since some start) as they are now. Gives how far packet time is ahead of the wall clock,
    /// and whether it was set back since the last call. A clock set forward first takes back what it was set back.
    pub(super) fn observe(&mut self, wall: Time, steady: Duration) -> (Duration, bool) {
        let Some((wall_before, steady_before)) = self.last.replace((wall, steady)) else {
            return (self.ahead, false);
        };
        let expected = wall_before.plus(steady.saturating_sub(steady_before));
        let (back, forth) = (expected.since(wall), wall.since(expected));
        if back > STEP {
            self.ahead = self.ahead.saturating_add(back);
        } else if forth > STEP {
            self.ahead = self.ahead.saturating_sub(forth);
        }
        (self.ahead, back > STEP)
    }
}

/// Less than this is slewing or a late look, and packet time waits for it.
const STEP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_is_made_good_and_a_step_forth_takes_that_back() {
        let s = Duration::from_secs;
        let mut wall = Wall::default();
        let noon = Time::from_secs(1_700_000_000);
        assert_eq!(wall.observe(noon, s(0)), (s(0), false));
        assert_eq!(wall.observe(noon.plus(s(5)), s(5)), (s(0), false));
        assert_eq!(wall.observe(noon.minus(s(3600)).plus(s(6)), s(6)), (s(3600), true));
        assert_eq!(wall.observe(noon.minus(s(3600)).plus(s(7)), s(7)), (s(3600), false));
        assert_eq!(wall.observe(noon.plus(s(8)), s(8)), (s(0), false));
        assert_eq!(wall.observe(noon.plus(s(9000)), s(9)), (s(0), false));
    }
}
