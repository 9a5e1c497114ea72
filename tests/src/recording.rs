//! What `pipeline record` prints beside what it writes.

/// Samples that a recording lost, on the whole machine, by the summary that it has printed to standard error.
///
/// # Panics
/// If it has printed none.
#[must_use]
pub fn lost(summary: &str) -> u64 {
    let (_, rest) = summary.split_once("Samples lost on this machine: ").expect("the summary says it");
    let digits: String =
        rest.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(|c| *c != ',').collect();
    digits.parse().expect("a number")
}
