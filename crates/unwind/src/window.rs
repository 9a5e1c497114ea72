//! A part of a file that is held in memory, moved to where it is needed.

use crate::{ByteSource, UnwindError};

/// Bytes that are read at once after a jump, and the most that are read at once.
const FIRST_READ: u64 = 4 << 10;
pub(crate) const LARGEST_READ: u64 = 64 << 10;

/// Work that building one page may take, in bytes that are read or interpreted.
///
/// Entries may overlap in a malicious file, so that bounds on each entry bound nothing.
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
    /// True if bytes from `offset` on are held, or would be the next to read.
    fn leads_to(&self, offset: u64) -> bool {
        !self.bytes.is_empty() && (self.offset..=self.offset + self.bytes.len() as u64).contains(&offset)
    }

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
            self.next_read =
                if self.leads_to(offset) { (self.next_read * 2).min(LARGEST_READ) } else { FIRST_READ };
            let count = length.max(self.next_read).min(source.size() - offset);
            budget.spend(count)?;
            let count = usize::try_from(count).map_err(|_wide| UnwindError::TooLarge { part: "an entry" })?;
            self.bytes.clear();
            self.bytes.reserve_exact(count);
            self.bytes.resize(count, 0);
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

/// Windows at several places of a file. The table's entries of functions that follow each other may lie in several
/// parts of the file, as those of frequent and of rare code do: one window would be moved to and fro.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    /// The windows, the most recently used last.
    windows: [Window; Self::COUNT],
}

impl Windows {
    const COUNT: usize = 4;
    /// Bytes that the windows take at most, as long as no caller asks for more than [`LARGEST_READ`] at once.
    pub(crate) const MOST_BYTES: usize = Self::COUNT * (64 << 10);

    /// Bytes that the windows take.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.windows.iter().map(|window| window.bytes.capacity()).sum()
    }

    /// Returns `length` bytes at `offset`; `None` beyond the end of the file.
    pub(crate) fn at<S: ByteSource + ?Sized>(
        &mut self,
        source: &S,
        offset: u64,
        length: u64,
        budget: &mut Budget,
    ) -> Result<Option<&[u8]>, UnwindError> {
        // Otherwise the window that was used longest ago.
        let place = self.windows.iter().rposition(|window| window.leads_to(offset)).unwrap_or(0);
        if let Some(later) = self.windows.get_mut(place..) {
            later.rotate_left(1);
        }
        match self.windows.last_mut() {
            Some(window) => window.at(source, offset, length, budget),
            None => Ok(None),
        }
    }
}

const _: () = assert!(Windows::MOST_BYTES as u64 == Windows::COUNT as u64 * LARGEST_READ);

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io;

    use proptest::prelude::*;

    use super::*;

    /// Counts reads.
    struct Counted(Vec<u8>, Cell<usize>);

    impl ByteSource for Counted {
        fn size(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
            self.1.set(self.1.get() + 1);
            self.0[..].read_exact_at(offset, buffer)
        }
    }

    fn source(bytes: u32) -> Counted {
        Counted((0..bytes).map(|at| u8::try_from(at % 251).unwrap()).collect(), Cell::default())
    }

    #[test]
    fn two_parts_that_are_read_by_turns_are_read_once_each() {
        let (source, mut windows, mut budget) = (source(1 << 20), Windows::default(), Budget::new(1 << 20));
        for step in (0..64 << 10).step_by(64) {
            for part in [0, 512 << 10] {
                assert!(windows.at(&source, part + step, 64, &mut budget).unwrap().is_some());
            }
        }
        // 4 KiB, then twice as much each time, up to 64 KiB: five reads of each part.
        assert_eq!(source.1.get(), 2 * 5);
    }

    #[test]
    fn windows_take_no_more_than_they_are_counted_as() {
        let (source, mut windows, mut budget) = (source(1 << 20), Windows::default(), Budget::new(u64::MAX));
        for at in 0..4 {
            let offset = at * (200 << 10);
            for length in [10, 9 << 10, LARGEST_READ / 2 + 1, LARGEST_READ] {
                assert!(windows.at(&source, offset, length, &mut budget).unwrap().is_some());
            }
        }
        assert_eq!(windows.bytes(), Windows::MOST_BYTES);
    }

    proptest! {
        /// Bytes that are read, at any place and in any order, are those of the file.
        #[test]
        fn bytes_are_those_of_the_file(asked in proptest::collection::vec((0usize..300_000, 0usize..9_000), 0..60)) {
            let (source, mut windows, mut budget) = (source(256 << 10), Windows::default(), Budget::new(u64::MAX));
            for (offset, length) in asked {
                let found = windows.at(&source, offset as u64, length as u64, &mut budget).unwrap();
                prop_assert_eq!(found, source.0.get(offset..offset + length));
            }
        }
    }
}
