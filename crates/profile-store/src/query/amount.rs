//! Amounts: numbers of samples and their values, in a query's span and in its baseline.

use serde::Serialize;

use crate::records::Weight;

/// A number of samples and the sum of their values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Number of samples.
    pub samples: u64,
    /// Sum of the samples' values, in the store's unit: nanoseconds unless a file has another.
    pub value: u64,
}

impl Amount {
    /// Adds another amount.
    pub fn add(&mut self, more: Self) {
        self.samples = self.samples.saturating_add(more.samples);
        self.value = self.value.saturating_add(more.value);
    }
}

impl Weight {
    /// The amount that `count` samples of this weight add up to.
    pub(crate) fn times(self, count: u32) -> Amount {
        let of = |one: u64| one.saturating_mul(count.into());
        Amount { samples: of(self.samples), value: of(self.value) }
    }
}

/// An amount in a query's span, and the same in its baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// The amount in the span.
    pub now: Amount,
    /// The amount in the baseline.
    pub then: Amount,
}

impl Pair {
    pub(crate) fn add(&mut self, more: Self) {
        self.now.add(more.now);
        self.then.add(more.then);
    }

    /// The pair less a part of it.
    pub(crate) fn without(self, part: Self) -> Self {
        let less = |whole: Amount, part: Amount| Amount {
            samples: whole.samples.saturating_sub(part.samples),
            value: whole.value.saturating_sub(part.value),
        };
        Self { now: less(self.now, part.now), then: less(self.then, part.then) }
    }

    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// True if this pair is at least one of `parts` equal parts of `whole`, in the span or in the baseline.
    pub(crate) fn is_part(self, whole: Self, parts: u64) -> bool {
        let is_part = |part: Amount, whole: Amount| {
            // Samples that were read from a file may have no value.
            let (part, whole) =
                if whole.value > 0 { (part.value, whole.value) } else { (part.samples, whole.samples) };
            part > 0 && u128::from(part) * u128::from(parts) >= u128::from(whole)
        };
        is_part(self.now, whole.now) || is_part(self.then, whole.then)
    }
}
