//! Why the storage cannot be used at all. What goes wrong later is counted and survived.

use std::io;
use std::path::PathBuf;

/// The directory cannot be used: names it, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The configuration has faults that [`Config::validate`](crate::Config::validate) reports.
    #[error("{0}")]
    Config(configtypes::Fault),
    /// There is none.
    #[error("directory: {} does not exist: create it, or set create_directory: true", path.display())]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// It cannot be made.
    #[error("directory: cannot create {}: name one that this user may create", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        #[source]
        /// Why.
        source: io::Error,
    },
    /// Nothing can be written there.
    #[error("directory: cannot write to {}: name a directory that this user may write to", path.display())]
    Unwritable {
        /// The directory.
        path: PathBuf,
        #[source]
        /// Why.
        source: io::Error,
    },
    /// Another agent uses it.
    #[error("directory: {} is in use by another agent (process {holder}): give each agent a directory of its own", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// What the other agent says its process ID is.
        holder: String,
    },
}
