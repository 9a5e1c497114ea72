//! Errors in one line.

use std::error::Error;

/// What an error was caused by, the nearest first.
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

/// `text`, and what it was caused by as far as it does not say so already: layers of a transport repeat each other.
pub(crate) fn with_causes<'a>(
    text: String,
    causes: impl Iterator<Item = &'a (dyn Error + 'static)>,
) -> String {
    causes
        .map(ToString::to_string)
        .fold(text, |text, cause| if text.contains(&cause) { text } else { format!("{text}: {cause}") })
}
