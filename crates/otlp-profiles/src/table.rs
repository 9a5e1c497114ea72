//! Values numbered from 0 in the order they were first met, each once. Cleared, a table keeps its memory.
//!
//! Users choose the values (names, paths, addresses), so hashes are seeded: nobody can choose values that collide.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Number of entries that a table keeps room for, even if it held fewer.
const ALWAYS_KEPT: usize = 1024;

/// Room to keep in a buffer that held `used` entries of `capacity`: most of the room that a rush left unused is freed.
pub(crate) fn room(used: usize, capacity: usize) -> usize {
    let enough = used.max(ALWAYS_KEPT);
    if capacity / 4 > enough { enough * 2 } else { capacity }
}

/// Empties a buffer and keeps its memory, as far as [`room`] allows.
pub(crate) fn recycle<T>(buffer: &mut Vec<T>) {
    let room = room(buffer.len(), buffer.capacity());
    buffer.clear();
    buffer.shrink_to(room);
}

/// Empties a map and keeps its memory, as far as [`room`] allows.
pub(crate) fn clear<K: Eq + Hash, V, S: BuildHasher>(map: &mut HashMap<K, V, S>) {
    let room = room(map.len(), map.capacity());
    map.clear();
    map.shrink_to(room);
}

/// An entry by its number.
pub(crate) fn entry<T>(entries: &[T], number: i32) -> Option<&T> {
    entries.get(usize::try_from(number).ok()?)
}

/// The number that follows `len` others. A table of 2^31 entries would not fit in a request, nor in memory.
pub(crate) fn number(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}

/// Values of one size.
#[derive(Debug)]
pub(crate) struct Records<T> {
    entries: Vec<T>,
    index: HashTable<i32>,
    seed: RandomState,
}

impl<T: Copy + Default + Eq + Hash> Default for Records<T> {
    fn default() -> Self {
        let mut table = Self { entries: Vec::new(), index: HashTable::new(), seed: RandomState::default() };
        table.intern(T::default());
        table
    }
}

impl<T: Copy + Default + Eq + Hash> Records<T> {
    /// Number of a value; 0 for its type's default.
    pub(crate) fn intern(&mut self, value: T) -> i32 {
        let Self { entries, index, seed } = self;
        let hash = seed.hash_one(value);
        if let Some(&found) = index.find(hash, |&at| entry(entries, at) == Some(&value)) {
            return found;
        }
        let new = number(entries.len());
        entries.push(value);
        index.insert_unique(hash, new, |&at| entry(entries, at).map_or(0, |e| seed.hash_one(e)));
        new
    }

    /// A value by its number.
    pub(crate) fn get(&self, at: i32) -> Option<T> {
        entry(&self.entries, at).copied()
    }

    /// All values, in order.
    pub(crate) fn as_slice(&self) -> &[T] {
        &self.entries
    }

    /// Forgets all values but the default.
    pub(crate) fn clear(&mut self) {
        let room = room(self.entries.len(), self.entries.capacity());
        recycle(&mut self.entries);
        self.index.clear();
        self.index.shrink_to(room, |_| 0);
        self.intern(T::default());
    }
}

/// Lists of values, all in one buffer.
#[derive(Debug)]
pub(crate) struct Lists<T> {
    values: Vec<T>,
    /// End of each list in the buffer, and so the start of the next list.
    ends: Vec<usize>,
    index: HashTable<i32>,
    seed: RandomState,
}

impl<T: Copy + Eq + Hash> Default for Lists<T> {
    fn default() -> Self {
        let mut table = Self {
            values: Vec::new(),
            ends: Vec::new(),
            index: HashTable::new(),
            seed: RandomState::default(),
        };
        table.intern(&[]);
        table
    }
}

