//! Parts of a file's debug information that are in other files.

use crate::ByteSource;

/// A part of a file's debug information that is in another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DebugPart<'a> {
    /// What several files share, as `dwz` makes it (`.gnu_debugaltlink`).
    Shared {
        /// Where the file is, absolute or relative to the file that names it.
        path: &'a str,
        /// Its build ID. A file with another is not read.
        build_id: &'a [u8],
    },
    /// All units of a program in one file beside it (`.dwp`). A unit is found in it by its number.
    Package,
    /// A unit of a program, as the compiler has left it (`.dwo`). A unit of another number is not read.
    Unit {
        /// The directory in which the compiler ran; empty if that is not known.
        directory: &'a str,
        /// Where the file is, absolute or relative to that directory.
        path: &'a str,
    },
}

/// Opens parts of a file's debug information.
///
/// Paths are those that the file names, which is whatever its maker has written there: whoever opens them decides which
/// are to be believed.
pub trait DebugParts {
    /// The bytes of a part; `None` if it is not there or not to be read.
    fn open(&mut self, part: DebugPart<'_>) -> Option<Box<dyn ByteSource>>;
}

/// No parts: debug information is in the file itself or nowhere.
impl DebugParts for () {
    fn open(&mut self, _part: DebugPart<'_>) -> Option<Box<dyn ByteSource>> {
        None
    }
}
