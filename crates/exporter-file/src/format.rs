//! The content of a window's record, and how records are encoded.

use std::io;

use otlp_profiles::{ProfilesRequest, json};
use pdata::UnixNanos;
use profile_formats::{Profile, Quantity, folded, pprof};

use crate::config::{Compression, Config, Format};
use crate::frame::{compress, frame};

/// The content of a record: a window, or part of a large one.
#[derive(Debug)]
pub(crate) enum Content {
    /// An export request.
    Request(ProfilesRequest),
    /// A profile for the formats that know no OTLP, and the start of its window, which a late sample does not move.
    Profile(Box<Profile>, UnixNanos),
}

impl Content {
    /// Samples in the content, as the kernel took them.
    pub(crate) fn samples(&self) -> u64 {
        match self {
            Self::Request(request) => request.samples,
            Self::Profile(profile, _) => profile.samples.captured(),
        }
    }

    /// Start of the window: of a request the latest start of its profiles, which a late sample moves back.
    ///
    /// # Errors
    /// If the request is no message.
    pub(crate) fn start(&self) -> io::Result<UnixNanos> {
        let request = match self {
            Self::Profile(_, start) => return Ok(*start),
            Self::Request(request) => request.message()?,
        };
        let scopes = request.resource_profiles.iter().flat_map(|resource| &resource.scope_profiles);
        let starts = scopes.flat_map(|scope| &scope.profiles).map(|profile| profile.time_unix_nano);
        Ok(UnixNanos::from_nanos(starts.max().unwrap_or_default()))
    }
}

/// The encoding of a file's records, and the marks between one and the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Records {
    /// Lines of JSON, a request on each.
    JsonLines,
    /// Lines of folded stacks; the lines of a window are one record.
    Folded,
    /// Messages after their lengths.
    Frames(Message, Compression),
    /// Files of pprof, a record in each.
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

    /// Appends the record of a window.
    ///
    /// # Errors
    /// If a request is no message, or takes more than a record can; if this format is made of another kind of content.
    pub(crate) fn write(self, content: &Content, out: &mut Vec<u8>) -> io::Result<()> {
        match (self, content) {
            (Self::JsonLines, Content::Request(request)) => {
                json::write_request(&request.message()?, out);
                out.push(b'\n');
            }
            (Self::Frames(Message::Json, compression), Content::Request(request)) => {
                let mut text = Vec::new();
                json::write_request(&request.message()?, &mut text);
                frame(&compress(&text, compression)?, out)?;
            }
            (Self::Frames(Message::Proto, Compression::None), Content::Request(request)) => {
                frame(&request.bytes, out)?;
            }
            (Self::Frames(Message::Proto, compression), Content::Request(request)) => {
                frame(&compress(&request.bytes, compression)?, out)?;
            }
            (Self::Folded, Content::Profile(profile, _)) => folded::write(profile, Quantity::Captures, out),
            (Self::Pprof, Content::Profile(profile, _)) => pprof::write(profile, out)?,
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        }
        Ok(())
    }
}
