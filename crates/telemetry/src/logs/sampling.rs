//! Thinning of equal lines, as in the Collector's log.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::Sampling;

/// Counts lines by the key that equal lines share: messages are constant and facts are fields, so the key is the place
/// in the source, of which there is a bounded number.
#[derive(Debug)]
pub(super) struct Sampler<K> {
    tick: Duration,
    initial: u64,
    thereafter: u64,
    seen: Mutex<HashMap<K, Tick>>,
}

/// Count of lines since the start of a tick.
#[derive(Debug)]
struct Tick {
    since: Instant,
    lines: u64,
}

impl<K: Eq + Hash> Sampler<K> {
    pub(super) fn new(config: Sampling) -> Self {
        let Sampling { tick, initial, thereafter, enabled: _ } = config;
        Self { tick, initial, thereafter, seen: Mutex::default() }
    }

    /// True if the line is to be written: in each tick the first `initial` and then every `thereafter`th.
    pub(super) fn admit(&self, key: K, now: Instant) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let tick = seen.entry(key).or_insert(Tick { since: now, lines: 0 });
        if now.saturating_duration_since(tick.since) >= self.tick {
            *tick = Tick { since: now, lines: 0 };
        }
        tick.lines = tick.lines.saturating_add(1);
        match tick.lines.saturating_sub(self.initial) {
            0 => true,
            beyond => self.thereafter > 0 && beyond.is_multiple_of(self.thereafter),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sampler(initial: u64, thereafter: u64) -> Sampler<&'static str> {
        Sampler::new(Sampling { enabled: true, tick: Duration::from_secs(10), initial, thereafter })
    }

    #[test]
    fn the_first_of_each_tick_are_written_and_then_every_so_many_th() {
        let sampler = sampler(2, 3);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let admitted: Vec<_> = (0..9).map(|_| sampler.admit("a", at(0))).collect();
        assert_eq!(admitted, [true, true, false, false, true, false, false, true, false]);
        assert!(sampler.admit("b", at(0)), "another message is another count");
        assert!(!sampler.admit("a", at(9)));
        assert!(sampler.admit("a", at(10)), "a new tick");
    }

    #[test]
    fn none_after_the_first_if_thereafter_is_none() {
        let sampler = sampler(1, 0);
        let admitted: Vec<_> = (0..500).filter(|_| sampler.admit("a", Instant::now())).collect();
        assert_eq!(admitted, [0]);
    }

    proptest! {
        /// Of `lines` lines in one tick, exactly as many are written as the definition of sampling demands.
        #[test]
        fn as_many_are_written_as_the_definition_says(initial in 0..20_u64, thereafter in 1..20_u64, lines in 0..200_u64) {
            let (sampler, now) = (sampler(initial, thereafter), Instant::now());
            let written = (0..lines).filter(|_| sampler.admit("a", now)).count() as u64;
            prop_assert_eq!(written, lines.min(initial) + lines.saturating_sub(initial) / thereafter);
        }
    }
}
