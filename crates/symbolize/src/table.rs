//! Ranges of addresses with their names, small and quick to search.

use crate::flatten::Named;
use crate::names::{NameKind, NameRef};

/// The most names that one range has.
const MAX_ALIASES: usize = 32;

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
    /// Names of ranges that have several: how many, and then those.
    groups: Box<[u32]>,
    references: Box<[NameRef]>,
}

impl Table {
    /// Bytes that a table takes for each of its symbols.
    pub(crate) const ENTRY: usize = size_of::<Entry>();

    pub(crate) fn new(ranges: Vec<Named<NameRef>>) -> Self {
        let (mut groups, mut references) = (Vec::new(), Vec::new());
        let mut entries = Vec::with_capacity(ranges.len());
        for range in ranges {
            let name = match range.aliases.as_slice() {
                [] => Some(range.name),
                aliases => {
                    let aliases = aliases.get(..MAX_ALIASES).unwrap_or(aliases);
                    references.push(range.name);
                    references.extend(aliases);
                    groups.push(u32::try_from(references.len()).unwrap_or(u32::MAX));
                    let group = u32::try_from(groups.len() - 1).unwrap_or(u32::MAX);
                    Some(NameRef::new(NameKind::Group, group).unwrap_or(range.name))
                }
            };
            let length = u32::try_from(range.end - range.start).unwrap_or(u32::MAX);
            entries.extend(name.map(|name| Entry { start: range.start, length, name }));
        }
        Self { entries: entries.into(), groups: groups.into(), references: references.into() }
    }

    /// The range that holds an address.
    pub(crate) fn find(&self, address: u64) -> Option<Entry> {
        let after = self.entries.partition_point(|entry| entry.start <= address);
        let entry = self.entries.get(after.checked_sub(1)?)?;
        (address - entry.start < entry.length.into()).then_some(*entry)
    }

    /// The names that a name stands for.
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
