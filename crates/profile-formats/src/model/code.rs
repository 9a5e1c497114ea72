//! Code: mappings, functions, and places in them.

use smallvec::SmallVec;

use crate::table::Id;

/// A mapped file, or named memory without a file.
///
/// Addresses are the file's own (`p_vaddr`), wherever processes have mapped it, so that processes share mappings and
/// locations; `address - start + file_offset` is a position in the file. A file that was never read has offsets instead
/// of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mapping {
    /// First address; 0, with `limit`, if the range is not known.
    pub start: u64,
    /// First address after the range.
    pub limit: u64,
    /// Offset in the file of the byte at `start`.
    pub file_offset: u64,
    /// Path of the file; for memory a name such as `[kernel]`, `[vdso]` or `//anon`.
    pub name: Id<str>,
    /// GNU build ID in hex, or another text that identifies the file's content.
    pub build_id: Option<Id<str>>,
    /// True for a file, false for memory that only has a name.
    pub is_file: bool,
}

/// A function of a program's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Function {
    /// The function's name as people read it.
    pub name: Id<str>,
    /// The function's name as the linker has it, if it differs.
    pub system_name: Option<Id<str>>,
    /// The function's source file.
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

/// The lines of a place in the code, innermost first: an inlined function comes before the function that it was inlined
/// into.
pub type Lines = SmallVec<[Line; 1]>;

/// A place in the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// The mapping that the place is in; `None` if that is not known.
    pub mapping: Option<Id<Mapping>>,
    /// The address of the place in its mapping's file; for a caller an address inside its call.
    pub address: u64,
    /// The lines of the place; `None` if no symbol was found for it.
    pub lines: Option<Id<Lines>>,
    /// The kind of code at the place.
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
