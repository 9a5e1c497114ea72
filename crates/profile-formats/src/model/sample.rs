//! Samples: stack and task, and the amount of each.

use hashbrown::DefaultHashBuilder;
use indexmap::IndexMap;
use pdata::UnixNanos;

use super::process::Thread;
use super::stack::Stack;
use super::value::Attribute;
use crate::table::Id;

/// The kind of a sample's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueType {
    /// The measured kind, such as `samples` or `off_cpu`.
    pub kind: Id<str>,
    /// The kind's unit, such as `count` or `nanoseconds`.
    pub unit: Id<str>,
    /// The kind of the period, such as `cpu`, and its unit.
    pub period_type: Option<(Id<str>, Id<str>)>,
    /// The amount of `period_type` that each sample stands for; 0 if it is not known.
    pub period: i64,
}

/// Key of a sample: captures with the same key are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SampleKey {
    /// The stack; `None` if it had no frames.
    pub stack: Option<Id<Stack>>,
    /// The name of the reason why the stack is cut short; `None` if it is whole or the profile's source does not name
    /// one.
    pub cut: Option<Id<str>>,
    /// The thread that ran; `None` if the profile's source does not name it.
    pub thread: Option<Id<Thread>>,
    /// The CPU that the thread ran on.
    pub cpu: Option<u32>,
    /// The kind of the sample's value.
    pub value_type: Id<ValueType>,
    /// Further facts of the sample.
    pub attributes: Option<Id<Box<[Attribute]>>>,
}

/// The sum of a sample's values, and its number of captures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Sum of the values, in the unit of the sample's kind.
    pub value: i64,
    /// Number of captures of the sample.
    pub count: u64,
}

impl Amount {
    /// Adds another amount.
    pub fn add(&mut self, other: Self) {
        self.value = self.value.saturating_add(other.value);
        self.count = self.count.saturating_add(other.count);
    }
}

/// One instant at which a sample was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The instant of the capture, by the wall clock.
    pub at: UnixNanos,
    /// The sample that was captured.
    pub sample: Id<SampleKey>,
    /// The capture's share of the value.
    pub value: i64,
}

/// Samples by their keys, each key once.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    entries: IndexMap<SampleKey, Amount, DefaultHashBuilder>,
}

impl Samples {
    /// Adds an amount to a sample.
    pub fn add(&mut self, key: SampleKey, amount: Amount) -> Id<SampleKey> {
        let entry = self.entries.entry(key);
        let index = entry.index();
        entry.or_default().add(amount);
        Id::of_index(index)
    }

    /// Adds an amount to a sample that exists, or for which there is `room`; `None` if nothing was added.
    pub fn add_within(&mut self, key: SampleKey, amount: Amount, room: bool) -> Option<Id<SampleKey>> {
        if room {
            return Some(self.add(key, amount));
        }
        let (index, _, known) = self.entries.get_full_mut(&key)?;
        known.add(amount);
        Some(Id::of_index(index))
    }

    /// The sample with this number, and its amount.
    #[must_use]
    pub fn get(&self, id: Id<SampleKey>) -> Option<(&SampleKey, Amount)> {
        self.entries.get_index(id.index()).map(|(key, &amount)| (key, amount))
    }

    /// The samples with their amounts, in the order in which they were first seen.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&SampleKey, Amount)> {
        self.entries.iter().map(|(key, &amount)| (key, amount))
    }

    /// The number of distinct samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of captures, which is the same in every format.
    #[must_use]
    pub fn captured(&self) -> u64 {
        self.entries.values().fold(0, |sum, amount| sum.saturating_add(amount.count))
    }
}
