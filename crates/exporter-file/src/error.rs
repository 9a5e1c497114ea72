//! Errors of opening the file. Later, records that cannot be written are counted, and the next window tries again.

use std::io;
use std::path::PathBuf;

/// The file cannot be written at all.
#[derive(Debug, thiserror::Error)]
#[error("path: cannot open {} for writing: {fix}", path.display())]
pub struct OpenError {
    /// The file that could not be opened.
    pub path: PathBuf,
    /// Advice to the user.
    fix: &'static str,
    #[source]
    source: io::Error,
}

impl OpenError {
    pub(crate) fn new(path: PathBuf, source: io::Error) -> Self {
        let fix = match source.kind() {
            io::ErrorKind::NotFound => {
                "create its directory, set create_directory: true, or name a file in one that exists"
            }
            io::ErrorKind::PermissionDenied => "name a file that this user may write",
            io::ErrorKind::IsADirectory => "it is a directory, name a file in it",
            io::ErrorKind::InvalidData => "it holds something of another format, name another file",
            _ => "name a file that can be written",
        };
        Self { path, fix, source }
    }
}
