//! Reasons why a part of `/proc` could not be read.

use std::io;

use foreignfile::Refusal;

/// The reason why a part of `/proc` could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ProcError {
    /// The process or file is not there any more: an outcome, not a fault.
    #[error("gone")]
    Gone,
    /// The process has ended: its pid is nobody's, or another's.
    #[error("the process has ended")]
    Ended,
    /// A line is not as proc(5) describes it.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// Any other error of reading.
    #[error("cannot read")]
    Read(#[source] io::Error),
}

impl From<io::Error> for ProcError {
    fn from(error: io::Error) -> Self {
        // ENOENT from open, ESRCH from read.
        let gone = [rustix::io::Errno::NOENT, rustix::io::Errno::SRCH];
        match error.raw_os_error() {
            Some(code) if gone.iter().any(|errno| errno.raw_os_error() == code) => Self::Gone,
            _ => Self::Read(error),
        }
    }
}

/// A line that is not as proc(5) describes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: cannot parse {text:?}")]
pub struct ParseError {
    /// The name of the file below `/proc/PID`.
    pub file: &'static str,
    /// The text that could not be parsed.
    pub text: String,
}

impl ParseError {
    pub(crate) fn new(file: &'static str, text: &[u8]) -> Self {
        Self { file, text: String::from_utf8_lossy(text).into_owned() }
    }
}

impl From<Refusal> for ProcError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Gone => Self::Gone,
            refusal => Self::Read(io::Error::other(refusal)),
        }
    }
}
