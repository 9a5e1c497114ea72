//! Errors of the agent's start, run and reload.

use thiserror::Error;
use tokio::task::JoinError;

use crate::components::{BoxError, ComponentId};

/// An error for which the agent cannot start or go on.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub enum AgentError {
    /// A component cannot start.
    #[error("cannot start {class}::{id}")]
    Start {
        /// The class of the component: `receivers`, `processors`, `exporters` or `extensions`.
        class: &'static str,
        id: ComponentId,
        source: BoxError,
    },
    /// A receiver has failed while it ran.
    #[error("receiver {id} has stopped")]
    Run { id: ComponentId, source: BoxError },
    /// A receiver's task has panicked.
    #[error("a receiver has panicked")]
    Panicked(#[source] JoinError),
    /// A receiver did not end when it was asked to.
    #[error("a receiver does not stop")]
    Stuck,
}

/// An error for which a new configuration is not in force.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the name of a field in an error says all there is to say")]
pub enum ReloadError {
    /// The new configuration cannot be started; the old one goes on.
    #[error(transparent)]
    Refused(AgentError),
    /// The new configuration changes an extension that exporters are using; the old one goes on.
    #[error("extensions::{id}: is used by exporters that run, so its change needs a restart")]
    InUse { id: ComponentId },
    /// The new configuration cannot be started, and the old one cannot be started again.
    #[error("the old configuration cannot be started again either")]
    Fatal(#[source] AgentError),
}
