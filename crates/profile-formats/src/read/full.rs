//! What is done when a profile is full.

use std::borrow::Cow;

use crate::model::{Amount, Attribute, Bounds, OTHER, Profile, SampleKey, Tables};
use crate::table::Id;

/// Adds to a sample, or to that of all others if the profile is full.
pub(super) fn add(
    profile: &mut Profile,
    key: Option<SampleKey>,
    other: SampleKey,
    amount: Amount,
) -> Id<SampleKey> {
    let room = profile.samples.len() < Bounds::default().samples;
    let added = key.and_then(|key| profile.samples.add_within(key, amount, room));
    added.unwrap_or_else(|| profile.add_other(other.value_type, amount))
}

/// The number of a text from a file, or of one that stands for all that do not fit in.
pub(super) fn text(bytes: &[u8], tables: &mut Tables) -> Id<str> {
    let text = String::from_utf8_lossy(bytes);
    match text {
        Cow::Borrowed(text) if tables.texts.find(text).is_some() => tables.texts.intern(text),
        _ if tables.texts.bytes().saturating_add(text.len()) > Bounds::default().text_bytes => {
            tables.texts.intern(OTHER)
        }
        _ => tables.texts.intern(&text),
    }
}

/// How many facts are kept of processes and samples beside those that have a place of their own: a file may refer to a
/// list of thousands with each of its bytes.
#[derive(Debug)]
pub(super) struct FactRoom(usize);

impl Default for FactRoom {
    /// 24 MiB at most.
    fn default() -> Self {
        Self(1 << 20)
    }
}

impl FactRoom {
    /// True if so many more can be kept.
    pub(super) fn has(&self, number: usize) -> bool {
        self.0 >= number
    }

    /// Takes room for so many.
    pub(super) fn take(&mut self, number: usize) {
        self.0 = self.0.saturating_sub(number);
    }

    /// The facts, once `gone` that were kept before are no more; none if there is no room for them.
    pub(super) fn keep(&mut self, facts: Vec<Attribute>, gone: usize) -> Box<[Attribute]> {
        self.0 = self.0.saturating_add(gone);
        match self.0.checked_sub(facts.len()) {
            Some(left) => {
                self.0 = left;
                facts.into()
            }
            None => Box::default(),
        }
    }

    /// The number of a list of facts of samples; `None` of an empty one, and of one for which there is no room.
    pub(super) fn list(
        &mut self,
        facts: Vec<Attribute>,
        tables: &mut Tables,
    ) -> Option<Id<Box<[Attribute]>>> {
        if facts.is_empty() {
            return None;
        }
        let facts = facts.into_boxed_slice();
        if let Some(known) = tables.attributes.find(&facts) {
            return Some(known);
        }
        self.0 = self.0.checked_sub(facts.len())?;
        Some(tables.attributes.intern(facts))
    }
}
