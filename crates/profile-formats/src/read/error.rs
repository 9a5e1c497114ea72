//! Faults for which bytes cannot be read as a profile.

use std::io;

use thiserror::Error;

/// A fault for which bytes cannot be read as a profile.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the names of the fields of a fault say all")]
pub enum ReadError {
    /// An empty file.
    #[error("the file is empty, expected a profile")]
    Empty,
    /// JSON without OTLP profiles.
    #[error("the file is JSON without profiles of OTLP, expected OTLP, pprof or folded stacks")]
    OtherJson,
    /// Text that is no JSON, or JSON with a value of the wrong kind.
    #[error("cannot read the file as OTLP/JSON")]
    Json(#[from] serde_json::Error),
    /// Damaged compression.
    #[error("cannot decompress the file, which begins as {name} does")]
    Compression { name: &'static str, source: io::Error },
    /// A request that is damaged, or of another version.
    #[error(
        "request {request} of the OTLP file has {fault}: it is damaged, or of another version of OTLP than 1.10"
    )]
    Otlp { request: usize, fault: &'static str },
    /// A file with more bytes than are read.
    #[error("the file holds more than {most} bytes once it is decompressed, expected fewer")]
    TooLarge { most: u64 },
    /// A line that is no folded stack.
    #[error(
        "line {line} is no folded stack, expected frames with ';' between them, a space and a whole number"
    )]
    Folded { line: usize },
    /// A file that is no protobuf message.
    #[error("the file is no pprof profile, expected a message of perftools.profiles")]
    Pprof(#[source] prost::DecodeError),
    /// A part of a pprof profile that is damaged or too large.
    #[error("the file is no pprof profile that can be read: it has {fault}")]
    PprofPart { fault: &'static str },
    /// A reference of a sample to an entry that does not exist.
    #[error("sample {sample} of the pprof profile names {what} that does not exist: the file is damaged")]
    Dangling { sample: usize, what: &'static str },
}
