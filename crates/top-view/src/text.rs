//! Text that is fit for a terminal, even if a user of the machine has chosen it.

use std::borrow::Cow;

use textline::printable;
use unicode_width::UnicodeWidthChar as _;

/// Least columns for a name and its module.
const LEAST_FOR_TWO: usize = 12;

/// A text as it is shown: characters that would steer a terminal, turn text or hide it are escaped, and combining marks
/// are left out, since terminals do not agree on how many of them fit into a column.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    let text = printable(text);
    let is_mark = |character: char| character.width().unwrap_or(0) == 0;
    if !text.contains(is_mark) {
        return text;
    }
    Cow::Owned(text.chars().filter(|&character| !is_mark(character)).collect())
}

/// Columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// A text as it is shown in at most `columns`. The middle of a longer text is left out: both ends of a name say most.
pub(crate) fn fitted(text: &str, columns: usize) -> String {
    let text = shown(text);
    if width(&text) <= columns {
        return text.into_owned();
    }
    let Some(kept) = columns.checked_sub(1) else { return String::new() };
    let head = taken(text.chars(), kept.div_ceil(2));
    let tail: String = taken(text.chars().rev(), kept / 2).chars().rev().collect();
    format!("{head}…{tail}")
}

/// A name and its module in at most `columns`, such as `main (libx.so)`. If both are too long, the name gets two
/// thirds.
pub(crate) fn paired(name: &str, of: &str, columns: usize) -> String {
    let (name, of) = (shown(name), shown(of));
    // Fewer columns are better used for the name alone.
    if of.is_empty() || columns < LEAST_FOR_TWO {
        return fitted(&name, columns);
    }
    let between = " ()".len();
    let left = columns.saturating_sub(width(&name) + between);
    let room = width(&of).min(left.max(columns / 3));
    let of = fitted(&of, room);
    fitted(&format!("{} ({of})", fitted(&name, columns.saturating_sub(width(&of) + between))), columns)
}

/// The beginning of a text in at most `columns`.
pub(crate) fn beginning(text: &str, columns: usize) -> String {
    let text = shown(text);
    if width(&text) <= columns {
        return text.into_owned();
    }
    columns.checked_sub(1).map_or_else(String::new, |kept| taken(text.chars(), kept) + "…")
}

/// The first characters that fit into `columns`.
fn taken(characters: impl Iterator<Item = char>, columns: usize) -> String {
    let mut left = columns;
    let fits = |character: &char| {
        let rest = left.checked_sub(character.width().unwrap_or(0));
        left = rest.unwrap_or(0);
        rest.is_some()
    };
    characters.take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped_and_marks_are_left_out() {
        assert_eq!(shown("a\u{1b}[2J\u{202e}e\u{301}\u{fe0f}"), "a\\u{1b}[2J\\u{202e}e\\u{fe0f}");
        assert_eq!(
            (fitted("abcdefgh", 5), fitted("中中中", 5), fitted("ab", 0)),
            ("ab…gh".into(), "中…中".into(), "".into())
        );
    }

    #[test]
    fn a_long_name_leaves_room_for_what_it_is_of() {
        assert_eq!(paired("main", "libx.so", 30), "main (libx.so)");
        assert_eq!(
            paired("a_function_of_a_long_name", "librustc_driver.so", 30),
            "a_functi…ong_name (libru…r.so)"
        );
        assert_eq!(paired("f", "librustc_driver.so", 30), "f (librustc_driver.so)");
        assert_eq!((paired("ab", "", 9), paired("ab", "cd", 3)), ("ab".into(), "ab".into()));
        assert_eq!(
            (beginning("abcdef", 4), beginning("ab", 4), beginning("ab", 0)),
            ("abc…".into(), "ab".into(), "".into())
        );
    }

    proptest! {
        /// Any text fits, and no character in it steers the terminal.
        #[test]
        fn any_text_fits(text in any::<String>(), columns in 0_usize..40) {
            for fitted in [fitted(&text, columns), paired(&text, &text, columns), beginning(&text, columns)] {
                prop_assert!(width(&fitted) <= columns);
                prop_assert!(!fitted.contains(textline::is_unseen));
            }
        }
    }
}
