//! Places of files: paths and links of `/proc`.

use std::path::Path;

/// The agent's own directory in `/proc`.
pub(crate) const OWN: &str = "/proc/self";

/// The place of a file.
#[derive(Clone, Copy, Debug)]
pub enum FilePlace<'a> {
    /// A link of `/proc` that leads to the file itself, whatever its name, such as `/proc/PID/map_files/RANGE`.
    Link {
        /// The link itself.
        link: &'a Path,
        /// The process's directory in `/proc`.
        process: &'a Path,
        /// Device of the file that is expected there, major and minor, if that is known.
        device: Option<(u32, u32)>,
    },
    /// A path without links, as a process sees it.
    Seen {
        /// The process's or the thread's directory in `/proc`.
        process: &'a Path,
        /// The path.
        path: &'a Path,
    },
    /// A path as the agent sees it.
    Own {
        /// The path.
        path: &'a Path,
        /// True if links are followed; false if somebody else chose the path.
        follows_links: bool,
    },
}
