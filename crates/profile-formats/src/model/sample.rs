//! Samples: how much of what was seen where.

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
    /// What is measured, such as `samples` or `off_cpu`.
    pub kind: Id<str>,
    /// Its unit, such as `count` or `nanoseconds`.
    pub unit: Id<str>,
    /// What a period is, such as `cpu`, and its unit.
    pub period_type: Option<(Id<str>, Id<str>)>,
    /// How much of it each sample stands for; 0 if that is not known.
    pub period: i64,
}

/// What makes two captures one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SampleKey {
    /// The stack; `None` if it had no frames.
    pub stack: Option<Id<Stack>>,
    /// The name of what cut the stack short; `None` if it is whole or its source does not say.
    pub cut: Option<Id<str>>,
    /// The thread that ran; `None` if the source of the profile does not say.
    pub thread: Option<Id<Thread>>,
    /// The CPU it ran on.
    pub cpu: Option<u32>,
    /// The kind of the value.
    pub value_type: Id<ValueType>,
    /// Further facts.
    pub attributes: Option<Id<Box<[Attribute]>>>,
}

/// How much of a sample there was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Sum of the values, in the unit of the sample's kind.
    pub value: i64,
    /// How often it was captured.
    pub count: u64,
}

impl Amount {
    /// Adds as much.
    pub fn add(&mut self, other: Self) {
        self.value = self.value.saturating_add(other.value);
        self.count = self.count.saturating_add(other.count);
    }
}

/// One instant at which a sample was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The instant, by the wall clock.
    pub at: UnixNanos,
    /// The sample.
    pub sample: Id<SampleKey>,
    /// The capture's share of the value.
    pub value: i64,
}

/// Samples, each there once.
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

    /// Adds an amount to a sample that is there, or for which there is `room`; `None` if nothing was added.
    pub fn add_within(&mut self, key: SampleKey, amount: Amount, room: bool) -> Option<Id<SampleKey>> {
        if room {
            return Some(self.add(key, amount));
        }
        let (index, _, known) = self.entries.get_full_mut(&key)?;
        known.add(amount);
        Some(Id::of_index(index))
    }

    /// The sample with this number, and how much of it there was.
    #[must_use]
    pub fn get(&self, id: Id<SampleKey>) -> Option<(&SampleKey, Amount)> {
        self.entries.get_index(id.index()).map(|(key, &amount)| (key, amount))
    }

    /// The samples, and how much of each there was, in the order in which they were first seen.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&SampleKey, Amount)> {
        self.entries.iter().map(|(key, &amount)| (key, amount))
    }

    /// How many distinct samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How often samples were captured: the number that is the same in every format.
    #[must_use]
    pub fn captured(&self) -> u64 {
        self.entries.values().fold(0, |sum, amount| sum.saturating_add(amount.count))
    }
}
