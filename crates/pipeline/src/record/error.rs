//! Errors of recordings.

use std::io;

use receiver_ebpf::StartError;
use thiserror::Error;

use super::output::OutputError;
use super::program::ProgramError;
use super::scope::ScopeError;
use super::user::UserError;
use crate::builtin::BuiltinError;
use crate::cli::CliError;

/// An error for which a recording has failed. Each text names a remedy, if one is known.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct RecordError(#[from] Cause);

/// The cause of a failed recording.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub(super) enum Cause {
    #[error(transparent)]
    Cli(#[from] CliError),
    #[error("cannot record")]
    Machine(#[from] StartError),
    #[error(transparent)]
    Scope(#[from] ScopeError),
    #[error(transparent)]
    User(#[from] UserError),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error("{0} says nothing of the format: name one by --format, or call the file such as a.pb.gz")]
    Format(String),
    #[error("cannot encode the profile")]
    Encode(#[source] io::Error),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error("cannot start the command")]
    Command(#[source] io::Error),
    #[error(transparent)]
    Agent(#[from] BuiltinError),
}

impl RecordError {
    /// The exit code of the error.
    #[must_use]
    pub fn code(&self) -> u8 {
        match &self.0 {
            Cause::Program(error) => error.code(),
            _ => 1,
        }
    }
}
