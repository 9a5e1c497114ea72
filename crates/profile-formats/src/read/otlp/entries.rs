//! A table of a request.

use protowire::WireValue;

/// Most entries of a table: more than a request of 512 MiB has in practice.
const MOST_ENTRIES: usize = 1 << 22;

/// A table of a request: its undecoded entries, and those that have been read.
#[derive(Debug)]
pub(super) struct Entries<'a, T> {
    pub(super) raw: Vec<&'a [u8]>,
    known: Vec<Option<T>>,
}

impl<T> Default for Entries<'_, T> {
    fn default() -> Self {
        Self { raw: Vec::new(), known: Vec::new() }
    }
}

impl<'a, T: Copy> Entries<'a, T> {
    /// Adds an undecoded entry.
    pub(super) fn push(&mut self, value: WireValue<'a>) -> Result<(), &'static str> {
        if self.raw.len() >= MOST_ENTRIES {
            return Err("a table with more than 4 million entries");
        }
        self.raw.push(value.bytes()?);
        Ok(())
    }

    /// The entry with that index, if it has been read.
    pub(super) fn known(&self, index: usize) -> Option<T> {
        self.known.get(index).copied().flatten()
    }

    /// Keeps an entry that has been read, and returns it.
    pub(super) fn know(&mut self, index: usize, entry: T) -> T {
        if self.known.len() < self.raw.len() {
            self.known.resize(self.raw.len(), None);
        }
        if let Some(slot) = self.known.get_mut(index) {
            *slot = Some(entry);
        }
        entry
    }
}
