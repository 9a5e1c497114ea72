//! Frames as answers show them: names, places in source files, and marks.

use std::fmt::Write as _;

/// A frame's texts as a caller of the store passes them: a fact that is not known is empty or 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameText<'a> {
    /// The function's name; empty if nothing has named it.
    pub name: &'a str,
    /// The file or other memory that the function's code is in.
    pub module: &'a str,
    /// The module's build ID, in hex.
    pub build_id: &'a str,
    /// The function's source file.
    pub file: &'a str,
    /// The line of the source file at which the function starts.
    pub line: u32,
    /// The frame's address in its module. Only set for a frame without a name: a named frame is the same wherever its
    /// address is in the function.
    pub address: u64,
    /// Marks that say whose code the frame is.
    pub flags: FrameFlags,
}

impl FrameText<'_> {
    /// A frame at the root of a stack that stands for the outer frames that the stack lacks.
    pub const TRUNCATED: FrameText<'static> = FrameText {
        name: "[truncated]",
        module: "",
        build_id: "",
        file: "",
        line: 0,
        address: 0,
        flags: FrameFlags::NONE,
    };
}

/// A set of marks that say whose code a frame is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameFlags(pub u8);

impl FrameFlags {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// Kernel code.
    pub const KERNEL: Self = Self(1);
    /// A function that the compiler has inlined into the one below it.
    pub const INLINE: Self = Self(2);
    /// Code of the program itself rather than of a library.
    pub const PROGRAM: Self = Self(4);

    /// Both sets of marks.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if all marks of `other` are in this set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A frame as a generation holds it: its texts by their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct FrameRow {
    pub name: u32,
    pub module: u32,
    pub build_id: u32,
    pub file: u32,
    pub line: u32,
    pub flags: FrameFlags,
    pub address: u64,
}

/// The last part of a path.
pub(crate) fn base(path: &str) -> &str {
    path.trim_end_matches(" (deleted)").rsplit('/').next().unwrap_or(path)
}

/// The label of a frame: its function's name, or the module and the address in it.
pub(crate) fn label(name: &str, module: &str, address: u64) -> String {
    if !name.is_empty() {
        return name.to_owned();
    }
    let mut text = if module.is_empty() { "[unknown]".to_owned() } else { base(module).to_owned() };
    if address != 0 {
        // Writing to a string does not fail.
        let _written = write!(text, "+{address:#x}");
    }
    text
}
