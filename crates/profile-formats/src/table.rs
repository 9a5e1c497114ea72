//! Tables in which each entry is held once, and the numbers of the entries.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::num::NonZeroU32;

use hashbrown::DefaultHashBuilder;
use indexmap::IndexSet;

/// The number of an entry of a table of `T`. It is only valid for the table that returned it.
pub struct Id<T: ?Sized> {
    /// One more than the entry's index.
    number: NonZeroU32,
    of: PhantomData<fn(&T)>,
}

impl<T: ?Sized> Id<T> {
    /// The number of the entry at this index. Tables are bounded far below the number of numbers.
    #[must_use]
    pub fn of_index(index: usize) -> Self {
        let number = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1);
        Self { number: NonZeroU32::new(number).unwrap_or(NonZeroU32::MAX), of: PhantomData }
    }

    /// The entry's index, from 0 in the order in which entries were added.
    #[must_use]
    pub fn index(self) -> usize {
        usize::try_from(self.number.get() - 1).unwrap_or(usize::MAX)
    }
}

impl<T: ?Sized> Copy for Id<T> {}

impl<T: ?Sized> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<T: ?Sized> Eq for Id<T> {}

impl<T: ?Sized> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: ?Sized> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.number.cmp(&other.number)
    }
}

impl<T: ?Sized> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl<T: ?Sized> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.index())
    }
}

/// Entries that are each held once, in the order in which they were added. The hash is keyed anew for each table, so
/// that names and addresses chosen by other programs do not slow it down.
#[derive(Clone, Debug)]
pub struct Table<T> {
    entries: IndexSet<T, DefaultHashBuilder>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { entries: IndexSet::default() }
    }
}

impl<T: Eq + Hash> Table<T> {
    /// The number of an entry, which is added if it is new.
    pub fn intern(&mut self, entry: T) -> Id<T> {
        Id::of_index(self.entries.insert_full(entry).0)
    }

    /// The number of an entry, which is added only if there is `room`; `None` if it is new and there is none.
    pub fn intern_within(&mut self, entry: T, room: bool) -> Option<Id<T>> {
        if room { Some(self.intern(entry)) } else { self.find(&entry) }
    }

    /// The number of an entry; `None` if the table does not have it.
    #[must_use]
    pub fn find(&self, entry: &T) -> Option<Id<T>> {
        self.entries.get_index_of(entry).map(Id::of_index)
    }
}

impl<T> Table<T> {
    /// The entry with this number; `None` if the number is of another table.
    #[must_use]
    pub fn get(&self, id: Id<T>) -> Option<&T> {
        self.entries.get_index(id.index())
    }

    /// The entries with their numbers, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Id<T>, &T)> + ExactSizeIterator {
        self.entries.iter().enumerate().map(|(index, entry)| (Id::of_index(index), entry))
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if the table is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_one_number_and_a_full_table_adds_none() {
        let mut table = Table::default();
        let one = table.intern("one");
        assert_eq!(table.intern("one"), one);
        assert_eq!(table.get(one), Some(&"one"));
        assert_eq!(table.intern_within("two", false), None);
        assert_eq!(table.intern_within("one", false), Some(one));
        assert_eq!(table.len(), 1);
        assert_eq!(size_of::<Option<Id<str>>>(), 4);
    }
}
