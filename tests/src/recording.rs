//! The summary that `pipeline record` prints.

/// Number of samples that a recording lost, on the whole machine, by the summary on standard error.
///
/// # Panics
/// If there is no summary.
#[must_use]
pub fn lost(summary: &str) -> u64 {
    let (_, rest) = summary.split_once("Samples lost on this machine: ").expect("the summary says it");
    let digits: String =
        rest.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(|c| *c != ',').collect();
    digits.parse().expect("a number")
}
