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
    /// JSON of another kind.
    #[error("the file is JSON without profiles of OTLP, expected OTLP, pprof or folded stacks")]
    OtherJson,
    /// Text that is no JSON, or JSON of which a part is of the wrong kind.
    #[error("cannot read the file as OTLP/JSON")]
    Json(#[from] serde_json::Error),
    /// Damaged compression.
    #[error("cannot decompress the file, which begins as {name} does")]
    Compression { name: &'static str, source: io::Error },
    /// A request that is none.
    #[error(
        "request {request} of the OTLP file has {fault}: it is damaged, or of another version of OTLP than 1.10"
    )]
    Otlp { request: usize, fault: &'static str },
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
    /// A part that is damaged, or of which there is more than is read.
    #[error("the file is no pprof profile that can be read: it has {fault}")]
    PprofPart { fault: &'static str },
    /// A reference to nothing.
    #[error("sample {sample} of the pprof profile names {what} that does not exist: the file is damaged")]
    Dangling { sample: usize, what: &'static str },
}
