//! Tables in which each value is held once.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::mem::size_of;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// A table of values that are each held once, numbered in the order in which they came.
///
/// Hashes are seeded, since users choose names. A sealed table takes no more values, and no memory for finding them.
#[derive(Debug)]
pub(crate) struct Table<T> {
    items: Vec<T>,
    index: HashTable<u32>,
    hasher: RandomState,
}

impl<T: Hash + Eq> Table<T> {
    pub(crate) fn new() -> Self {
        Self { items: Vec::new(), index: HashTable::new(), hasher: RandomState::default() }
    }

    /// The number of the value that equals `key`, which `make` makes if it is not there.
    pub(crate) fn intern<K: Hash + Eq + ?Sized>(&mut self, key: &K, make: impl FnOnce() -> T) -> u32
    where
        T: Borrow<K>,
    {
        let (items, hasher) = (&mut self.items, &self.hasher);
        let hash = hasher.hash_one(key);
        let is = |&id: &u32| items.get(id as usize).is_some_and(|item| item.borrow() == key);
        if let Some(&id) = self.index.find(hash, is) {
            return id;
        }
        let id = number(items.len());
        items.push(make());
        let rehash = |&id: &u32| items.get(id as usize).map_or(0, |item| hasher.hash_one(item));
        self.index.insert_unique(hash, id, rehash);
        id
    }

    /// The number of a value that is cheap to copy; a new value is added.
    pub(crate) fn add(&mut self, value: T) -> u32
    where
        T: Copy,
    {
        self.intern(&value, || value)
    }

    pub(crate) fn items(&self) -> &[T] {
        &self.items
    }

    /// Changes the parts of a value that its hash and equality leave out.
    pub(crate) fn update(&mut self, id: u32, change: impl FnOnce(&mut T)) {
        if let Some(item) = self.items.get_mut(id as usize) {
            change(item);
        }
    }

    /// Frees the memory that only new values would need.
    pub(crate) fn seal(&mut self) {
        self.index = HashTable::new();
        self.items.shrink_to_fit();
    }

    /// Bytes that the table itself has allocated, without the memory that its values point to.
    pub(crate) fn bytes(&self) -> usize {
        self.items.capacity() * size_of::<T>() + self.index.allocation_size()
    }
}

/// A table's length as the number of its next value. Memory ends long before the numbers do.
pub(crate) fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Longest text in a table, in bytes: a longer one is cut, and ends in `…`.
const MAX_TEXT: usize = 1_024;
/// Bytes that an allocator adds to each piece of memory, about.
const PER_PIECE: usize = 16;

/// Texts that are each held once; number 0 is the empty text.
#[derive(Debug)]
pub(crate) struct Texts {
    table: Table<Box<str>>,
    heap: usize,
}

impl Texts {
    pub(crate) fn new() -> Self {
        let mut texts = Self { table: Table::new(), heap: 0 };
        texts.add("");
        texts
    }

    pub(crate) fn add(&mut self, text: &str) -> u32 {
        if text.len() > MAX_TEXT {
            let end = (0..=MAX_TEXT).rev().find(|&end| text.is_char_boundary(end)).unwrap_or_default();
            return self.add(&format!("{}…", text.get(..end - '…'.len_utf8()).unwrap_or_default()));
        }
        let heap = &mut self.heap;
        self.table.intern(text, || {
            *heap += text.len() + PER_PIECE;
            text.into()
        })
    }

    pub(crate) fn get(&self, id: u32) -> &str {
        self.table.items().get(id as usize).map_or("", |text| text)
    }

    pub(crate) fn len(&self) -> usize {
        self.table.items().len()
    }

    pub(crate) fn seal(&mut self) {
        self.table.seal();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes() + self.heap
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A text is found again by its number, and equal texts have equal numbers; a text that is too long is cut
        /// between characters and within the bound.
        #[test]
        fn texts_are_held_once(texts in prop::collection::vec(".{0,8}", 0..60), long in "[aé€😀]{0,900}") {
            let mut table = Texts::new();
            let ids: Vec<_> = texts.iter().map(|text| table.add(text)).collect();
            for (text, id) in texts.iter().zip(&ids) {
                prop_assert_eq!(table.get(*id), text);
                prop_assert_eq!(table.add(text), *id);
            }
            let id = table.add(&long);
            prop_assert!(table.get(id).len() <= MAX_TEXT);
            prop_assert!(long.starts_with(table.get(id).trim_end_matches('…')));
        }
    }
}
