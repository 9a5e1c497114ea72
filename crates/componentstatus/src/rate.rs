//! Events a second, over the last seconds.

use pdata::KTime;

/// Seconds that a rate is taken over.
const SECONDS: usize = 10;
const NANOS: u64 = 1_000_000_000;

/// Counts by second, of the last [`SECONDS`] whole ones and the one under way.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    /// Second since the clock's start, and number of events in it; place: second modulo length.
    buckets: [(u64, u64); SECONDS + 1],
    /// Second of the first event.
    since: Option<u64>,
}

impl Default for Rate {
    fn default() -> Self {
        Self { buckets: [(0, 0); SECONDS + 1], since: None }
    }
}

impl Rate {
    /// Counts events that happened at `at`.
    pub(crate) fn add(&mut self, count: u64, at: KTime) {
        let second = at.as_nanos() / NANOS;
        self.since.get_or_insert(second);
        let length = self.buckets.len() as u64;
        if let Some((of, sum)) = usize::try_from(second % length).ok().and_then(|at| self.buckets.get_mut(at))
        {
            if *of != second {
                (*of, *sum) = (second, 0);
            }
            *sum += count;
        }
    }

    /// Events a second over the whole seconds before `now`, at most [`SECONDS`] of them.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub(crate) fn per_second(&self, now: KTime) -> f64 {
        let this = now.as_nanos() / NANOS;
        let from = this.saturating_sub(SECONDS as u64).max(self.since.unwrap_or(this));
        let seconds = this.saturating_sub(from);
        let within = self.buckets.iter().filter(|(second, _)| (from..this).contains(second));
        let events: u64 = within.map(|(_, sum)| sum).sum();
        if seconds == 0 { 0.0 } else { events as f64 / seconds as f64 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> KTime {
        KTime::from_nanos(millis * 1_000_000)
    }

    proptest! {
        /// The rate is the same as that of a list of events.
        #[test]
        fn the_rate_is_that_of_the_last_whole_seconds(
            steps in prop::collection::vec((0_u64..4_000, 0_u64..9), 1..60), wait in 0_u64..20_000,
        ) {
            let (mut rate, mut now, mut events) = (Rate::default(), 7_000, Vec::new());
            for (step, count) in steps {
                now += step;
                rate.add(count, at(now));
                events.push((now / 1000, count));
            }
            let this = (now + wait) / 1000;
            let from = this.saturating_sub(10).max(events[0].0);
            let sum: u64 = events.iter().filter(|(s, _)| (from..this).contains(s)).map(|(_, n)| n).sum();
            let expected = if this == from { 0.0 } else { sum as f64 / (this - from) as f64 };
            prop_assert_eq!(rate.per_second(at(now + wait)), expected);
        }
    }
}
