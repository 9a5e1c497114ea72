//! What `/proc` says, for all who read it: bytes to facts, the files of processes, and the clocks they are stamped by.
//!
//! [`ProcSource`] reads what `/proc` shows of a process, and [`open_file`] opens the files found through it. The others
//! ([`text`], [`cgroup`], [`read_facts`] of ELF files) parse bytes, any bytes, without panicking.

pub mod cgroup;
pub mod clock;
mod elf;
mod error;
mod open;
mod source;
mod stat;
pub mod text;

pub use elf::read_facts;
pub use error::{ParseError, ProcError};
pub use open::{is_file, kernel_device, open_file};
pub use source::{ProcSource, Snapshot};
