//! Spans: the free parts of a range of numbers.

use std::collections::BTreeMap;

/// The free spans of `0..size`, apart from each other: neighbours are joined.
#[derive(Debug)]
pub(crate) struct Spans {
    /// Length of each free span by its start.
    free: BTreeMap<u32, u32>,
    size: u32,
    left: u32,
}

impl Spans {
    /// Spans of `0..size`, all free.
    pub(crate) fn new(size: u32) -> Self {
        let free = if size > 0 { BTreeMap::from([(0, size)]) } else { BTreeMap::new() };
        Self { free, size, left: size }
    }

    /// The number of free numbers.
    pub(crate) fn left(&self) -> u32 {
        self.left
    }

    /// True if no number is taken.
    pub(crate) fn is_unused(&self) -> bool {
        self.left == self.size
    }

    /// Takes the first free span of `length` numbers, more than none; returns its start.
    pub(crate) fn take(&mut self, length: u32) -> Option<u32> {
        let (start, found) = self.free.iter().find(|(_, found)| **found >= length).map(|(s, f)| (*s, *f))?;
        self.free.remove(&start);
        if found > length {
            self.free.insert(start + length, found - length);
        }
        self.left -= length;
        Some(start)
    }

    /// Frees a span that was taken.
    pub(crate) fn give(&mut self, start: u32, length: u32) {
        self.left += length;
        let (mut start, mut length) = (start, length);
        if let Some((&before, &before_length)) = self.free.range(..start).next_back()
            && before + before_length == start
        {
            self.free.remove(&before);
            start = before;
            length += before_length;
        }
        if let Some(after_length) = self.free.remove(&(start + length)) {
            length += after_length;
        }
        self.free.insert(start, length);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_given_back_joins_its_neighbours() {
        let mut spans = Spans::new(10);
        let taken = [3, 3, 3].map(|length| spans.take(length).unwrap());
        assert_eq!(taken, [0, 3, 6]);
        assert_eq!(spans.take(2), None, "one is left");
        spans.give(0, 3);
        spans.give(6, 3);
        assert_eq!(spans.free, BTreeMap::from([(0, 3), (6, 4)]));
        spans.give(3, 3);
        assert!(spans.is_unused());
        assert_eq!(spans.free, BTreeMap::from([(0, 10)]));
    }

    proptest! {
        /// No two spans overlap, all lie inside, and when all are freed they are one again.
        #[test]
        fn spans_never_overlap(steps in proptest::collection::vec((any::<bool>(), 1u32..20), 0..100)) {
            let (mut spans, mut taken) = (Spans::new(64), Vec::new());
            for (take, number) in steps {
                if take {
                    let Some(start) = spans.take(number) else { continue };
                    prop_assert!(start + number <= 64);
                    prop_assert!(taken.iter().all(|&(s, l)| start + number <= s || s + l <= start));
                    taken.push((start, number));
                } else if !taken.is_empty() {
                    let (start, length) = taken.swap_remove(number as usize % taken.len());
                    spans.give(start, length);
                }
                let used: u32 = taken.iter().map(|&(_, length)| length).sum();
                prop_assert_eq!(spans.left(), 64 - used);
            }
            taken.into_iter().for_each(|(start, length)| spans.give(start, length));
            prop_assert!(spans.is_unused());
            prop_assert_eq!(spans.take(64), Some(0));
        }
    }
}
