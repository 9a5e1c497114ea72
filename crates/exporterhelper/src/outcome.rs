//! Outcomes of sending a request.

use std::time::Duration;

use thiserror::Error;

/// The server has taken a request, if perhaps not all of it.
///
/// The transport counts and logs the profiles that the server rejected; they are never sent again, and the request
/// counts as sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Profiles that the server has rejected (OTLP: `partial_success.rejected_profiles`).
    pub rejected: u64,
    /// The server's warning; empty if it sent none (OTLP: `partial_success.error_message`).
    pub message: String,
}

/// The server has not taken a request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// The server will never take the request, which is dropped at once.
    #[error("{reason}")]
    Permanent {
        /// The reason, in one line.
        reason: String,
    },
    /// The server may take the request later.
    #[error("{reason}")]
    Retryable {
        /// The reason, in one line.
        reason: String,
        /// The least time that the server asks to wait (gRPC: `RetryInfo`, HTTP: `Retry-After`).
        after: Option<Duration>,
    },
}

impl SendError {
    /// An error that another attempt would not mend.
    #[must_use]
    pub fn permanent(reason: impl Into<String>) -> Self {
        Self::Permanent { reason: reason.into() }
    }

    /// An error that may be over soon; the server has not named a time.
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
