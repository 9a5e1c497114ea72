//! The last failure of a component, for readers while it runs.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The last failure of a component, and whether it persists. The component and those who show it share it.
#[derive(Debug, Default)]
pub struct Status {
    last: Mutex<Option<Failure>>,
}

/// A failure of a component.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Time of the last failure.
    pub at: Instant,
    /// The failure, in one line.
    pub error: String,
    /// False once the component has succeeded after the failure.
    pub persists: bool,
}

impl Status {
    /// Notes a failure.
    pub fn failed(&self, error: &dyn Display) {
        let failure = Failure { at: Instant::now(), error: error.to_string(), persists: true };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }

    /// Notes a success.
    pub fn succeeded(&self) {
        if let Some(failure) = &mut *self.last.lock().unwrap_or_else(PoisonError::into_inner) {
            failure.persists = false;
        }
    }

    /// The last failure, if there ever was one.
    #[must_use]
    pub fn last_failure(&self) -> Option<Failure> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_remembered_and_persists_until_something_goes_well() {
        let status = Status::default();
        status.succeeded();
        assert!(status.last_failure().is_none());
        status.failed(&"no route");
        assert!(status.last_failure().unwrap().persists);
        status.succeeded();
        let failure = status.last_failure().unwrap();
        assert_eq!((failure.error.as_str(), failure.persists), ("no route", false));
    }
}
