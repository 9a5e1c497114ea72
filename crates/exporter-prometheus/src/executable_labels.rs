//! Whose CPU time it was: the labels of a series.

use pdata::{Image, ImageKind, Sample};

/// The executable a series is of, as its labels say it. Two that say the same are one series.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ExecutableLabels {
    /// `process_executable_path`; `None` for what has no file.
    pub path: Option<Box<str>>,
    /// `process_executable_name`: the last part of the path, `[NAME]` for a kernel thread, `NAME (unresolved)` for a
    /// thread whose process is not known.
    pub name: Box<str>,
}

impl ExecutableLabels {
    /// All that have no series of their own. No path, so that no executable is named so.
    pub(crate) fn other() -> Self {
        Self { path: None, name: "other".into() }
    }

    /// Who ran. A file that has been replaced or deleted since is still named by its path: an update of a program is no
    /// other program.
    pub(crate) fn of(sample: &Sample) -> Self {
        match sample.image.as_deref() {
            None => Self { path: None, name: sample.unresolved_name().into() },
            Some(Image { kind, .. }) => Self {
                path: match kind {
                    ImageKind::Kernel(_) => None,
                    ImageKind::User { executable, .. } => Some(executable.path.to_string_lossy().into()),
                },
                name: kind.name().into(),
            },
        }
    }
}
