//! Errors of a built-in agent.

use std::io;

use telemetry::TelemetryError;
use thiserror::Error;

use crate::run::AgentError;

/// An error for which a built-in agent does not run, or runs no longer.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub(crate) enum BuiltinError {
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    #[error("cannot handle signals")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Agent(#[from] AgentError),
}
