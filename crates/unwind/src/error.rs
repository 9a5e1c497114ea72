//! Reasons why a file or a page has no rows.

use std::io;

use elffile::ElfError;
use thiserror::Error;

/// The reason why a file cannot be unwound by its tables, or why one of its pages could not be built.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the name of a field in an error says all there is to say")]
pub enum UnwindError {
    /// The bytes could not be read.
    #[error("cannot read the file")]
    Read(#[from] io::Error),
    /// The file is no little-endian ELF64 file of a machine that this crate knows.
    #[error("the file is not a 64-bit little-endian ELF file for x86-64 or aarch64")]
    OtherFormat,
    /// A part of the file contradicts another one, or ends early.
    #[error("{part} is malformed")]
    Malformed { part: &'static str },
    /// The file needs more than a bound of this crate allows.
    #[error("{part} is larger than this agent reads")]
    TooLarge { part: &'static str },
}

impl From<ElfError> for UnwindError {
    fn from(error: ElfError) -> Self {
        match error {
            ElfError::OtherFormat => Self::OtherFormat,
            ElfError::Malformed { part } => Self::Malformed { part },
            ElfError::TooLarge { part } => Self::TooLarge { part },
            ElfError::Read(error) => Self::Read(error),
        }
    }
}
