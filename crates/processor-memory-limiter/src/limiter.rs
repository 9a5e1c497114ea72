//! A state machine that takes the memory in use and decides on the sampling rate and on dropping samples.

use crate::limits::Level;

/// The most halvings of the rate: to a thirty-second.
pub(crate) const MAX_STEPS: u32 = 5;
/// Number of looks in a row that find memory to spare before one halving is taken back.
pub(crate) const CALM_CHECKS: u32 = 5;

/// The limiter's decision, which holds until the next check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    /// Divisor of the sampling rate: a power of two.
    pub divisor: u32,
    /// Whether samples are to be dropped.
    pub dropping: bool,
    /// Whether memory that is free, but kept by the allocator, is to be returned to the kernel.
    pub give_back: bool,
}

/// Decides, from one look at the memory to the next, how many samples are taken and whether they are dropped.
///
/// Each look above the soft limit halves the rate once more. Above the hard limit samples are dropped as well, until
/// a look finds no more than the soft limit in use. [`CALM_CHECKS`] looks in a row with memory to spare take one
/// halving back: sooner would have the rate swing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limiter {
    steps: u32,
    dropping: bool,
    calm: u32,
}

impl Limiter {
    /// True if memory in use at this level would lead to fewer samples, or to dropping them, than now.
    pub(crate) fn can_tighten(&self, level: Level) -> bool {
        match level {
            Level::AboveHard => self.steps < MAX_STEPS || !self.dropping,
            Level::AboveSoft => self.steps < MAX_STEPS,
            Level::Near | Level::Spare => false,
        }
    }

    /// Takes the level of the memory in use, and returns the action.
    pub(crate) fn check(&mut self, level: Level) -> Action {
        let spare = level == Level::Spare;
        if level >= Level::AboveSoft {
            self.steps = (self.steps + 1).min(MAX_STEPS);
            self.dropping |= level == Level::AboveHard;
            self.calm = 0;
        } else {
            self.dropping = false;
            self.calm = if spare { self.calm + 1 } else { 0 };
            if self.calm >= CALM_CHECKS {
                self.calm = 0;
                self.steps = self.steps.saturating_sub(1);
            }
        }
        // Below the soft limit, too: memory that the allocator keeps must not keep the rate down.
        let give_back = !spare && self.steps > 0;
        Action { divisor: 1 << self.steps, dropping: self.dropping, give_back }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::Limits;

    const LIMITS: Limits = Limits { soft: 800, hard: 1000 };

    #[test]
    fn memory_is_given_back_for_as_long_as_it_keeps_the_rate_down() {
        assert!(!after(&[721]).give_back, "nothing is kept down");
        assert!(after(&[801]).give_back);
        assert!(after(&[801, 721]).give_back);
        assert!(!after(&[801, 720]).give_back);
    }

    fn after(usages: &[u64]) -> Action {
        let mut limiter = Limiter::default();
        usages.iter().map(|&usage| limiter.check(LIMITS.level(usage))).last().unwrap()
    }

    #[test]
    fn each_look_above_the_soft_limit_halves_the_rate_down_to_a_floor() {
        let mut limiter = Limiter::default();
        let divisors: Vec<_> = (0..7).map(|_| limiter.check(LIMITS.level(801)).divisor).collect();
        assert_eq!(divisors, [2, 4, 8, 16, 32, 32, 32]);
        assert!(!limiter.check(LIMITS.level(1000)).dropping, "at the limit is not above it");
    }

    #[test]
    fn above_the_hard_limit_samples_are_dropped_until_the_soft_limit_is_kept() {
        assert!(after(&[1001]).dropping);
        assert!(after(&[1001, 900]).dropping);
        assert!(!after(&[1001, 900, 800]).dropping);
        assert!(!after(&[1001, 800, 900]).dropping);
    }

    #[test]
    fn the_rate_comes_back_step_by_step_and_only_with_memory_to_spare() {
        let mut limiter = Limiter::default();
        for _ in 0..3 {
            limiter.check(LIMITS.level(900));
        }
        let near = (0..20).map(|_| limiter.check(LIMITS.level(721)).divisor).last();
        assert_eq!(near, Some(8), "too near to the limit to sample more");
        let divisors: Vec<_> = (0..16).map(|_| limiter.check(LIMITS.level(720)).divisor).collect();
        assert_eq!(divisors, [8, 8, 8, 8, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 1, 1]);
    }

    proptest! {
        /// Whatever memory is in use, the rate changes by one step at a time, within bounds; samples are dropped for as
        /// long as the last look outside soft..=hard was above hard; and memory to spare for long enough always brings
        /// all back.
        #[test]
        fn steps_are_single_dropping_is_hysteresis_and_calm_restores_all(usages in proptest::collection::vec(0u64..1500, 1..100)) {
            let mut limiter = Limiter::default();
            let mut divisor = 1;
            let mut dropping = false;
            for usage in usages {
                let can_tighten = limiter.can_tighten(LIMITS.level(usage));
                let action = limiter.check(LIMITS.level(usage));
                prop_assert_eq!(can_tighten, action.divisor > divisor || action.dropping && !dropping);
                prop_assert!(action.divisor.is_power_of_two() && action.divisor <= 1 << MAX_STEPS);
                prop_assert!(action.divisor <= divisor * 2 && action.divisor * 2 >= divisor);
                if usage > LIMITS.soft {
                    prop_assert!(action.divisor > divisor || divisor == 1 << MAX_STEPS);
                } else {
                    prop_assert!(action.divisor <= divisor);
                }
                dropping = if usage > LIMITS.hard { true } else { dropping && usage > LIMITS.soft };
                prop_assert_eq!(action.dropping, dropping);
                prop_assert_eq!(action.give_back, usage > 720 && action.divisor > 1);
                divisor = action.divisor;
            }
            let calm = (0..=MAX_STEPS * CALM_CHECKS).map(|_| limiter.check(LIMITS.level(0))).last().unwrap();
            prop_assert_eq!(calm, Action { divisor: 1, dropping: false, give_back: false });
        }
    }
}
