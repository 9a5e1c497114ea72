//! Unwind rows: for every byte of a file's code, the rule that leads from a frame to its caller.
//!
//! Input are the tables that compilers write for exceptions (`.eh_frame`, else `.debug_frame`); output are rows of four
//! bytes, grouped by pages of 64 KiB **of file offset** so that they do not depend on where a process maps the file,
//! and a table of rules that all files share. `ebpf/unwind.bpf.h` walks stacks with them.
//!
//! Pages are built one by one when a stack first needs them, through the search table of `.eh_frame_hdr`; a file whose
//! search table is missing or wrong is read once as a whole. No function of this crate opens files or trusts their
//! bytes: every function is total, and bounded in time and memory.
//!
//! Of two functions that overlap, the one that begins later counts, as in the binary search of C++ runtimes.
//! Start reading at [`UnwindFile`].

mod cie;
mod cursor;
mod elf;
mod entry;
mod error;
mod expression;
mod file;
mod index;
mod interpret;
mod row;
mod rule;
mod state;
mod synthetic;
mod table;
#[cfg(test)]
mod tests;
mod walk;
mod window;

pub use bytesource::ByteSource;
pub use elf::{CodeSegment, Machine};
pub use error::UnwindError;
pub use file::UnwindFile;
pub use row::{PageRows, Row};
pub use rule::{Cfa, ReturnAddress, Rule, RuleId, SavedFp};
pub use table::RuleTable;
pub use walk::{REGISTERS, StackCopy, Walk, WalkEnd};
