//! What `/proc` says, for all who read it: bytes to facts, the files of processes, and the clocks they are stamped by.
//!
//! [`ProcSource`] reads what `/proc` shows of a process, and has the files found through it opened. The others
//! ([`text`], [`cgroup`], [`read_facts`] of ELF files) parse bytes, any bytes, without panicking.

pub mod cgroup;
pub mod clock;
mod elf;
mod error;
mod identity;
mod open;
mod source;
mod stat;
pub mod text;
mod vdso;

pub use elf::read_facts;
pub use error::{ParseError, ProcError};
pub use identity::{identity_of, kernel_device};
pub use source::{Identify, ProcSource, Snapshot};
pub use vdso::own_vdso;
