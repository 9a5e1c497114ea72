//! The counters: a bounded number of series, each for as long as it grows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use pdata::{KTime, LossReason, UnixNanos};

use crate::series_labels::SeriesLabels;

/// Time between two searches for ended series, each of which passes over all: series expire after minutes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Time between two comparisons of CPU times: long enough to distinguish an executable that uses much from one that has
/// just begun, short enough that nobody misses a big consumer.
const COMPARE_EVERY: Duration = Duration::from_secs(10);
/// The most executables without a series that are compared with those that have one.
const MAX_CANDIDATES: usize = 1_024;
/// Part of all CPU time, as a divisor, below which an executable does not take the series of another.
const LEAST_SHARE: u32 = 100;

/// The counts of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub samples: u64,
    /// The CPU time that the samples stand for.
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
/// An executable that comes while there is room gets a series, and keeps it for as long as it grows; one that comes
/// later is counted in `other`, until there is room. Every [`COMPARE_EVERY`] the executables in `other` that have used
/// most take the place of series that have used less than half as much.
///
/// A series shows 0 to the scrape that finds it first, however much it has: to Prometheus, a counter that begins at its
/// whole value has not grown, and a job that ends between two scrapes would have used nothing. A series never goes
/// down, and no sample is in two: counts that `other` has of an executable stay there when that gets a series of its
/// own, which begins at 0; and counts that were not scraped go to `other` when their series ends. Ended series are
/// forgotten: to Prometheus, one that comes back is a counter that was reset, and its `rate` and `increase` stay right.
#[derive(Debug)]
pub(crate) struct Table {
    max_series: usize,
    expiration: Duration,
    /// Series by their labels, hashed with a seed: users choose paths and names.
    series: HashMap<Arc<SeriesLabels>, Series>,
    other: Totals,
    /// CPU time that executables in `other` have used since the last comparison.
    candidates: HashMap<SeriesLabels, Duration>,
    losses: BTreeMap<LossReason, u64>,
    looked: KTime,
    compared: KTime,
    /// Time up to which everything is counted.
    as_of: Option<UnixNanos>,
}

#[derive(Debug)]
struct Series {
    totals: Totals,
    /// Counts that the last scrape was shown; `None` before the first.
    shown: Option<Totals>,
    grown: KTime,
    /// The CPU time that the series has gained since the last comparison.
    recent: Duration,
}

impl Series {
    fn new(totals: Totals, now: KTime) -> Self {
        Self { totals, shown: None, grown: now, recent: totals.cpu }
    }

    /// Counts that no scrape has been shown.
    fn unshown(&self) -> Totals {
        let shown = self.shown.unwrap_or_default();
        Totals { samples: self.totals.samples - shown.samples, cpu: self.totals.cpu - shown.cpu }
    }
}

