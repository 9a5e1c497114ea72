//! Schemes of URIs: `file` in `file:agent.yaml`.

/// True for a letter and at least one more letter, digit or `+.-`: one letter would be a Windows
/// drive.
pub(crate) fn is_scheme(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
}
