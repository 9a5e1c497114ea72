//! Reads from a source, none larger than what the source has.

use bytesource::ByteSource;
use object::pod::{self, Pod};

use crate::ElfError;

/// Bytes that are read at once of a table that may be long.
const CHUNK: u64 = 64 << 10;

/// The `length` bytes at `offset`.
///
/// # Errors
/// [`ElfError::Malformed`] with the name of the `part` if the source ends before them; errors of reading.
pub fn bytes<S: ByteSource + ?Sized>(
    source: &S,
    offset: u64,
    length: u64,
    part: &'static str,
) -> Result<Vec<u8>, ElfError> {
    if offset.checked_add(length).is_none_or(|end| end > source.size()) {
        return Err(ElfError::Malformed { part });
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(|_wide| ElfError::TooLarge { part })?];
    source.read_exact_at(offset, &mut bytes)?;
    Ok(bytes)
}

/// Calls `each` with the entries of the table that takes `size` bytes from `offset` on, piece by piece. Of a table that
/// reaches beyond the end of the source, `each` is called with the entries that are whole.
///
/// # Errors
/// Errors of `each`; errors of reading.
pub fn entries<T: Pod, S: ByteSource + ?Sized, E: From<ElfError>>(
    source: &S,
    offset: u64,
    size: u64,
    part: &'static str,
    mut each: impl FnMut(&T) -> Result<(), E>,
) -> Result<(), E> {
    let entry = size_of::<T>().max(1) as u64;
    let size = size.min(source.size().saturating_sub(offset));
    let (mut at, end) = (offset, offset.saturating_add(size - size % entry));
    let piece = CHUNK - CHUNK % entry;
    while at < end {
        let length = piece.min(end - at);
        let read = bytes(source, at, length, part)?;
        let (entries, _none) = pod::slice_from_bytes(&read, read.len() / size_of::<T>().max(1))
            .map_err(|()| ElfError::Malformed { part })?;
        entries.iter().try_for_each(&mut each)?;
        at += length;
    }
    Ok(())
}
