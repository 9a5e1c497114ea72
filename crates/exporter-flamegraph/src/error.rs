//! Errors for which the page cannot be served.

use std::path::PathBuf;

use confighttp::ListenError;
use thiserror::Error;

/// An error for which the page cannot be served.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the name of a field in an error says all there is to say")]
pub enum StartError {
    /// The endpoint cannot be listened on.
    #[error("endpoint: {0}")]
    Listen(#[from] ListenError),
    /// The file of the token cannot be read.
    #[error("token_file: cannot read {path}: {reason}")]
    Read { path: PathBuf, reason: String },
    /// The file of the token has nothing in its first line.
    #[error("token_file: the first line of {path} is empty, expected a token")]
    Empty { path: PathBuf },
}
