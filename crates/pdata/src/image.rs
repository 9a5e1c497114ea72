//! What `processor-procinfo` knows of a sample's image.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use crate::{Comm, Executable, ImageKey, UnixNanos};

/// One program image of one process, with all that is known of it.
///
/// Shared by every sample of the image: two samples are of one image exactly if their
/// `Arc<Image>` point to the same place or their keys are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Which image of which process.
    pub key: ImageKey,
    /// Start of the process by the wall clock. It stays as it is while the clock drifts, and follows it when it is set.
    pub created: UnixNanos,
    /// The program that the image runs.
    pub kind: ImageKind,
}

/// What runs in a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageKind {
    /// A kernel thread, by its name.
    Kernel(Comm),
    /// A user-space program.
    User {
        /// Its file; shared with the images that forks inherited.
        executable: Arc<Executable>,
        /// The script, if the executable is the interpreter of one.
        script: Option<Arc<Script>>,
        /// The dynamic loader, if the program was started through it: what the kernel has as the executable.
        ///
        /// The same `Arc` as `executable` while the program has not been found.
        loader: Option<Arc<Executable>>,
    },
}

impl ImageKind {
    /// The image's name: the last part of the executable's path, or a kernel thread's name in brackets.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Kernel(comm) => Cow::Owned(comm.in_brackets()),
            Self::User { executable, .. } => {
                let path = &executable.path;
                path.file_name().unwrap_or(path.as_os_str()).to_string_lossy()
            }
        }
    }
}

/// A script that an executable interprets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Path of the script as passed to `execve`, not resolved.
    pub path: Box<Path>,
    /// Interpreter as the first line of the script names it, not resolved.
    pub interpreter: Box<Path>,
}
