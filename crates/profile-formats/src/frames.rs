//! Frames of samples for formats that number them: root first, with the task as the root for formats without tasks.

use crate::folded::{TRUNCATED, task_name};
use crate::model::{FrameKind, Profile, SampleKey};

/// A frame's name, source line and kind, by which formats distinguish frames.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PlainFrame {
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) kind: FrameKind,
}

impl PlainFrame {
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), file: String::new(), line: 0, kind: FrameKind::User }
    }
}

/// The frames of a sample, root first: its task, a mark in the place of missing outer frames, then its stack.
pub(crate) fn root_first(profile: &Profile, key: &SampleKey) -> Vec<PlainFrame> {
    let stack = profile.tables.stack_frames(key.stack).map(|frame| PlainFrame {
        name: frame.name.into_owned(),
        file: frame.file.to_owned(),
        line: frame.line,
        kind: frame.kind,
    });
    let mut frames: Vec<_> = stack.collect();
    if key.cut.is_some() {
        frames.push(PlainFrame::named(TRUNCATED));
    }
    frames.push(PlainFrame::named(task_name(profile, key)));
    frames.reverse();
    frames
}
