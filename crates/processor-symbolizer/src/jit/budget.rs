//! The time for which lists of each user may be read before their reading has to wait for its turn.

use std::time::{Duration, Instant};

use foldhash::HashMap;

use crate::fair::User;

/// The span of time over which readings are counted, and the part of it for which a user's lists
/// are read at once.
const SPAN: Duration = Duration::from_secs(1);
const AT_ONCE: Duration = Duration::from_millis(50);
/// Number of remembered users from which on those are forgotten whose span is over.
const MANY: usize = 256;

/// Time that reading the lists of each user has taken of late.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// Start of the user's span, and the time that reading has taken since.
    spent: HashMap<User, (Instant, Duration)>,
}

impl Budget {
    /// True if a list of the user may be read at once.
    pub(super) fn is_left(&self, user: User, now: Instant) -> bool {
        self.spent.get(&user).is_none_or(|(since, spent)| is_over(*since, now) || *spent < AT_ONCE)
    }

    /// Counts the time of a reading.
    pub(super) fn spend(&mut self, user: User, now: Instant, took: Duration) {
        if self.spent.len() >= MANY {
            self.spent.retain(|_, (since, _)| !is_over(*since, now));
        }
        let (since, spent) = self.spent.entry(user).or_insert((now, Duration::ZERO));
        if is_over(*since, now) {
            (*since, *spent) = (now, Duration::ZERO);
        }
        *spent += took;
    }
}

fn is_over(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) >= SPAN
}

#[cfg(test)]
mod tests {
    use pdata::Uid;

    use super::*;

    #[test]
    fn who_has_had_much_read_waits_for_a_turn_and_others_do_not() {
        let (mut budget, start) = (Budget::default(), Instant::now());
        let (greedy, other) = (Some(Uid(1)), Some(Uid(2)));
        assert!(budget.is_left(greedy, start));
        for _ in 0..4 {
            budget.spend(greedy, start, AT_ONCE / 4);
        }
        assert!(!budget.is_left(greedy, start) && budget.is_left(other, start));
        assert!(!budget.is_left(greedy, start + SPAN / 2));
        assert!(budget.is_left(greedy, start + SPAN));
        budget.spend(greedy, start + SPAN, AT_ONCE / 4);
        assert!(budget.is_left(greedy, start + SPAN), "what was before counts no longer");
    }

    #[test]
    fn users_whose_span_is_over_are_forgotten() {
        let (mut budget, start) = (Budget::default(), Instant::now());
        for user in 0..2 * u32::try_from(MANY).unwrap() {
            budget.spend(Some(Uid(user)), start + SPAN * (user / 10), AT_ONCE);
            assert!(budget.spent.len() <= MANY + 10);
        }
    }
}
