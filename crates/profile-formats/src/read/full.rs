//! Fallbacks for a profile that is full.

use std::borrow::Cow;

use crate::model::{Amount, Attribute, Bounds, OTHER, Profile, SampleKey, Tables};
use crate::table::Id;

/// Adds an amount to the sample `key`, or to the sample of all others if the profile is full.
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

/// The number of a text from a file, or of [`OTHER`] if the text is beyond the bounds.
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

/// Room for facts of processes and samples that have no field of their own. It is bounded because a file may refer to a
/// list of thousands with each of its bytes.
#[derive(Debug)]
pub(super) struct FactRoom(usize);

impl Default for FactRoom {
    /// Room for about a million facts, which take 24 MiB at most.
    fn default() -> Self {
        Self(1 << 20)
    }
}

impl FactRoom {
    /// True if there is room for `number` more facts.
    pub(super) fn has(&self, number: usize) -> bool {
        self.0 >= number
    }

    /// Uses room for `number` facts.
    pub(super) fn take(&mut self, number: usize) {
        self.0 = self.0.saturating_sub(number);
    }

    /// Returns the facts if there is room for them, else none. `gone` facts that were kept before give their room back.
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

    /// The number of a list of facts of samples; `None` for an empty list, and for one for which there is no room.
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
