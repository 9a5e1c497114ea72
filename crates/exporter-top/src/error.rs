//! Errors for which the exporter cannot start.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// An error for which the exporter cannot start.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub enum StartError {
    /// The socket cannot be made.
    #[error("endpoint: {0}")]
    Socket(#[from] SocketError),
    /// The group is not known.
    #[error("group: there is no group {0} in /etc/group")]
    Group(String),
}

/// An error for which a socket cannot be made.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub enum SocketError {
    #[error("cannot use the directory {directory}: {source}; make it, owned by root, or name another")]
    Directory { directory: PathBuf, source: io::Error },
    #[error(
        "others can write to {directory}, and could put their own socket there; name a directory of root's, such as \
         /run/pipeline"
    )]
    Writable { directory: PathBuf },
    #[error("{path} is there already, and is no socket")]
    NoSocket { path: PathBuf },
    #[error("another agent listens on {path}")]
    InUse { path: PathBuf },
    #[error("cannot make the socket {path}: {source}")]
    Make { path: PathBuf, source: io::Error },
}
