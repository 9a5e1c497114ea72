//! The headers of an ELF file, of 32 or 64 bits and either byte order: segments, sections and notes.
//!
//! Any bytes are read or refused, without a panic, a read past the end of the file, or more memory than the caller
//! allows. The contents of a segment or a section are for the callers to read: unwind tables, symbols, facts of a file.

mod error;
mod header;
mod note;
pub mod read;
mod section;
mod segment;

pub use error::ElfError;
pub use header::Header;
pub use note::{Note, Notes};
pub use section::{Section, SectionNames, Sections};
pub use segment::Segment;

#[cfg(test)]
mod tests;
