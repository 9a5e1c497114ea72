//! Images: the programs that processes run, with all that `processor-procinfo` knows of them.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use crate::{Attributes, Comm, Context, ContextKey, Executable, ImageKey, ProcessKey, UnixNanos};

/// One program image of one process, with all that is known of it.
///
/// Shared by the samples of the image: two samples are of one image exactly if their `Arc<Image>` point to the same
/// place or their keys are equal. Later knowledge comes with another `Arc<Image>` of the same key and context, which
/// says more than those before it. A process may change its context (its control group, its user) without a new image;
/// facts that belong to both the image and its context are attributed by [`Image::identity`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The process, and the number of the image in it.
    pub key: ImageKey,
    /// Start of the process by the wall clock. It changes only if that clock is set.
    pub created: UnixNanos,
    /// The program that the image runs.
    pub kind: ImageKind,
    /// The process that forked this one, the process that forked that one, and so on, as far as they are known: at most
    /// [`Image::MAX_PARENTS`]. The parents stay the same when one ends and another process adopts its children.
    pub parents: Arc<[Parent]>,
    /// The context of the samples that refer to this description; `None` before the first.
    pub context: Option<Context>,
    /// All other facts that are known of the image.
    pub attributes: Attributes,
}

impl Image {
    /// The most parents that are held of an image.
    pub const MAX_PARENTS: usize = 8;

    /// An image of which only its key, its start and its program are known.
    #[must_use]
    pub fn new(key: ImageKey, created: UnixNanos, kind: ImageKind) -> Self {
        Self { key, created, kind, parents: Arc::default(), context: None, attributes: Attributes::default() }
    }

    /// Identity under which the image is shown: the image, in one context.
    #[must_use]
    pub fn identity(&self) -> (ImageKey, ContextKey) {
        (self.key, self.context.as_ref().map(Context::key).unwrap_or_default())
    }

    /// The service of all kernel threads: they share one so that hundreds of short-lived workers are not as many.
    pub const KERNEL_SERVICE: &str = "[kernel]";

    /// The service that the image is part of; if none has been named, the program that it runs.
    #[must_use]
    pub fn service(&self) -> Cow<'_, str> {
        match (self.attributes.text(crate::names::SERVICE_NAME), &self.kind) {
            (Some(service), _) => Cow::Borrowed(service),
            (None, ImageKind::Kernel(_)) => Cow::Borrowed(Self::KERNEL_SERVICE),
            (None, kind) => kind.name(),
        }
    }

    /// The process that forked this one, if that is known.
    #[must_use]
    pub fn parent(&self) -> Option<&Parent> {
        self.parents.first()
    }
}

/// A process that forked another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The process, exact even if its pid is used again.
    pub process: ProcessKey,
    /// Start of the process, as of [`Image::created`].
    pub created: UnixNanos,
    /// The program that the process ran when it forked; `None` if that is not known.
    pub kind: Option<ImageKind>,
}

/// The program that runs in a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageKind {
    /// A kernel thread, by its name.
    Kernel(Comm),
    /// A user-space program.
    User {
        /// The program's file; shared with the images that forks inherited.
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
