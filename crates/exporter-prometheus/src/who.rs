//! Whose CPU time it was: the labels of a series.

use pdata::{Image, ImageKind, Sample};

/// The executable a series is of, as its labels say it. Two that say the same are one series.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Who {
    /// `process_executable_path`; `None` for what has no file.
    pub path: Option<Box<str>>,
    /// `process_executable_name`: the last part of the path, `[NAME]` for a kernel thread, `NAME (unresolved)` for a thread
    /// whose process is not known.
    pub name: Box<str>,
}

impl Who {
    /// All that have no series of their own. No path, so that no executable is named so.
    pub(crate) fn other() -> Self {
        Self { path: None, name: "other".into() }
    }

    /// Who ran. A file that has been replaced or deleted since is still named by its path: an update of a program is no
    /// other program.
    pub(crate) fn of(sample: &Sample) -> Self {
        let unnamed = |name: String| Self { path: None, name: name.into() };
        match sample.image.as_deref() {
            None => unnamed(sample.unresolved_name()),
            Some(Image { kind: ImageKind::Kernel(comm), .. }) => unnamed(format!("[{comm}]")),
            Some(Image { kind: ImageKind::User { executable, .. }, .. }) => {
                let path = executable.path.to_string_lossy();
                let name = executable.path.file_name().unwrap_or(executable.path.as_os_str());
                Self { name: name.to_string_lossy().into(), path: Some(path.into()) }
            }
        }
    }
}
