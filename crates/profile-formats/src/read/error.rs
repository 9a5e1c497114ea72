//! Why bytes are no profile.

use std::io;

use thiserror::Error;

/// Why bytes cannot be read as a profile.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the names of the fields of a fault say all")]
pub enum ReadError {
    /// There are no bytes.
    #[error("the file is empty, expected a profile")]
    Empty,
    /// A format of JSON, none of which is read.
    #[error("the file is JSON, expected pprof or folded stacks")]
    Json,
    /// Damaged compression.
    #[error("cannot decompress the file, which begins as gzip does")]
    Gzip(#[source] io::Error),
    /// More than is read.
    #[error("the file holds more than {most} bytes once it is decompressed, expected fewer")]
    TooLarge { most: u64 },
    /// A line of folded stacks that is none.
    #[error(
        "line {line} is no folded stack, expected frames with ';' between them, a space and a whole number"
    )]
    Folded { line: usize },
    /// Not a message.
    #[error("the file is no pprof profile, expected a message of perftools.profiles")]
    Pprof(#[source] prost::DecodeError),
    /// A reference to nothing.
    #[error("sample {sample} of the pprof profile names {what} that does not exist: the file is damaged")]
    Dangling { sample: usize, what: &'static str },
}
