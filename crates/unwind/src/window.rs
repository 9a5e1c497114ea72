//! A part of a file that is held in memory, moved to where it is needed.

use crate::{ByteSource, UnwindError};

/// Bytes that are read at once after a jump, and the most that are read at once.
const FIRST_READ: u64 = 4 << 10;
const LARGEST_READ: u64 = 64 << 10;

/// Work that building one page may take, in bytes that are read or interpreted.
///
/// Entries may overlap in a malicious file, so that bounds on each of them bound nothing.
#[derive(Debug)]
pub(crate) struct Budget(u64);

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    pub(crate) fn spend(&mut self, bytes: u64) -> Result<(), UnwindError> {
        self.0 = self.0.checked_sub(bytes).ok_or(UnwindError::TooLarge { part: "the unwind table" })?;
        Ok(())
    }
}

/// The bytes of a file from `offset` on.
#[derive(Debug, Default)]
pub(crate) struct Window {
    offset: u64,
    bytes: Vec<u8>,
    next_read: u64,
}

impl Window {
    /// Returns `length` bytes at `offset`; `None` beyond the end of the file.
    pub(crate) fn at<S: ByteSource + ?Sized>(
        &mut self,
        source: &S,
        offset: u64,
        length: u64,
        budget: &mut Budget,
    ) -> Result<Option<&[u8]>, UnwindError> {
        let Some(end) = offset.checked_add(length).filter(|end| *end <= source.size()) else {
            return Ok(None);
        };
        let held_to = self.offset + self.bytes.len() as u64;
        if offset < self.offset || end > held_to {
            // Entries that follow each other are read in ever larger pieces, lone ones in small ones.
            let follows = offset >= self.offset && offset <= held_to && !self.bytes.is_empty();
            self.next_read = if follows { (self.next_read * 2).min(LARGEST_READ) } else { FIRST_READ };
            let count = length.max(self.next_read).min(source.size() - offset);
            budget.spend(count)?;
            self.bytes.resize(
                usize::try_from(count).map_err(|_wide| UnwindError::TooLarge { part: "an entry" })?,
                0,
            );
            self.offset = offset;
            if let Err(error) = source.read_exact_at(offset, &mut self.bytes) {
                self.bytes.clear();
                return Err(error.into());
            }
        }
        let from = usize::try_from(offset - self.offset).ok();
        let length = usize::try_from(length).ok();
        Ok(from.zip(length).and_then(|(from, length)| self.bytes.get(from..)?.get(..length)))
    }
}
