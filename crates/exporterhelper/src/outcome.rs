//! What may become of a request that is sent.

use std::time::Duration;

use thiserror::Error;

/// The server has taken a request, if perhaps not all of it.
///
/// The transport counts and logs what the server rejected; that is never sent again, and the request counts as sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Profiles that the server says it has rejected (OTLP: `partial_success.rejected_profiles`).
    pub rejected: u64,
    /// Its warning; empty if it has none (OTLP: `partial_success.error_message`).
    pub message: String,
}

/// The server has not taken a request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// It never will: given up at once.
    #[error("{reason}")]
    Permanent {
        /// Why, in one line.
        reason: String,
    },
    /// It may later.
    #[error("{reason}")]
    Retryable {
        /// Why, in one line.
        reason: String,
        /// The least time that the server asks to wait (gRPC: `RetryInfo`, HTTP: `Retry-After`).
        after: Option<Duration>,
    },
}

impl SendError {
    /// An error that another attempt will not mend.
    #[must_use]
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self::Permanent { reason: reason.into() }
    }

    /// An error that may be over soon, without word from the server when.
    #[must_use]
    pub fn retryable(reason: impl Into<String>) -> Self {
        Self::Retryable { reason: reason.into(), after: None }
    }

    /// True if another attempt may succeed.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Retryable { .. })
    }
}
