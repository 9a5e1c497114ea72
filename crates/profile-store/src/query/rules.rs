//! Rules by which frames of an answer are hidden or folded.

use crate::frame::{FrameFlags, FrameText};

/// A test of frames.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Frames of the kernel.
    Kernel,
    /// Frames of functions that the compiler has inlined.
    Inlines,
    /// Frames of the program's libraries.
    Libraries,
    /// Frames that languages add to every program: start-up, threads, scheduling, collection of garbage.
    Runtime,
    /// Frames whose name or module contains this text.
    Text(String),
}

/// The frames that an answer hides and those that it folds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Frames that are hidden: their callees count as their callers'.
    pub hide: Vec<Rule>,
    /// Frames that are folded: neighbours of the same module become one frame with the module's name.
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
            // A frame without a module is a mark, such as [truncated].
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

/// The treatment of a frame under the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Shown,
    Hidden,
    /// The frame is shown under its module's name.
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
