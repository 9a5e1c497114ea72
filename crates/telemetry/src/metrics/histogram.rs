//! Histograms that are written from many threads and need nobody to drain them.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::HistogramFn;

use super::family::Distribution;

/// Counts values by fixed bounds.
#[derive(Debug)]
pub(super) struct Buckets {
    /// Upper bounds, rising.
    bounds: &'static [f64],
    /// Values of each bucket alone, and of the one above all bounds.
    counts: Box<[AtomicU64]>,
    /// Bits of an `f64`.
    sum: AtomicU64,
}

impl Buckets {
    /// Empty ones with these upper bounds, which rise.
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0.0_f64.to_bits()) }
    }

    /// What has been recorded. A value that is recorded meanwhile may be in the sum and not yet in the count.
    pub(super) fn distribution(&self) -> Distribution {
        let mut count = 0;
        let mut upto = self.counts.iter().map(|bucket| {
            count += bucket.load(Ordering::Relaxed);
            count
        });
        let buckets = self.bounds.iter().copied().zip(upto.by_ref()).collect();
        // What is left is the bucket above all bounds.
        upto.for_each(drop);
        Distribution { buckets, count, sum: f64::from_bits(self.sum.load(Ordering::Relaxed)) }
    }
}

impl HistogramFn for Buckets {
    /// Values that are no number are ignored: they would spoil the sum for ever.
    fn record(&self, value: f64) {
        if value.is_nan() {
            return;
        }
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let add = |sum: u64| Some((f64::from_bits(sum) + value).to_bits());
        let _sum = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: &[f64] = &[1.0, 2.0, 5.0];

    #[test]
    fn a_value_counts_in_every_bucket_that_is_not_below_it() {
        let buckets = Buckets::new(BOUNDS);
        [1.0, 1.5, 100.0, f64::NAN].into_iter().for_each(|value| buckets.record(value));
        let found = buckets.distribution();
        assert_eq!(found.buckets, [(1.0, 1), (2.0, 2), (5.0, 2)]);
        assert_eq!((found.count, found.sum), (3, 102.5));
    }

    proptest! {
        /// As the definition has it: a bucket counts the values that are not above its bound.
        #[test]
        fn buckets_count_as_defined(values: Vec<i16>) {
            let values: Vec<_> = values.into_iter().map(|value| f64::from(value) / 4096.0).collect();
            let buckets = Buckets::new(BOUNDS);
            values.iter().for_each(|value| buckets.record(*value));
            let found = buckets.distribution();
            for (bound, count) in found.buckets {
                prop_assert_eq!(count, values.iter().filter(|value| **value <= bound).count() as u64);
            }
            prop_assert_eq!(found.count, values.len() as u64);
            // Exact: all of them are small multiples of 1/4096.
            prop_assert_eq!(found.sum, values.iter().sum::<f64>());
        }
    }
}