/// The table at one instant, in the order of labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub series: Vec<(Arc<SeriesLabels>, Totals)>,
    pub other: Totals,
    /// Records lost, by every reason there is.
    pub losses: BTreeMap<LossReason, u64>,
    pub as_of: Option<UnixNanos>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(max_series: usize, expiration: Duration) -> Self {
        Self {
            max_series,
            expiration,
            series: HashMap::new(),
            other: Totals::default(),
            candidates: HashMap::new(),
            losses: LossReason::ALL.map(|reason| (reason, 0)).into(),
            looked: KTime::ZERO,
            compared: KTime::ZERO,
            as_of: None,
        }
    }

    /// Counts `more` for an executable, as of `now`.
    pub(crate) fn count(&mut self, who: SeriesLabels, more: Totals, now: KTime) {
        if let Some(series) = self.series.get_mut(&who) {
            series.totals.add(more);
            series.recent += more.cpu;
            series.grown = series.grown.max(now);
        } else if self.series.len() < self.max_series {
            // An executable with a series is no candidate for one: it would take the place of its own, with the counts
            // of that.
            self.candidates.remove(&who);
            self.series.insert(Arc::new(who), Series::new(more, now));
        } else {
            self.other.add(more);
            // When there is no room, executables that use least are left out: those of a batch come by use, the
            // greatest first.
            if let Some(recent) = self.candidates.get_mut(&who) {
                *recent += more.cpu;
            } else if self.candidates.len() < MAX_CANDIDATES {
                self.candidates.insert(who, more.cpu);
            }
        }
    }

    /// Counts lost records.
    pub(crate) fn lose(&mut self, reason: LossReason, count: u64) {
        *self.losses.entry(reason).or_default() += count;
    }

    /// Marks everything up to `now` as counted. Series that have not grown for long end.
    pub(crate) fn advance(&mut self, now: KTime, clock: UnixNanos) {
        self.as_of = Some(clock);
        if now.saturating_since(self.looked) >= LOOK_EVERY {
            self.looked = now;
            let ended =
                self.series.extract_if(|_, series| now.saturating_since(series.grown) >= self.expiration);
            ended.for_each(|(_, series)| self.other.add(series.unshown()));
        }
        if now.saturating_since(self.compared) >= COMPARE_EVERY {
            self.compared = now;
            self.compare(now);
        }
    }

    /// Gives series to the executables in `other` that use most: in the place of others, and where room has become
    /// free.
    fn compare(&mut self, now: KTime) {
        let mut candidates: Vec<_> = self.candidates.drain().collect();
        // By name where they have used alike, so that the outcome does not depend on the order of a hash table.
        candidates.sort_unstable_by(|(a, used_by_a), (b, used_by_b)| (used_by_b, a).cmp(&(used_by_a, b)));
        let in_series: Duration = self.series.values().map(|series| series.recent).sum();
        let all = candidates.iter().map(|(_, recent)| *recent).sum::<Duration>() + in_series;
        let mut least: Vec<_> =
            self.series.iter().map(|(who, series)| (series.recent, Arc::clone(who))).collect();
        least.sort_unstable();
        for ((who, used), (recent, weak)) in candidates.into_iter().zip(least) {
            if used < all / LEAST_SHARE || used <= recent * 2 {
                break;
            }
            if let Some(series) = self.series.remove(&weak) {
                self.other.add(series.unshown());
            }
            self.series.insert(Arc::new(who), Series::new(Totals::default(), now));
        }
        self.series.values_mut().for_each(|series| series.recent = Duration::ZERO);
    }

    /// Number of executables that have a series of their own.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// The counts to expose. Every caller is taken to be the one scraper.
    pub(crate) fn scrape(&mut self) -> Snapshot {
        let series = self.series.iter_mut().map(|(who, series)| {
            let shown = if series.shown.is_some() { series.totals } else { Totals::default() };
            series.shown = Some(shown);
            (Arc::clone(who), shown)
        });
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

    fn who(number: u32) -> SeriesLabels {
        SeriesLabels(Box::new([("process_executable_name", number.to_string().into())]))
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

    /// The sums that Prometheus' `increase` makes of scrapes: each series grows from one scrape to the next. One that
    /// is new has not grown; one that is less than before was reset, and has grown from 0.
    #[derive(Default)]
    struct Prometheus {
        last: BTreeMap<Arc<SeriesLabels>, Totals>,
        increase: Totals,
        of: BTreeMap<Arc<SeriesLabels>, Duration>,
        other: Totals,
    }

    impl Prometheus {
        fn scrape(&mut self, table: &mut Table) {
            let snapshot = table.scrape();
            let minus = |now: Totals, last: Totals| match now.samples.checked_sub(last.samples) {
                Some(samples) if now.cpu >= last.cpu => Totals { samples, cpu: now.cpu - last.cpu },
                _ => now,
            };
            for (who, now) in snapshot.series {
                let grown =
                    self.last.insert(who.clone(), now).map_or(Totals::default(), |last| minus(now, last));
                self.increase.add(grown);
                *self.of.entry(who).or_default() += grown.cpu;
            }
            self.increase.add(minus(snapshot.other, self.other));
            self.other = snapshot.other;
        }
    }

    #[test]
    fn ten_thousand_executables_take_bounded_room_and_add_up() {
        let mut table = Table::new(2_000, EXPIRATION);
        for round in 1..=3u64 {
            for number in 0..10_000 {
                table.count(who(number), one(Duration::from_nanos(52_631_578)), at(1));
            }
            table.scrape();
            let snapshot = table.scrape();
            assert_eq!(snapshot.series.len(), 2_000);
            let samples = round * 10_000;
            assert_eq!(sum(&snapshot), Totals { samples, cpu: Duration::from_nanos(52_631_578 * samples) });
            assert!(snapshot.series.iter().all(|(_, totals)| totals.samples == round), "their own");
        }
    }

    /// Ten jobs of one second, each between two scrapes.
    #[test]
    fn a_job_between_two_scrapes_has_used_what_it_has_used() {
        let (mut table, mut prometheus) = (Table::new(100, EXPIRATION), Prometheus::default());
        for job in 0..10 {
            prometheus.scrape(&mut table);
            table.count(who(job), one(Duration::from_secs(1)), at(15 * u64::from(job)));
            table.advance(at(15 * u64::from(job)), UnixNanos::default());
        }
        (0..2).for_each(|_| prometheus.scrape(&mut table));
        assert_eq!(prometheus.increase.cpu, Duration::from_secs(10));
        assert!(prometheus.of.values().all(|cpu| *cpu == Duration::from_secs(1)), "{:?}", prometheus.of);
    }

    /// A newcomer to a full table that uses most of the machine gets a series.
    #[test]
    fn who_uses_most_has_a_series_before_long() {
        let mut table = Table::new(5, EXPIRATION);
        (0..5).for_each(|number| table.count(who(number), one(Duration::from_millis(10)), at(0)));
        for second in 1..=20 {
            (0..5).for_each(|number| table.count(who(number), one(Duration::from_millis(10)), at(second)));
            table.count(who(9), one(Duration::from_secs(1)), at(second));
            table.advance(at(second), UnixNanos::default());
        }
        table.scrape();
        let snapshot = table.scrape();
        let newcomer = snapshot.series.iter().find(|(other, _)| **other == who(9));
        assert!(newcomer.unwrap().1.cpu >= Duration::from_secs(9), "{snapshot:?}");
        assert_eq!(snapshot.series.len(), 5);
    }

    /// Executables that come and go by turns do not push each other out.
    #[test]
    fn those_that_use_alike_keep_their_series() {
        let mut table = Table::new(2, EXPIRATION);
        for second in 0..100 {
            (0..4).for_each(|number| table.count(who(number), one(Duration::from_millis(10)), at(second)));
            table.advance(at(second), UnixNanos::default());
        }
        let kept: Vec<_> = table.scrape().series.into_iter().map(|(who, _)| who.0[0].1.to_string()).collect();
        assert_eq!(kept, ["0", "1"]);
    }

    /// The newcomer was counted in `other` first, and found room before the next comparison.
    #[test]
    fn who_has_got_room_is_not_replaced_by_its_own_series() {
        let (mut table, mut prometheus) = (Table::new(2, EXPIRATION), Prometheus::default());
        table.count(who(0), one(Duration::from_nanos(1)), at(0));
        table.count(who(1), one(Duration::from_nanos(1)), at(56));
        table.advance(at(295), UnixNanos::default());
        table.count(who(2), one(Duration::from_nanos(10)), at(295));
        table.advance(at(300), UnixNanos::default());
        table.count(who(2), one(Duration::from_nanos(100)), at(300));
        table.advance(at(340), UnixNanos::default());
        (0..2).for_each(|_| prometheus.scrape(&mut table));
        assert_eq!(sum(&table.scrape()), Totals { samples: 4, cpu: Duration::from_nanos(112) });
    }

    #[test]
    fn a_series_that_does_not_grow_ends_and_makes_room() {
        let mut table = Table::new(1, EXPIRATION);
        let second = one(Duration::from_secs(1));
        table.count(who(1), second, at(0));
        (0..2).for_each(|_| drop(table.scrape()));
        table.count(who(2), second, at(200));
        table.advance(at(299), UnixNanos::default());
        table.advance(at(300), UnixNanos::default());
        assert!(!table.scrape().series.iter().any(|(other, _)| **other == who(1)));
    }

    proptest! {
        /// Whatever comes and whenever it is scraped: there are never more series than allowed, and Prometheus' sum of
        /// all of them is the counted time, to the nanosecond.
        #[test]
        fn series_are_bounded_and_nothing_is_counted_twice_or_lost(
            max in 1usize..5,
            steps in proptest::collection::vec((0u32..8, 0u64..200, 1u64..1_000_000, any::<bool>()), 1..200),
        ) {
            let (mut table, mut prometheus) = (Table::new(max, EXPIRATION), Prometheus::default());
            let (mut now, mut counted) = (0, Totals::default());
            prometheus.scrape(&mut table);
            for (number, wait, nanos, is_scraped) in steps {
                now += wait;
                table.advance(at(now), UnixNanos::default());
                let more = one(Duration::from_nanos(nanos));
                table.count(who(number), more, at(now));
                counted.add(more);
                prop_assert!(table.len() <= max);
                if is_scraped {
                    // A series that has gone and come back in between is a reset that shows 0, or less than before.
                    prometheus.scrape(&mut table);
                }
            }
            (0..2).for_each(|_| prometheus.scrape(&mut table));
            prop_assert_eq!(prometheus.increase, counted);
        }
    }
}
