//! The bound on the memory that tables take.

use super::window::{Effort, PART};
use crate::SymbolError;

/// Bytes that may still be taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room(pub(super) usize);

impl Room {
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), TableError> {
        self.0 = self.0.checked_sub(bytes).ok_or(TableError::Full)?;
        Ok(())
    }

    /// Gives back bytes that were taken.
    pub(super) fn give_back(&mut self, bytes: usize) {
        self.0 = self.0.saturating_add(bytes);
    }
}

/// The reason for which tables are not read.
#[derive(Debug)]
pub(super) enum TableError {
    Dwarf(gimli::Error),
    /// The tables would take more room than they may.
    Full,
    /// Another file that has a part of them is not as it should be.
    Other(SymbolError),
}

impl From<SymbolError> for TableError {
    fn from(error: SymbolError) -> Self {
        Self::Other(error)
    }
}

impl From<gimli::Error> for TableError {
    fn from(error: gimli::Error) -> Self {
        Self::Dwarf(error)
    }
}

impl TableError {
    pub(super) fn reason(self, effort: &Effort) -> SymbolError {
        match self {
            Self::Dwarf(error) => effort.reason(error),
            Self::Full => SymbolError::TooLarge { part: PART },
            Self::Other(error) => error,
        }
    }
}
