//! The text files of proc(5), and what they say of a process.
//!
//! [`source`] alone reads `/proc`, and [`open`] opens the files found through it; the others parse
//! bytes, any bytes, without panicking.

pub(crate) mod open;
pub(crate) mod source;
pub(crate) mod stat;

/// What the kernel appends to a path that does not name the file any more.
pub(crate) const DELETED: &[u8] = b" (deleted)";

/// A line that is not as proc(5) says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: cannot parse {text:?}")]
pub(crate) struct ParseError {
    /// Which file of `/proc/PID`.
    pub(crate) file: &'static str,
    /// The text that could not be parsed.
    pub(crate) text: String,
}

impl ParseError {
    fn new(file: &'static str, text: &[u8]) -> Self {
        Self { file, text: String::from_utf8_lossy(text).into_owned() }
    }
}

/// A number in ASCII; `None` if it is none or too large.
fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
