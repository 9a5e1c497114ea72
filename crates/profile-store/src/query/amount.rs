//! How much: of what is asked for, and of what it is compared with.

use serde::Serialize;

use crate::records::Weight;

/// Samples, and what they stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Number of samples.
    pub samples: u64,
    /// Nanoseconds, or whatever the store's unit is.
    pub value: u64,
}

impl Amount {
    /// Adds so much.
    pub fn add(&mut self, more: Self) {
        self.samples = self.samples.saturating_add(more.samples);
        self.value = self.value.saturating_add(more.value);
    }
}

impl Weight {
    /// What so many samples of this weight add up to.
    pub(crate) fn times(self, count: u32) -> Amount {
        let of = |one: u64| one.saturating_mul(count.into());
        Amount { samples: of(self.samples), value: of(self.value) }
    }
}

/// What is asked for, and what it is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// In the span.
    pub now: Amount,
    /// In the baseline.
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

    /// True if it is at least one of `parts` of `whole`, in the span or in the baseline.
    pub(crate) fn is_part(self, whole: Self, parts: u64) -> bool {
        let is_part = |part: Amount, whole: Amount| {
            // Samples of a file may have no value.
            let (part, whole) =
                if whole.value > 0 { (part.value, whole.value) } else { (part.samples, whole.samples) };
            part > 0 && u128::from(part) * u128::from(parts) >= u128::from(whole)
        };
        is_part(self.now, whole.now) || is_part(self.then, whole.then)
    }
}
