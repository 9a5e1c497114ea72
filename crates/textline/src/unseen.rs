//! Characters that do not show.

use std::borrow::Cow;

/// True for a character that a terminal does not show as one of its own: control characters, those that turn the
/// direction of the text after them, and those without width or ink. Whoever chooses a name could make it look like
/// another.
///
/// In Unicode's words: `Cc`, `Zl`, `Zp`, `Default_Ignorable_Code_Point`, and `Cf` without
/// `Prepended_Concatenation_Mark`, which are signs that show.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    let is_format = matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    );
    c.is_control() || is_format
}

/// The text with characters that do not show escaped: a process chooses its own name and path, and must not thereby
/// steer the terminal of whoever looks.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unseen) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if is_unseen(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use regex::Regex;

    use super::*;

    /// The characters are those of Unicode's own tables, as another crate has them.
    #[test]
    fn every_character_is_unseen_that_unicode_says_has_no_ink() {
        let unseen =
            r"[\p{Cc}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}[\p{Cf}--\p{Prepended_Concatenation_Mark}]]";
        let every: String = (char::MIN..=char::MAX).collect();
        let by_tables: BTreeSet<&str> =
            Regex::new(unseen).unwrap().find_iter(&every).map(|found| found.as_str()).collect();
        let by_us: BTreeSet<&str> = every.matches(is_unseen).collect();
        let difference: Vec<_> = by_tables.symmetric_difference(&by_us).collect();
        assert!(difference.is_empty() && by_us.len() > 4000, "{difference:?}");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("/bin/ü \u{1b}[31m\n"), "/bin/ü \\u{1b}[31m\\n");
        assert_eq!(
            printable("/bin/\u{202e}sl\u{200b}"),
            "/bin/\\u{202e}sl\\u{200b}",
            "neither turned nor hidden"
        );
        assert_eq!(printable("/bin/ls"), "/bin/ls");
    }
}
