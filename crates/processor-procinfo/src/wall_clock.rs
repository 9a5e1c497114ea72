//! The wall clock by which processes were created.

use pdata::{BootTime, ClockOffset, UnixNanos};

/// The least step of the wall clock, in nanoseconds, that changes the times at which processes were created.
const STEP_NANOS: u64 = 2_000_000_000;

/// The wall clock, at the offset to which it was last set.
///
/// On a machine that boots in 1970, processes that start before the clock is set would be of 1970 for ever. Small
/// corrections are no reason: readers distinguish processes by their time of creation.
#[derive(Debug, Default)]
pub(crate) struct WallClock(Option<ClockOffset>);

impl WallClock {
    /// Takes the offset of a batch. Returns true if the clock was set since the last batch: all processes were created
    /// at other times than was thought.
    pub(crate) fn follow(&mut self, offset: ClockOffset) -> bool {
        let booted = |offset: ClockOffset| offset.unix_from_boot(BootTime::default()).as_nanos();
        let known = *self.0.get_or_insert(offset);
        let is_set = booted(offset).abs_diff(booted(known)) >= STEP_NANOS;
        if is_set {
            self.0 = Some(offset);
        }
        is_set
    }

    /// The time at which a process that started at `start` was created.
    pub(crate) fn created(&self, start: BootTime) -> UnixNanos {
        self.0.unwrap_or_default().unix_from_boot(start)
    }
}

#[cfg(test)]
mod tests {
    use pdata::KTime;
    use proptest::prelude::*;

    use super::*;

    fn booted_at(unix: u64) -> ClockOffset {
        let (boot, unix) = (BootTime::from_nanos(0), UnixNanos::from_nanos(unix));
        ClockOffset::from_readings(KTime::ZERO, boot, unix)
    }

    #[test]
    fn the_first_offset_is_no_change() {
        let mut clock = WallClock::default();
        assert!(!clock.follow(booted_at(5_000_000_000)));
        assert_eq!(clock.created(BootTime::from_nanos(7)).as_nanos(), 5_000_000_007);
    }

    proptest! {
        /// However the clock moves, the time is never off by as much as a step, and small moves change nothing.
        #[test]
        fn it_is_right_within_a_step(moves in prop::collection::vec(0_u64..20_000_000_000, 1..20)) {
            let mut clock = WallClock::default();
            let mut shown = None;
            for unix in moves {
                let is_set = clock.follow(booted_at(unix));
                let now = clock.created(BootTime::default()).as_nanos();
                prop_assert!(now.abs_diff(unix) < STEP_NANOS);
                prop_assert_eq!(is_set, shown.is_some_and(|before| before != now));
                shown = Some(now);
            }
        }
    }
}
