//! Decompression of files.

use std::borrow::Cow;
use std::io::Read;

use super::error::ReadError;

/// Most bytes of a file once it is decompressed.
pub(super) const MOST_BYTES: u64 = 512 << 20;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// The bytes, decompressed if they are of gzip or zstd; `most` bytes at most.
///
/// # Errors
/// [`ReadError`] for damaged compression, or if there are more than `most` bytes.
pub(super) fn plain(bytes: &[u8], most: u64) -> Result<Cow<'_, [u8]>, ReadError> {
    if bytes.starts_with(GZIP) {
        let decoder = flate2::read::MultiGzDecoder::new(bytes);
        return all(decoder, most, "gzip").map(Cow::Owned);
    }
    if bytes.starts_with(ZSTD) {
        let decoder = zstd::stream::read::Decoder::with_buffer(bytes);
        let decoder = decoder.map_err(|source| ReadError::Compression { name: "zstd", source })?;
        return all(decoder, most, "zstd").map(Cow::Owned);
    }
    Ok(Cow::Borrowed(bytes))
}

fn all(decoder: impl Read, most: u64, name: &'static str) -> Result<Vec<u8>, ReadError> {
    let mut plain = Vec::new();
    let read = decoder.take(most.saturating_add(1)).read_to_end(&mut plain);
    read.map_err(|source| ReadError::Compression { name, source })?;
    if plain.len() as u64 > most {
        return Err(ReadError::TooLarge { most: MOST_BYTES });
    }
    Ok(plain)
}
