//! Code: what was mapped, its functions, and places in it.

use smallvec::SmallVec;

use crate::table::Id;

/// A mapped file, or the name of memory that is none.
///
/// Addresses are the file's own (`p_vaddr`), wherever processes have mapped it, so that processes share mappings and
/// locations; `address - start + file_offset` is a position in the file. A file that was never read has its offsets for
/// addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mapping {
    /// First address; 0, with `limit`, if the range is not known.
    pub start: u64,
    /// First address after the range.
    pub limit: u64,
    /// Where in the file `start` is.
    pub file_offset: u64,
    /// Path of the file, else a name such as `[kernel]`, `[vdso]` or `//anon`.
    pub name: Id<str>,
    /// GNU build ID in hex, else another text that identifies the file's content.
    pub build_id: Option<Id<str>>,
    /// True of a file, false of memory that only has a name.
    pub is_file: bool,
}

/// A function of a program's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Function {
    /// The name as people read it.
    pub name: Id<str>,
    /// The name as the linker has it, where it is another.
    pub system_name: Option<Id<str>>,
    /// The source file.
    pub file: Option<Id<str>>,
    /// The line at which the function starts, or 0 if it is not known.
    pub start_line: u32,
}

/// A line of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// The function that the line is part of.
    pub function: Id<Function>,
    /// The line of the function's file, or 0 if it is not known.
    pub line: u32,
    /// The column, from 1, or 0 if it is not known.
    pub column: u32,
}

/// The lines that a place in the code is at: the innermost first, a function that was inlined, then what it was inlined
/// into.
pub type Lines = SmallVec<[Line; 1]>;

/// A place in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// What is mapped there; `None` if that is not known.
    pub mapping: Option<Id<Mapping>>,
    /// The address, as the mapping's file has it; of a caller an address inside its call.
    pub address: u64,
    /// The lines; `None` if nothing has named the place.
    pub lines: Option<Id<Lines>>,
    /// The kind of code.
    pub kind: FrameKind,
}

/// The kind of code that a frame runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FrameKind {
    /// Machine code of a program.
    #[default]
    User,
    /// The kernel's code.
    Kernel,
    /// A function that an interpreter or a virtual machine runs.
    Interpreted,
}
