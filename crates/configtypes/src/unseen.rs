//! Characters that do not show.

use std::borrow::Cow;

/// True for a character that a terminal does not show as one of its own: control characters, those that turn the
/// direction of the text after them, and those without width. Whoever chooses a name could make it look like another.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    let is_format = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
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
    use super::*;

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
