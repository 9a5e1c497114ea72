//! Patterns of samples: all that a sample has apart from its instant, CPU and process.

use std::borrow::Cow;
use std::mem::size_of;

use crate::packed::{Reader, put, put_step};
use crate::table::Table;

/// The executable, thread name and container of samples, whichever process they are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct OriginRow {
    pub executable: u32,
    pub thread: u32,
    pub container: u32,
}

/// A pattern: all that samples have in common apart from their instant, CPU and process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct PatternRow {
    pub origin: u32,
    pub stack: u32,
    pub weight: u32,
    pub leaf: Leaf,
}

/// Facts about the innermost frame of a stack, held here so that a query need not unpack stacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Leaf {
    pub is_named: bool,
    pub is_kernel: bool,
}

impl Leaf {
    /// The facts as the two lowest bits of a number.
    fn bits(self) -> u64 {
        u64::from(self.is_named) | u64::from(self.is_kernel) << 1
    }

    fn of_bits(bits: u64) -> Self {
        Self { is_named: bits & 1 != 0, is_kernel: bits & 2 != 0 }
    }
}

/// Patterns that are each held once, with the number of samples of each: a query for all of a generation looks at its
/// patterns, which are few, and not at its samples.
#[derive(Debug)]
pub(crate) struct Patterns {
    rows: Table<PatternRow>,
    counts: Vec<u32>,
    packed: Box<[u8]>,
    /// Number of the packed rows.
    len: usize,
}

impl Patterns {
    pub(crate) fn new() -> Self {
        Self { rows: Table::new(), counts: Vec::new(), packed: Box::default(), len: 0 }
    }

    /// Counts a sample; returns the number of its pattern.
    pub(crate) fn count(&mut self, pattern: PatternRow) -> u32 {
        let id = self.rows.add(pattern);
        match self.counts.get_mut(id as usize) {
            Some(count) => *count += 1,
            None => self.counts.push(1),
        }
        id
    }

    /// The patterns, and the number of samples of each.
    pub(crate) fn rows(&self) -> (Cow<'_, [PatternRow]>, Cow<'_, [u32]>) {
        if self.len == 0 {
            return (Cow::Borrowed(self.rows.items()), Cow::Borrowed(&self.counts));
        }
        let (mut rows, mut counts) = (Vec::with_capacity(self.len), Vec::with_capacity(self.len));
        let (mut reader, mut stack) = (Reader(&self.packed), 0);
        for _ in 0..self.len {
            let marked = reader.number();
            let (origin, leaf) = (u32::try_from(marked >> 2).unwrap_or(u32::MAX), Leaf::of_bits(marked));
            stack = reader.step(stack);
            rows.push(PatternRow { origin, stack, weight: reader.small(), leaf });
            counts.push(reader.small());
        }
        (Cow::Owned(rows), Cow::Owned(counts))
    }

    /// Packs the rows; no sample may be counted afterwards.
    pub(crate) fn seal(&mut self) {
        let rows = self.rows.items();
        let (mut packed, mut stack) = (Vec::new(), 0);
        for (row, count) in rows.iter().zip(&self.counts) {
            put(&mut packed, u64::from(row.origin) << 2 | row.leaf.bits());
            put_step(&mut packed, stack, row.stack);
            put(&mut packed, row.weight.into());
            put(&mut packed, (*count).into());
            stack = row.stack;
        }
        (self.len, self.packed) = (rows.len(), packed.into());
        (self.rows, self.counts) = (Table::new(), Vec::new());
    }

    pub(crate) fn bytes(&self) -> usize {
        self.rows.bytes() + self.counts.capacity() * size_of::<u32>() + self.packed.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Packed patterns are those that were packed, with their counts.
        #[test]
        fn packed_patterns_are_the_same(samples in prop::collection::vec((0u32..4, 0u32..9_000, 0u32..3, any::<[bool; 2]>()), 0..60)) {
            let mut patterns = Patterns::new();
            for &(origin, stack, weight, [is_named, is_kernel]) in samples.iter().chain(samples.iter().take(9)) {
                patterns.count(PatternRow { origin, stack, weight, leaf: Leaf { is_named, is_kernel } });
            }
            let (rows, counts) = patterns.rows();
            let (rows, counts) = (rows.into_owned(), counts.into_owned());
            prop_assert_eq!(counts.iter().sum::<u32>() as usize, samples.len() + samples.len().min(9));
            patterns.seal();
            prop_assert_eq!(patterns.rows(), (rows.into(), counts.into()));
        }
    }
}
