//! A text as one line.

use crate::is_unseen;

/// A text that a stranger has chosen, as one line that a log can show: a blank stands for each character that does not
/// show, blanks at both ends go, and so does what is longer than `max_chars` characters.
#[must_use]
pub fn one_line(text: &str, max_chars: usize) -> String {
    let is_blank = |c: char| c.is_whitespace() || is_unseen(c);
    let shown = text.trim_matches(is_blank).chars().take(max_chars);
    let mut line: String = shown.map(|c| if is_blank(c) { ' ' } else { c }).collect();
    // The text may have been cut off right behind a blank.
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_stranger_writes_is_one_line_and_not_too_long() {
        assert_eq!(one_line(" no\nroom\u{1b}[31m left\r\n", 100), "no room [31m left");
        assert_eq!(one_line("\u{200b}\n turned \u{202e}back\u{feff}", 100), "turned  back");
        assert_eq!(one_line(&"é".repeat(301), 300).chars().count(), 300);
        assert_eq!(one_line("cut off here", 4), "cut");
    }

    /// Texts of which many characters do not show.
    fn text() -> impl Strategy<Value = String> {
        let hidden =
            prop::sample::select((char::MIN..=char::MAX).filter(|&c| is_unseen(c)).collect::<Vec<_>>());
        let character =
            prop_oneof![any::<char>(), hidden, "[a-z ]".prop_map(|text| text.chars().next().unwrap())];
        prop::collection::vec(character, 0..60).prop_map(|characters| characters.into_iter().collect())
    }

    proptest! {
        /// No control character, none that turns text and none that hides survives, and the length has its bound;
        /// every other character of the text's beginning is there, in its order.
        #[test]
        fn any_text_is_one_line_of_characters_that_show(text in text(), max_chars in 0usize..80) {
            let line = one_line(&text, max_chars);
            prop_assert!(!line.contains(is_unseen), "{line:?}");
            prop_assert!(!line.contains(|c: char| c.is_whitespace() && c != ' '), "{line:?}");
            prop_assert!(line.chars().count() <= max_chars);
            prop_assert_eq!(line.trim(), line.as_str());
            let seen = |text: &str| text.replace(|c: char| c.is_whitespace() || is_unseen(c), "");
            prop_assert!(seen(&text).starts_with(&seen(&line)));
            if text.chars().count() <= max_chars {
                prop_assert_eq!(seen(&line), seen(&text));
            }
        }
    }
}
