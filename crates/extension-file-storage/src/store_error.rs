//! Reasons why a file cannot be used.

use std::io;

use thiserror::Error;

/// A failure of the file.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    /// The operating system refused: the disk is full, perhaps.
    #[error("{0}")]
    Io(#[source] io::Error),
    /// The file's content makes no sense.
    #[error("the file is corrupt: {0}")]
    Corrupt(String),
}

/// Distinguishes a corrupt file from a disk that cannot be written to.
fn sort_out(error: redb::Error) -> StoreError {
    match error {
        redb::Error::Io(error)
            if !matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData) =>
        {
            StoreError::Io(error)
        }
        // After a failure, redb reports only that there was one.
        redb::Error::PreviousIo => StoreError::Io(io::Error::other("the file could not be written before")),
        error => StoreError::Corrupt(error.to_string()),
    }
}

/// Converts the database's errors: each of its calls has an error type of its own.
macro_rules! from_database_errors {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for StoreError {
            fn from(error: redb::$error) -> Self {
                sort_out(error.into())
            }
        })*
    };
}

from_database_errors!(CommitError, DatabaseError, StorageError, TableError, TransactionError);
