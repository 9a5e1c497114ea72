//! The quality of one program's stacks.

use pdata::{Code, Frame, Sample, StackEnd};

/// The ends of a stack that are counted: each column of a table, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The stack reaches the outermost frame.
    Whole,
    /// Frame pointers were followed for as long as they led somewhere: whether the stack is whole is not known.
    FramePointers,
    /// The stack was cut short, for a reason of this name.
    Cut(&'static str),
}

impl End {
    /// Every end, in the order of a table's columns.
    pub const ALL: [Self; 7] = [
        Self::Whole,
        Self::FramePointers,
        Self::Cut("depth_limit"),
        Self::Cut("no_unwind_info"),
        Self::Cut("bad_frame"),
        Self::Cut("unreadable"),
        Self::Cut("pending"),
    ];

    fn of(end: StackEnd) -> Self {
        match end {
            StackEnd::Root => Self::Whole,
            StackEnd::NotReported => Self::FramePointers,
            cut => cut.cut().map_or(Self::Whole, Self::Cut),
        }
    }
}

/// Counts of a program's user stacks and of their frames.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// Stacks by their end, in the order of [`End::ALL`].
    pub ends: [u64; End::ALL.len()],
    /// User frames.
    pub frames: u64,
    /// User frames that have the name of a function.
    pub named: u64,
}

impl Quality {
    /// Counts the user frames of a sample; a sample without any counts for nothing.
    pub(crate) fn add(&mut self, sample: &Sample) {
        let (mut frames, mut named) = (0, 0);
        for frame in sample.stack.frames.iter().filter(|frame| !frame.code.is_kernel()) {
            frames += 1;
            named += u64::from(is_named(frame));
        }
        if frames == 0 {
            return;
        }
        let end = End::of(sample.stack.end);
        for (count, _) in self.ends.iter_mut().zip(End::ALL).filter(|(_, of)| *of == end) {
            *count += 1;
        }
        self.frames += frames;
        self.named += named;
    }

    /// Adds the counts of another quality to these.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.ends.iter_mut().zip(other.ends).for_each(|(count, more)| *count += more);
        self.frames += other.frames;
        self.named += other.named;
    }

    /// The number of stacks.
    #[must_use]
    pub fn stacks(&self) -> u64 {
        self.ends.iter().sum()
    }

    /// The number of stacks with that end.
    #[must_use]
    pub fn ended(&self, end: End) -> u64 {
        self.ends.iter().zip(End::ALL).filter(|(_, of)| *of == end).map(|(count, _)| count).sum()
    }
}

fn is_named(frame: &Frame) -> bool {
    frame.lines.is_some() || matches!(frame.code, Code::Interpreted(..))
}
