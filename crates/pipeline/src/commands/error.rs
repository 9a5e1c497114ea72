//! Errors of commands.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::cli::CliError;
use crate::config::ConfigError;

/// An error for which a command has failed.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub enum CommandError {
    /// The command line, or the configuration that it names, is wrong.
    #[error(transparent)]
    Cli(#[from] CliError),
    /// An argument that the command does not know.
    #[error("{0}")]
    Argument(String),
    /// A file that cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    /// A file that is no profile.
    #[error("{} is no profile that can be read", path.display())]
    Profile { path: PathBuf, source: profile_formats::ReadError },
    /// The page cannot be served.
    #[error("cannot show the profile")]
    Serve(#[from] confighttp::ListenError),
    /// Some checks have failed; their findings have been written.
    #[error("{failed} of {all} checks failed")]
    Checks {
        failed: usize,
        /// Number of checks.
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
