//! Profiles from files, ours or of other tools: total functions of bytes, bounded whatever the bytes are.

mod error;
mod folded;
mod full;
mod pprof;
#[cfg(test)]
mod tests;

use std::io::Read as _;

pub use error::ReadError;

use crate::model::Profile;

/// The most bytes that a file may hold once it is decompressed.
const MOST_BYTES: u64 = 512 << 20;

/// Reads a profile in whichever format it is: pprof, gzip'd or not, or folded stacks.
///
/// # Errors
/// [`ReadError`] says what is wrong, and where.
pub fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    if bytes.is_empty() {
        return Err(ReadError::Empty);
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return pprof::read(&gunzip(bytes)?);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if text.trim_start().starts_with('{') => Err(ReadError::Json),
        Ok(text) if !text.contains('\0') => folded::read(text),
        _ => pprof::read(bytes),
    }
}

fn gunzip(bytes: &[u8]) -> Result<Vec<u8>, ReadError> {
    let mut plain = Vec::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(bytes).take(MOST_BYTES + 1);
    decoder.read_to_end(&mut plain).map_err(ReadError::Gzip)?;
    if plain.len() as u64 > MOST_BYTES {
        return Err(ReadError::TooLarge { most: MOST_BYTES });
    }
    Ok(plain)
}
