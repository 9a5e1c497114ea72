//! Errors of `pipeline top`.

use std::io;
use std::path::PathBuf;

use profile_seconds::MessageError;
use receiver_ebpf::StartError;
use thiserror::Error;

use crate::builtin::BuiltinError;
use crate::cli::CliError;

/// An error for which nothing can be shown. Each text names a remedy, if one is known.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct TopError(#[from] Cause);

/// The cause of the error.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub(super) enum Cause {
    #[error(transparent)]
    Cli(#[from] CliError),
    #[error("cannot attach to {}: {reason}", .path.display())]
    Attach { path: PathBuf, reason: String },
    #[error("the agent's messages cannot be read")]
    Message(#[from] MessageError),
    #[error("no agent runs here, and this program cannot sample itself")]
    Machine(#[source] StartError),
    #[error("cannot draw on the terminal")]
    Terminal(#[source] io::Error),
    #[error("the agent has ended before the table was complete")]
    Ended,
    #[error("cannot write the tables")]
    Write(#[source] io::Error),
    #[error(transparent)]
    Agent(#[from] BuiltinError),
}
