//! What is written: pure functions of a request as it was decoded.

pub(crate) mod folded;
pub(crate) mod pprof;
mod resolve;
#[cfg(test)]
pub(crate) mod tests;

use std::io;

use otlp_profiles::{ProfilesRequest, json};
use pdata::UnixNanos;

use crate::config::{Compression, Config, Format};
use crate::frame::{compress, frame};

/// Start of the window that a request is of: the latest start of its profiles, which a late sample moves back.
///
/// # Errors
/// If the request is no message.
pub(crate) fn start(request: &ProfilesRequest) -> io::Result<UnixNanos> {
    let message = request.message()?;
    let starts = resolve::profiles(&message.resource_profiles).map(|(_, profile)| profile.time_unix_nano);
    Ok(UnixNanos::from_nanos(starts.max().unwrap_or_default()))
}

/// How the records of a file are encoded, and where one ends and the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Records {
    /// Lines of JSON.
    JsonLines,
    /// Lines of folded stacks; a record is all those of a window.
    Folded,
    /// Messages after their lengths.
    Frames(Message, Compression),
    /// A file each.
    Pprof,
}

/// The kind of content in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Json,
    Proto,
}

impl Records {
    pub(crate) fn of(config: &Config) -> Self {
        match (config.format, config.compression) {
            (Format::Json, Compression::None) => Self::JsonLines,
            (Format::Json, compression) => Self::Frames(Message::Json, compression),
            (Format::Proto, compression) => Self::Frames(Message::Proto, compression),
            (Format::Pprof, _) => Self::Pprof,
            (Format::Folded, _) => Self::Folded,
        }
    }

    /// Appends the record of a request.
    ///
    /// # Errors
    /// If the request is no message, or takes more than a record can.
    pub(crate) fn write(self, request: &ProfilesRequest, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::JsonLines => {
                json::write_request(&request.message()?, out);
                out.push(b'\n');
            }
            Self::Folded => folded::write(&request.message()?, out),
            Self::Frames(Message::Json, compression) => {
                let mut text = Vec::new();
                json::write_request(&request.message()?, &mut text);
                frame(&compress(&text, compression)?, out)?;
            }
            Self::Frames(Message::Proto, Compression::None) => frame(&request.bytes, out)?,
            Self::Frames(Message::Proto, compression) => frame(&compress(&request.bytes, compression)?, out)?,
            Self::Pprof => out.extend(crate::frame::gzip(&pprof::encode(&request.message()?))?),
        }
        Ok(())
    }
}
