//! Reasons for which a file gives no names.

use std::io;

use elffile::ElfError;

/// The reason for which a file gives no names.
#[derive(Debug, thiserror::Error)]
pub enum SymbolError {
    /// The file is no ELF file.
    #[error("the file is no ELF file")]
    OtherFormat,
    /// The bytes contradict themselves.
    #[error("{part} is malformed")]
    Malformed {
        /// The part of the file that is wrong.
        part: &'static str,
    },
    /// The file has more than is read.
    #[error("{part} is too large")]
    TooLarge {
        /// The part of the file that is too large.
        part: &'static str,
    },
    /// The file could not be read.
    #[error("cannot read the file")]
    Read(#[from] io::Error),
}

impl From<ElfError> for SymbolError {
    fn from(error: ElfError) -> Self {
        match error {
            ElfError::OtherFormat => Self::OtherFormat,
            ElfError::Malformed { part } => Self::Malformed { part },
            ElfError::TooLarge { part } => Self::TooLarge { part },
            ElfError::Read(error) => Self::Read(error),
        }
    }
}
