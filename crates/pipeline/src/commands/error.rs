//! Why a command has failed.

use std::io;

use thiserror::Error;

use crate::cli::CliError;
use crate::config::ConfigError;

/// Why a command has failed.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub enum CommandError {
    /// The command line, or the configuration that it names.
    #[error(transparent)]
    Cli(#[from] CliError),
    /// An argument that the command does not know.
    #[error("{0}")]
    Argument(String),
    /// Some checks have failed, which has been written.
    #[error("{failed} of {all} checks failed")]
    Checks {
        failed: usize,
        /// Of how many.
        all: usize,
    },
    /// The output could not be written.
    #[error("cannot write to standard output")]
    Write(#[from] io::Error),
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        Self::Cli(error.into())
    }
}
