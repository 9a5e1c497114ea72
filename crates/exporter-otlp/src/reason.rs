//! The words in which a server gives its reasons.

/// The most characters that a log line or error holds of a text that the server chose.
const MAX_CHARS: usize = 1000;

/// A server's words as one line that a log can show, cut off where they go on for too long.
pub(crate) fn one_line(text: &str) -> String {
    textline::one_line(text, MAX_CHARS)
}
