//! Messages in a file that has no lines: each is preceded by its length, as in the Collector's file exporter.

use std::io::{self, Write as _};

use flate2::write::GzEncoder;

use crate::config::Compression;

/// Bytes of a length: an unsigned integer, big-endian.
pub(crate) const PREFIX: usize = 4;
/// The longest message that is read back, in bytes: dozens of times the longest that is written, and less than the
/// length that the first bytes of a gzip file, of an ELF file or of text would make.
pub(crate) const MAX_FRAME: u32 = 256 << 20;

/// Appends a message with its length.
pub(crate) fn frame(message: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let length = u32::try_from(message.len()).ok().filter(|&length| length <= MAX_FRAME);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, "message is too long"))?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(message);
    Ok(())
}

/// A message compressed by itself: a whole gzip member or zstd frame.
pub(crate) fn compress(message: &[u8], compression: Compression) -> io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(message.to_vec()),
        Compression::Gzip => gzip(message),
        Compression::Zstd => zstd::bulk::compress(message, zstd::DEFAULT_COMPRESSION_LEVEL),
    }
}

/// `bytes` as a gzip member.
fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Any message survives compression.
        #[test]
        fn a_message_survives_compression(message in prop::collection::vec(any::<u8>(), 0..2000)) {
            let gzip = compress(&message, Compression::Gzip).unwrap();
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(gzip.as_slice()).read_to_end(&mut plain).unwrap();
            prop_assert_eq!(&plain, &message);
            let zstd = compress(&message, Compression::Zstd).unwrap();
            prop_assert_eq!(&zstd::stream::decode_all(zstd.as_slice()).unwrap(), &message);
            prop_assert_eq!(compress(&message, Compression::None).unwrap(), message);
        }
    }

    #[test]
    fn a_frame_is_its_length_and_the_message() {
        let mut out = vec![9];
        frame(b"abc", &mut out).unwrap();
        assert_eq!(out, b"\x09\x00\x00\x00\x03abc");
    }
}
