//! Ranges of addresses with their names, in a table that is small and quick to search.

use crate::SymbolError;
use crate::flatten::Ranges;
use crate::names::{NameKind, NameRef};

/// A range of addresses that one symbol names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) start: u64,
    pub(crate) length: u32,
    pub(crate) name: NameRef,
}

/// Ranges in the order of addresses.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Box<[Entry]>,
    /// End of each group's names among all names of ranges that have several.
    groups: Box<[u32]>,
    references: Box<[NameRef]>,
}

impl Table {
    /// The range that holds an address.
    pub(crate) fn find(&self, address: u64) -> Option<Entry> {
        let after = self.entries.partition_point(|entry| entry.start <= address);
        let entry = self.entries.get(after.checked_sub(1)?)?;
        (address - entry.start < entry.length.into()).then_some(*entry)
    }

    /// The names that a name stands for: several if it is a group.
    pub(crate) fn names(&self, name: &NameRef) -> Vec<NameRef> {
        if name.kind() != Some(NameKind::Group) {
            return vec![*name];
        }
        let group = usize::try_from(name.offset()).unwrap_or(usize::MAX);
        let bound = |group: usize| self.groups.get(group).and_then(|end| usize::try_from(*end).ok());
        let start = group.checked_sub(1).map_or(Some(0), bound);
        let range = start.zip(bound(group)).and_then(|(start, end)| self.references.get(start..end));
        range.unwrap_or_default().to_vec()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn memory(&self) -> usize {
        size_of_val(&*self.entries) + size_of_val(&*self.groups) + size_of_val(&*self.references)
    }
}

/// A table that is being put together.
#[derive(Debug)]
pub(crate) struct TableBuilder {
    entries: Vec<Entry>,
    groups: Vec<u32>,
    references: Vec<NameRef>,
    most: usize,
}

impl TableBuilder {
    /// A builder for about `expected` ranges, and for `most` at the most.
    pub(crate) fn new(expected: usize, most: usize) -> Self {
        let entries = Vec::with_capacity(expected.min(most));
        Self { entries, groups: Vec::new(), references: Vec::new(), most }
    }

    pub(crate) fn build(self) -> Table {
        Table { entries: self.entries.into(), groups: self.groups.into(), references: self.references.into() }
    }
}

impl Ranges<NameRef> for TableBuilder {
    fn group(&mut self, first: NameRef, others: impl Iterator<Item = NameRef>) -> NameRef {
        let number = u32::try_from(self.groups.len()).ok();
        let Some(group) = number.and_then(|number| NameRef::new(NameKind::Group, number)) else {
            return first;
        };
        self.references.push(first);
        self.references.extend(others);
        self.groups.push(u32::try_from(self.references.len()).unwrap_or(u32::MAX));
        group
    }

    fn push(&mut self, start: u64, end: u64, name: NameRef) -> Result<(), SymbolError> {
        if self.entries.len() >= self.most {
            return Err(SymbolError::TooLarge { part: "a symbol table" });
        }
        let length = u32::try_from(end - start).unwrap_or(u32::MAX);
        self.entries.push(Entry { start, length, name });
        Ok(())
    }
}
