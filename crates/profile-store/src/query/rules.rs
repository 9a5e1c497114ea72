//! Which frames are left out of a picture, and which are put together.

use crate::frame::{FrameFlags, FrameText};

/// Which frames a rule is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The kernel's.
    Kernel,
    /// Functions that the compiler has inlined.
    Inlines,
    /// Code of the program's libraries.
    Libraries,
    /// What languages add to every program: start-up, threads, scheduling, collection of garbage.
    Runtime,
    /// Frames whose name or module has this in it.
    Text(String),
}

/// Which frames are left out, and which are put together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Frames that are left out: their callees are their callers'.
    pub hide: Vec<Rule>,
    /// Frames that become one with their neighbours of the same module, by whose name they go.
    pub fold: Vec<Rule>,
    /// True to show modules rather than functions.
    pub by_module: bool,
}

/// Beginnings of names that belong to the run time of a language.
const RUNTIME: [&str; 22] = [
    "_start",
    "__libc_start",
    "start_thread",
    "clone3",
    "__clone",
    "thread_start",
    "runtime.",
    "std::rt::",
    "std::sys::",
    "std::thread::",
    "std::panicking::",
    "core::ops::function::",
    "__rust_",
    "tokio::runtime::",
    "_PyEval_",
    "PyEval_",
    "_PyFunction_",
    "Interpreter",
    "call_stub",
    "JavaCalls::",
    "Thread::call_run",
    "v8::internal::",
];

impl Rule {
    /// True if the rule is for this frame.
    #[must_use]
    pub fn is_for(&self, frame: &FrameText<'_>) -> bool {
        match self {
            Self::Kernel => frame.flags.has(FrameFlags::KERNEL),
            Self::Inlines => frame.flags.has(FrameFlags::INLINE),
            // What has no module is a mark, such as [truncated].
            Self::Libraries => {
                !frame.flags.has(FrameFlags::KERNEL)
                    && !frame.flags.has(FrameFlags::PROGRAM)
                    && !frame.module.is_empty()
            }
            Self::Runtime => RUNTIME.iter().any(|prefix| frame.name.starts_with(prefix)),
            Self::Text(text) => frame.name.contains(text.as_str()) || frame.module.contains(text.as_str()),
        }
    }
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Shown,
    Hidden,
    /// It goes by its module's name.
    Folded,
}

impl Rules {
    pub(crate) fn fate(&self, frame: &FrameText<'_>) -> Fate {
        if self.hide.iter().any(|rule| rule.is_for(frame)) {
            Fate::Hidden
        } else if self.by_module || self.fold.iter().any(|rule| rule.is_for(frame)) {
            Fate::Folded
        } else {
            Fate::Shown
        }
    }
}
