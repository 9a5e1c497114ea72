//! Reading of profiles from files, ours or other tools': total functions of bytes, whose memory is bounded for any
//! bytes.

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

/// Reads a profile in any of the formats OTLP, pprof and folded stacks, be it compressed by gzip, zstd or not at all.
///
/// OTLP is one request or many: as lines of JSON, as one message of protobuf, or as messages with their lengths before
/// them, as a Collector's file exporter writes them.
///
/// # Errors
/// [`ReadError`] names the fault and its place.
pub fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    if bytes.is_empty() {
        return Err(ReadError::Empty);
    }
    let bytes = plain(bytes, MOST_BYTES)?;
    // OTLP and pprof have an empty string in a table, and so a zero byte, which no text has.
    let text = std::str::from_utf8(&bytes).ok().filter(|text| !text.contains('\0'));
    match (otlp::wrapping(&bytes), text) {
        (Some(wrapping @ otlp::Wrapping::Json), _) => otlp::read(&bytes, wrapping),
        (_, Some(text)) => folded::read(text),
        (Some(wrapping), None) => otlp::read(&bytes, wrapping),
        (None, None) => pprof::read(&bytes),
    }
}
