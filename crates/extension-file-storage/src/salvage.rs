//! Finds whole records in a file whose structure is lost.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use memchr::memmem;

use crate::record::{HEADER, MAGIC, Record, announced};
use crate::store_error::StoreError;

/// Number of bytes that are searched at a time.
const STEP: usize = 1 << 20;
/// The most bytes of supposed records that are read in a salvage, as a multiple of the file's length: many headers may
/// announce large records that are none.
const PATIENCE: u64 = 4;

/// Hands every whole record in `file` to `found`, wherever it lies. A record that was removed may be among them, and a
/// record may come twice, if its old place has not been written over.
pub(crate) fn salvage(
    file: &File,
    mut found: impl FnMut(u64, Record) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let length = file.metadata().map_err(StoreError::Io)?.len();
    let mut patience = length.saturating_mul(PATIENCE);
    let mut at = 0;
    let mut chunk = Vec::new();
    while at < length {
        // Marks may lie across the end of a step.
        read(file, at, STEP + MAGIC.len() - 1, length, &mut chunk);
        let Some(mark) = memmem::find(&chunk, &MAGIC) else {
            at += STEP as u64;
            continue;
        };
        at += mark as u64;
        at += match record_at(file, at, length, &mut patience) {
            Some((key, record)) => {
                let size = HEADER + record.request.len();
                found(key, record)?;
                size as u64
            }
            None => MAGIC.len() as u64,
        };
    }
    Ok(())
}

fn record_at(file: &File, at: u64, length: u64, patience: &mut u64) -> Option<(u64, Record)> {
    let mut bytes = Vec::new();
    read(file, at, HEADER, length, &mut bytes);
    let request = announced(&bytes)?;
    let size = (HEADER + request) as u64;
    if at.saturating_add(size) > length || size > *patience {
        return None;
    }
    *patience -= size;
    read(file, at, HEADER + request, length, &mut bytes);
    Record::decode(&bytes)
}

/// Reads up to `count` bytes, fewer at the end of the file.
fn read(file: &File, at: u64, count: usize, length: u64, into: &mut Vec<u8>) {
    let left = usize::try_from(length.saturating_sub(at)).unwrap_or(usize::MAX);
    into.clear();
    into.resize(count.min(left), 0);
    if file.read_exact_at(into, at).is_err() {
        // The file has got shorter meanwhile, or a sector cannot be read: nothing to be found there.
        into.clear();
    }
}
