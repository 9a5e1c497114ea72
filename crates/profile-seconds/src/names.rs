//! Names of a second while it is gathered.

use std::collections::HashMap;

use crate::second::MAX_NAME;

/// Texts, each held once, by their positions. Position 0 is the empty text.
///
/// Hashes are seeded, since users choose names.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    places: HashMap<Box<str>, u32>,
    texts: Vec<Box<str>>,
}

impl Default for Names {
    fn default() -> Self {
        Self { places: HashMap::from([("".into(), 0)]), texts: vec!["".into()] }
    }
}

impl Names {
    /// The position of a text, which is added if it is new, cut to [`MAX_NAME`] bytes.
    pub(crate) fn place(&mut self, text: &str) -> u32 {
        if let Some(&place) = self.places.get(text) {
            return place;
        }
        if text.len() > MAX_NAME {
            return self.place(&cut(text));
        }
        let place = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(text.into());
        self.places.insert(text.into(), place);
        place
    }

    /// The text at a position.
    pub(crate) fn text(&self, place: u32) -> &str {
        usize::try_from(place).ok().and_then(|place| self.texts.get(place)).map_or("", |text| text)
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    pub(crate) fn into_texts(self) -> Vec<Box<str>> {
        self.texts
    }
}

/// The beginning of a text that is too long, with `…` at its end.
fn cut(text: &str) -> String {
    let most = MAX_NAME - '…'.len_utf8();
    let end = (0..=most).rev().find(|&end| text.is_char_boundary(end)).unwrap_or_default();
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A text has one position, and is held as far as the bound allows.
        #[test]
        fn a_text_has_one_place(texts in prop::collection::vec("[aé€😀]{0,120}", 1..20)) {
            let mut names = Names::default();
            for text in &texts {
                let place = names.place(text);
                prop_assert_eq!(names.place(text), place);
                prop_assert!(names.text(place).len() <= MAX_NAME);
                prop_assert!(text.starts_with(names.text(place).trim_end_matches('…')));
            }
            prop_assert_eq!(names.text(0), "");
        }
    }
}
