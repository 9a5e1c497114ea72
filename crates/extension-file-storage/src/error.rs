//! Why the storage cannot be used at all. What goes wrong later is counted and survived.

use std::io;
use std::path::PathBuf;

/// The directory cannot be used: names it, and what to do.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the name of a field in an error says all there is to say")]
pub enum OpenError {
    /// The configuration has faults that [`Config::validate`](crate::Config::validate) reports.
    #[error("{0}")]
    Config(configtypes::Fault),
    /// There is none.
    #[error("directory: {} does not exist: create it, or set create_directory: true", path.display())]
    Missing { path: PathBuf },
    /// It cannot be made.
    #[error("directory: cannot create {}: name one that this user may create", path.display())]
    Create {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Nothing can be written there.
    #[error("directory: cannot write to {}: name a directory that this user may write to", path.display())]
    Unwritable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Another agent uses it.
    #[error("directory: {} is in use by another agent (process {holder}): give each agent a directory of its own", path.display())]
    InUse {
        path: PathBuf,
        /// What the other agent says its process ID is.
        holder: String,
    },
}
