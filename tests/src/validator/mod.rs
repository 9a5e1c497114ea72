//! Rules that a request of OTLP profiles keeps so that every known reader understands it.

mod at;
mod check;
mod convention;
mod dictionary;
mod profile;
mod resource;
mod rule;
#[cfg(test)]
mod tests;

pub use rule::{KNOWN_LIMITS, Rule, Violation};

use crate::otlp::OtlpFile;
use crate::otlp::wire::JsonRequest;

/// The violations of every rule that `request` breaks; empty if it is valid.
#[must_use]
pub fn validate(request: &JsonRequest) -> Vec<Violation> {
    let mut check = check::Check::new(&request.dictionary);
    resource::check(&mut check, &request.resource_profiles);
    dictionary::check(&mut check);
    check.orphans();
    check.violations
}

/// Asserts that every request of a file is valid, save for the rules in `except` and [`KNOWN_LIMITS`].
///
/// # Panics
/// If a request breaks another rule; the message has the rules and places.
pub fn assert_valid_except(file: &OtlpFile, except: &[Rule]) {
    /// Most violations that are shown: enough to see the fault, few enough to read.
    const SHOWN: usize = 20;
    for (line, request) in file.requests.iter().enumerate() {
        let mut violations = validate(request);
        violations.retain(|Violation { rule, .. }| !except.contains(rule) && !KNOWN_LIMITS.contains(rule));
        let shown: Vec<_> = violations.iter().take(SHOWN).map(ToString::to_string).collect();
        assert!(
            violations.is_empty(),
            "request {} breaks {} rules:\n{}",
            line + 1,
            violations.len(),
            shown.join("\n")
        );
    }
}

/// Asserts that every request of a file is valid, save for [`KNOWN_LIMITS`].
///
/// # Panics
/// If a request breaks another rule; the message has the rules and places.
pub fn assert_valid(file: &OtlpFile) {
    assert_valid_except(file, &[]);
}
