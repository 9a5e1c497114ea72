//! Parts of a file's debug information that are in other files.

use std::io;

use crate::ByteSource;

/// A part of a file's debug information that is in another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DebugPart<'a> {
    /// Debug information that several files share, as `dwz` makes it (`.gnu_debugaltlink`, or `.debug_sup` of DWARF 5).
    Shared {
        /// The path of the shared file, absolute or relative to the file that names it.
        path: &'a str,
        /// The build ID of the shared file; `None` if it is known by a checksum that both files have. A file with
        /// another number is not read.
        build_id: Option<&'a [u8]>,
    },
    /// The file beside a program that has all of its units (`.dwp`). A unit is found in it by its number.
    Package,
    /// A unit of a program, as the compiler has left it (`.dwo`). A unit of another number is not read.
    Unit {
        /// The directory in which the compiler ran; empty if that is not known.
        directory: &'a str,
        /// The path of the unit's file, absolute or relative to that directory.
        path: &'a str,
    },
}

/// Opens parts of a file's debug information.
///
/// Paths are those that the file names, which is whatever its maker has written there: whoever opens them decides which
/// are to be believed.
pub trait DebugParts {
    /// The bytes of a part; `None` if it is not there or not to be read.
    ///
    /// # Errors
    /// The reason why the part cannot be had now, though it may be later.
    fn open(&mut self, part: DebugPart<'_>) -> io::Result<Option<Box<dyn ByteSource>>>;

    /// True once there is no time left: no unit is read any more then. It is asked before each unit.
    fn is_late(&self) -> bool {
        false
    }
}

/// No parts: debug information is in the file itself or nowhere.
impl DebugParts for () {
    fn open(&mut self, _part: DebugPart<'_>) -> io::Result<Option<Box<dyn ByteSource>>> {
        Ok(None)
    }
}
