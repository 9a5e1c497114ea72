//! Profiles from files, ours or of other tools: total functions of bytes, bounded whatever the bytes are.

mod error;
mod folded;
mod full;
mod otlp;
mod plain;
mod pprof;
#[cfg(test)]
mod tests;

pub use error::ReadError;

use crate::model::Profile;
use plain::{MOST_BYTES, plain};

/// Reads a profile in whichever format it is: OTLP, pprof or folded stacks, compressed by gzip or zstd or not.
///
/// OTLP is one request or many: as lines of JSON, as one message of protobuf, or as messages with their lengths before
/// them, as a Collector's file exporter writes them.
///
/// # Errors
/// [`ReadError`] says what is wrong, and where.
pub fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    if bytes.is_empty() {
        return Err(ReadError::Empty);
    }
    let bytes = plain(bytes, MOST_BYTES)?;
    // Both kinds of protobuf have an empty string in a table, so a byte that no text has.
    let text = std::str::from_utf8(&bytes).ok().filter(|text| !text.contains('\0'));
    match (otlp::wrapping(&bytes), text) {
        (Some(wrapping @ otlp::Wrapping::Json), _) => otlp::read(&bytes, wrapping),
        (_, Some(text)) => folded::read(text),
        (Some(wrapping), None) => otlp::read(&bytes, wrapping),
        (None, None) => pprof::read(&bytes),
    }
}
