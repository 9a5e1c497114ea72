//! The text files of proc(5), and what they say of a process.
//!
//! [`ProcSource`] alone reads `/proc`, and [`open_file`] opens the files found through it; the others parse
//! bytes, any bytes, without panicking.

mod error;
mod open;
mod source;
mod stat;

pub use error::{ParseError, ProcError};
pub use open::{is_file, kernel_device, open_file};
pub use source::{ProcSource, Snapshot, now};
