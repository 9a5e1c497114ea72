//! How a component fares, for those who ask while it runs.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The last that went wrong, and whether it still does. Shared by the component and whoever shows it.
#[derive(Debug, Default)]
pub struct Status {
    last: Mutex<Option<Failure>>,
}

/// Something that went wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Time of the last failure.
    pub at: Instant,
    /// What, in one line.
    pub error: String,
    /// False once something has gone well since.
    pub persists: bool,
}

impl Status {
    /// Notes that something went wrong.
    pub fn failed(&self, error: &dyn Display) {
        let failure = Failure { at: Instant::now(), error: error.to_string(), persists: true };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }

    /// Notes that something went well.
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
