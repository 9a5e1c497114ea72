//! Reasons for which a file is not read.

use std::io;

/// The reason for which the headers of a file are not read.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// The file is no ELF file.
    #[error("the file is no ELF file")]
    OtherFormat,
    /// The bytes contradict themselves, or end early.
    #[error("{part} is malformed")]
    Malformed {
        /// The part of the file that is wrong.
        part: &'static str,
    },
    /// The file has more than the caller reads.
    #[error("{part} is too large")]
    TooLarge {
        /// The part of the file that is too large.
        part: &'static str,
    },
    /// The file could not be read.
    #[error("cannot read the file")]
    Read(#[from] io::Error),
}
