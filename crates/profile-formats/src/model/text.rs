//! The table of names and paths.

use hashbrown::DefaultHashBuilder;
use indexmap::IndexSet;

use crate::table::Id;

/// Texts, each held once. They come from other programs and may hold any character: a writer escapes them.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    entries: IndexSet<Box<str>, DefaultHashBuilder>,
    bytes: usize,
}

impl Texts {
    /// The number of a text, which is added if it is new.
    pub fn intern(&mut self, text: &str) -> Id<str> {
        if let Some(known) = self.find(text) {
            return known;
        }
        self.bytes = self.bytes.saturating_add(text.len());
        Id::of_index(self.entries.insert_full(text.into()).0)
    }

    /// The number of a text; `None` if it is not there.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<Id<str>> {
        self.entries.get_index_of(text).map(Id::of_index)
    }

    /// The text with this number; empty if the number is of another table.
    #[must_use]
    pub fn get(&self, id: Id<str>) -> &str {
        self.entries.get_index(id.index()).map_or("", |text| text)
    }

    /// The texts with their numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Id<str>, &str)> {
        self.entries.iter().enumerate().map(|(index, text)| (Id::of_index(index), &**text))
    }

    /// The number of texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all texts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
