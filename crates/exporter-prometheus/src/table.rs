//! The counters: so many series, each for as long as it grows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pdata::{KTime, LossReason, UnixNanos};
use rustc_hash::FxHashMap;

use crate::who::Who;

/// Looking for series that have ended takes a pass over all: this often is often enough for minutes of expiration.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a series counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub samples: u64,
    /// What the samples stand for.
    pub cpu: Duration,
}

impl Totals {
    pub(crate) fn add(&mut self, more: Self) {
        self.samples += more.samples;
        self.cpu += more.cpu;
    }
}

/// Counts by executable, of a bounded number of them.
///
/// Who comes while there is room gets a series and keeps it for as long as it grows; who comes later is counted in `other`,
/// until a series that has ended makes room. A series never goes down, and no sample is in two: what `other` has counted
/// of somebody stays there when he gets a series of his own, which begins at 0. What has ended is forgotten: to Prometheus,
/// who comes back is a counter that was reset, and its `rate` and `increase` stay right.
#[derive(Debug)]
pub(crate) struct Table {
    max_series: usize,
    expiration: Duration,
    series: FxHashMap<Arc<Who>, Series>,
    other: Totals,
    losses: BTreeMap<LossReason, u64>,
    looked: KTime,
    /// Up to when everything is counted.
    as_of: Option<UnixNanos>,
}

#[derive(Debug)]
struct Series {
    totals: Totals,
    grown: KTime,
}

/// The table at one instant, in the order of labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub series: Vec<(Arc<Who>, Totals)>,
    pub other: Totals,
    /// Every reason there is.
    pub losses: BTreeMap<LossReason, u64>,
    pub as_of: Option<UnixNanos>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(max_series: usize, expiration: Duration) -> Self {
        Self {
            max_series,
            expiration,
            series: FxHashMap::default(),
            other: Totals::default(),
            losses: LossReason::ALL.map(|reason| (reason, 0)).into(),
            looked: KTime::ZERO,
            as_of: None,
        }
    }

    /// Someone has used so much more, as of `now`.
    pub(crate) fn count(&mut self, who: Who, more: Totals, now: KTime) {
        if let Some(series) = self.series.get_mut(&who) {
            series.totals.add(more);
            series.grown = series.grown.max(now);
        } else if self.series.len() < self.max_series {
            self.series.insert(Arc::new(who), Series { totals: more, grown: now });
        } else {
            self.other.add(more);
        }
    }

    /// So many records were lost.
    pub(crate) fn lose(&mut self, reason: LossReason, count: u64) {
        *self.losses.entry(reason).or_default() += count;
    }

    /// All up to `now` has been counted. Series that have not grown for long end.
    pub(crate) fn advance(&mut self, now: KTime, clock: UnixNanos) {
        self.as_of = Some(clock);
        if now.saturating_since(self.looked) >= LOOK_EVERY {
            self.looked = now;
            self.series.retain(|_, series| now.saturating_since(series.grown) < self.expiration);
        }
    }

    /// Executables that have a series of their own.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// What to expose.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let series = self.series.iter().map(|(who, series)| (Arc::clone(who), series.totals));
        let mut series: Vec<_> = series.collect();
        series.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Snapshot { series, other: self.other, losses: self.losses.clone(), as_of: self.as_of }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXPIRATION: Duration = Duration::from_secs(300);

    fn who(number: u32) -> Who {
        Who { path: Some(format!("/bin/{number}").into()), name: number.to_string().into() }
    }

    fn one(cpu: Duration) -> Totals {
        Totals { samples: 1, cpu }
    }

    fn sum(snapshot: &Snapshot) -> Totals {
        let mut sum = snapshot.other;
        snapshot.series.iter().for_each(|(_, totals)| sum.add(*totals));
        sum
    }

    fn at(seconds: u64) -> KTime {
        KTime::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn ten_thousand_executables_take_bounded_room_and_add_up() {
        let mut table = Table::new(2_000, EXPIRATION);
        for round in 1..=3u64 {
            for number in 0..10_000 {
                table.count(who(number), one(Duration::from_nanos(52_631_578)), at(1));
            }
            let snapshot = table.snapshot();
            assert_eq!(snapshot.series.len(), 2_000);
            let samples = round * 10_000;
            assert_eq!(sum(&snapshot), Totals { samples, cpu: Duration::from_nanos(52_631_578 * samples) });
            assert!(snapshot.series.iter().all(|(_, totals)| totals.samples == round), "their own");
        }
    }

    #[test]
    fn a_series_that_does_not_grow_ends_and_makes_room() {
        let mut table = Table::new(1, EXPIRATION);
        let second = one(Duration::from_secs(1));
        table.count(who(1), second, at(0));
        table.count(who(2), second, at(200));
        table.advance(at(299), UnixNanos::default());
        assert_eq!((table.len(), table.snapshot().other), (1, second));
        table.advance(at(300), UnixNanos::default());
        assert_eq!((table.len(), table.snapshot().other), (0, second), "what others have stays theirs");
        table.count(who(2), second, at(301));
        table.count(who(1), second, at(301));
        let snapshot = table.snapshot();
        assert_eq!(*snapshot.series[0].0, who(2));
        assert_eq!(snapshot.series[0].1, second, "it begins at 0");
        assert_eq!(snapshot.other, Totals { samples: 2, cpu: Duration::from_secs(2) });
    }

    proptest! {
        /// Whatever comes: never more series than allowed, none goes down while it is there, nor does `other`; and what was
        /// counted is what is exposed and what has ended, to the nanosecond.
        #[test]
        fn series_are_bounded_and_monotone_and_nothing_is_counted_twice_or_lost(
            max in 1usize..5,
            steps in proptest::collection::vec((0u32..8, 0u64..200, 1u64..1_000_000), 1..200),
        ) {
            let mut table = Table::new(max, EXPIRATION);
            let (mut now, mut counted, mut ended) = (0, Totals::default(), Totals::default());
            let mut last = Snapshot::default();
            for (number, wait, nanos) in steps {
                now += wait;
                let before = table.snapshot();
                table.advance(at(now), UnixNanos::default());
                let after: BTreeMap<_, _> = table.snapshot().series.into_iter().collect();
                let gone = before.series.iter().filter(|(who, _)| !after.contains_key(who));
                gone.for_each(|(_, totals)| ended.add(*totals));
                let more = one(Duration::from_nanos(nanos));
                table.count(who(number), more, at(now));
                counted.add(more);
                let snapshot = table.snapshot();
                prop_assert!(snapshot.series.len() <= max);
                prop_assert!(snapshot.other.samples >= last.other.samples);
                for (who, totals) in &snapshot.series {
                    let same = last.series.iter().find(|(other, _)| other == who && after.contains_key(other));
                    prop_assert!(same.is_none_or(|(_, before)| before.cpu <= totals.cpu));
                }
                let mut all = sum(&snapshot);
                all.add(ended);
                prop_assert_eq!(all, counted);
                last = snapshot;
            }
        }
    }
}
