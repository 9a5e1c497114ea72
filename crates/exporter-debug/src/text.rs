//! Texts of the host made fit for a terminal.

use std::borrow::Cow;

use configtypes::is_unseen;

/// The text with characters that do not show escaped: a process chooses its own name and path, and must not
/// thereby steer the terminal of whoever looks.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unseen) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if is_unseen(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
}

/// A count with its noun: `1 sample`, `2 samples`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 {
        ""
    } else if noun.ends_with("ss") {
        "es"
    } else {
        "s"
    };
    format!("{count} {noun}{plural}")
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

    #[test]
    fn nouns_agree() {
        assert_eq!(counted(1, "process"), "1 process");
        assert_eq!(counted(0, "process"), "0 processes");
        assert_eq!(counted(2, "sample"), "2 samples");
    }
}
