//! Errors in one line.

use std::error::Error;

/// The most characters that a log line or error holds of a text that the server chose.
const MAX_CHARS: usize = 1000;

/// A server's words as one line of characters that a log can show, cut off where they go on for too long.
pub(crate) fn one_line(text: &str) -> String {
    let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_CHARS);
    shown.collect::<String>().trim().to_owned()
}

/// The causes of an error, the nearest first.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let found = next?;
        next = found.source();
        Some(found)
    })
}

/// `text` and its causes, as far as the text does not name them already: layers of a transport repeat each other.
pub(crate) fn with_causes<'a>(
    text: String,
    causes: impl Iterator<Item = &'a (dyn Error + 'static)>,
) -> String {
    causes
        .map(ToString::to_string)
        .fold(text, |text, cause| if text.contains(&cause) { text } else { format!("{text}: {cause}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_one_line_and_not_too_long() {
        assert_eq!(one_line(" no\nroom\u{1b}[31m left\r\n"), "no room [31m left");
        assert_eq!(one_line(&"é".repeat(MAX_CHARS + 1)).chars().count(), MAX_CHARS);
    }
}
