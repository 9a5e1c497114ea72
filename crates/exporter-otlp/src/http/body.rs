//! A request as it goes out.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::Compression as Level;
use flate2::write::{GzEncoder, ZlibEncoder};
use otlp_profiles::{ProfilesRequest, json};

use crate::config::{Encoding, HttpCompression};

/// zstd's usual level, as the Collector has it.
const ZSTD_LEVEL: i32 = 3;

pub(super) const PROTOBUF: &str = "application/x-protobuf";
pub(super) const JSON: &str = "application/json";

/// Encoding and compression of a request's body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body {
    pub(super) encoding: Encoding,
    pub(super) compression: HttpCompression,
}

impl Body {
    pub(super) const fn content_type(self) -> &'static str {
        match self.encoding {
            Encoding::Proto => PROTOBUF,
            Encoding::Json => JSON,
        }
    }

    pub(super) const fn content_encoding(self) -> Option<&'static str> {
        match self.compression {
            HttpCompression::Gzip => Some("gzip"),
            HttpCompression::Zstd => Some("zstd"),
            HttpCompression::Zlib => Some("zlib"),
            HttpCompression::Deflate => Some("deflate"),
            HttpCompression::None => None,
        }
    }

    /// The bytes to send. Takes CPU time.
    ///
    /// # Errors
    /// If the bytes are no request, which is found only by encodings that read them.
    pub(super) fn write(self, request: &ProfilesRequest) -> Result<Bytes, String> {
        let plain = match self.encoding {
            Encoding::Proto => request.bytes.clone(),
            Encoding::Json => {
                let message = request.message().map_err(|error| error.to_string())?;
                let mut text = Vec::new();
                json::write_request(&message, &mut text);
                text.into()
            }
        };
        self.compress(plain).map_err(|error| error.to_string())
    }

    fn compress(self, plain: Bytes) -> io::Result<Bytes> {
        let packed = match self.compression {
            HttpCompression::None => return Ok(plain),
            HttpCompression::Zstd => zstd::bulk::compress(&plain, ZSTD_LEVEL)?,
            HttpCompression::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Level::default());
                encoder.write_all(&plain)?;
                encoder.finish()?
            }
            // HTTP's name for zlib is deflate; the Collector knows both.
            HttpCompression::Zlib | HttpCompression::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Level::default());
                encoder.write_all(&plain)?;
                encoder.finish()?
            }
        };
        Ok(packed.into())
    }
}
