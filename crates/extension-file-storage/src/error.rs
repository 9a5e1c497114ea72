//! Reasons why the storage cannot be used at all. Later failures are counted and survived.

use std::io;
use std::path::PathBuf;

/// The directory cannot be used; the text names it, and the remedy.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the name of a field in an error says all there is to say")]
pub enum OpenError {
    /// The configuration has faults that [`Config::validate`](crate::Config::validate) reports.
    #[error("{0}")]
    Config(configtypes::Fault),
    /// The directory does not exist.
    #[error("directory: {} does not exist: create it, or set create_directory: true", path.display())]
    Missing { path: PathBuf },
    /// The directory cannot be made.
    #[error("directory: cannot create {}: name one that this user may create", path.display())]
    Create {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Nothing can be written in the directory.
    #[error("directory: cannot write to {}: name a directory that this user may write to", path.display())]
    Unwritable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Another agent uses the directory.
    #[error("directory: {} is in use by another agent (process {holder}): give each agent a directory of its own", path.display())]
    InUse {
        path: PathBuf,
        /// Process ID of the other agent, as it has written it into the lock's file.
        holder: String,
    },
}
