//! Texts, each held once, by numbers.

use std::collections::HashMap;
use std::sync::Arc;

/// Most texts that are held: further ones get the number [`NameId::OTHER`].
const MOST: usize = 1 << 18;

/// The number of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameId(u32);

impl NameId {
    /// The number of all texts for which there was no room.
    pub const OTHER: Self = Self(0);
    /// A number that no text has.
    pub const ABSENT: Self = Self(u32::MAX);
}

/// Texts, each held once, and the numbers that stand for them.
#[derive(Clone, Debug)]
pub struct Names {
    ids: HashMap<Arc<str>, NameId>,
    texts: Vec<Arc<str>>,
}

impl Default for Names {
    fn default() -> Self {
        Self { ids: HashMap::new(), texts: vec!["(too many names)".into()] }
    }
}

impl Names {
    /// The number of a text.
    pub fn id(&mut self, text: &str) -> NameId {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        match u32::try_from(self.texts.len()) {
            Ok(next) if self.texts.len() < MOST => {
                let text: Arc<str> = text.into();
                self.texts.push(Arc::clone(&text));
                self.ids.insert(text, NameId(next));
                NameId(next)
            }
            _ => NameId::OTHER,
        }
    }

    /// The number of a text that is held; [`NameId::ABSENT`] for another text.
    #[must_use]
    pub fn find(&self, text: &str) -> NameId {
        self.ids.get(text).copied().unwrap_or(NameId::ABSENT)
    }

    /// The number of texts.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "one text is always there")]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// The text of a number that [`id`](Self::id) has returned.
    #[must_use]
    pub fn text(&self, id: NameId) -> &str {
        usize::try_from(id.0).ok().and_then(|index| self.texts.get(index)).map_or("", |text| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_number_and_what_has_no_room_is_one() {
        let mut names = Names::default();
        let (a, b) = (names.id("a"), names.id(""));
        assert_eq!((names.id("a"), names.text(a), names.text(b)), (a, "a", ""));
        assert_eq!((names.find("a"), names.find("other")), (a, NameId::ABSENT));
        for number in 0..MOST {
            names.id(&number.to_string());
        }
        assert_eq!(names.id("one more"), NameId::OTHER);
        assert_eq!((names.id("a"), names.text(NameId::OTHER)), (a, "(too many names)"));
    }
}