impl<T: Copy + Eq + Hash> Lists<T> {
    /// Number of a list; 0 for the empty one.
    pub(crate) fn intern(&mut self, list: &[T]) -> i32 {
        let Self { values, ends, index, seed } = self;
        let hash = seed.hash_one(list);
        if let Some(&found) = index.find(hash, |&at| slice(values, ends, at) == list) {
            return found;
        }
        let new = number(ends.len());
        values.extend_from_slice(list);
        ends.push(values.len());
        index.insert_unique(hash, new, |&at| seed.hash_one(slice(values, ends, at)));
        new
    }

    /// A list by its number; empty if there is no such list.
    pub(crate) fn get(&self, at: i32) -> &[T] {
        slice(&self.values, &self.ends, at)
    }

    /// Number of lists.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Forgets all lists but the empty one.
    pub(crate) fn clear(&mut self) {
        let room = room(self.ends.len(), self.ends.capacity());
        recycle(&mut self.values);
        recycle(&mut self.ends);
        self.index.clear();
        self.index.shrink_to(room, |_| 0);
        self.intern(&[]);
    }
}

fn slice<'a, T>(values: &'a [T], ends: &[usize], at: i32) -> &'a [T] {
    let end = entry(ends, at).copied().unwrap_or_default();
    let start = entry(ends, at.saturating_sub(1)).copied().unwrap_or_default();
    values.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::hash::Hasher;

    use super::*;

    #[test]
    fn equal_values_share_a_number_and_different_ones_do_not() {
        let mut lists = Lists::default();
        assert_eq!(lists.intern(&[]), 0);
        let one = lists.intern(&[1, 2]);
        assert_eq!((one, lists.intern(&[2, 1]), lists.intern(&[1]), lists.intern(&[1, 2])), (1, 2, 3, 1));
        assert_eq!(
            (lists.get(0), lists.get(1), lists.get(3), lists.get(9), lists.get(-1)),
            (&[][..], &[1, 2][..], &[1][..], &[][..], &[][..])
        );
        let mut records = Records::default();
        assert_eq!(
            (records.intern(7), records.intern(0), records.intern(8), records.intern(7)),
            (1, 0, 2, 1)
        );
    }

    #[test]
    fn a_cleared_table_numbers_anew_and_keeps_memory_in_reason() {
        let mut lists = Lists::default();
        for n in 0..100_000_u32 {
            lists.intern(&[n]);
        }
        lists.clear();
        assert_eq!((lists.len(), lists.intern(&[5])), (1, 1));
        assert!(lists.values.capacity() >= 100_000, "full use is kept room for");
        lists.clear();
        assert!(lists.values.capacity() <= 2 * ALWAYS_KEPT, "little use is not");
        assert_eq!((lists.len(), lists.intern(&[5])), (1, 1));
    }

    thread_local! {
        static COMPARED: Cell<u64> = const { Cell::new(0) };
    }

    /// An address that counts how often it is compared.
    #[derive(Clone, Copy, Default, Eq)]
    struct Compared(u64);

    impl Hash for Compared {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    impl PartialEq for Compared {
        fn eq(&self, other: &Self) -> bool {
            COMPARED.set(COMPARED.get() + 1);
            self.0 == other.0
        }
    }

    /// Addresses that a hash without a seed puts into one place, so that each has to be compared with all before it. A
    /// program that jumps to such addresses would have had the exporter at work for hours.
    #[test]
    fn nobody_can_choose_values_that_collide() {
        const COUNT: u64 = 10_000;
        // FxHasher multiplies by this factor, and the part of a product that is below 2^38 is in none of the bits that
        // are used.
        const FACTOR: u64 = 0xf135_7aea_2e62_a9c5;
        let inverse = (0..6).fold(FACTOR, |x, _| x.wrapping_mul(2_u64.wrapping_sub(FACTOR.wrapping_mul(x))));
        assert_eq!(inverse.wrapping_mul(FACTOR), 1);
        let mut records = Records::default();
        for value in (1..=COUNT).map(|n| Compared(n.wrapping_mul(inverse))) {
            assert!(records.intern(value) > 0);
        }
        let compared = COMPARED.get();
        assert!(compared < 2 * COUNT, "{compared} comparisons for {COUNT} values");
    }
}
