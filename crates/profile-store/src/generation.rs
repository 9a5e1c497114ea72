//! A stretch of time and everything that its samples refer to: tables of texts, frames, stacks and patterns of its own.
//!
//! Nothing in a generation points to another one, so the oldest is dropped as a whole: no reference counts, no
//! rebuilding, no pause. Values that two generations have in common are held twice; a dropped generation takes its
//! values with it.

use std::mem::size_of;

use crate::block::{Block, OpenBlock, PackedBlock};
use crate::frame::{FrameFlags, FrameRow, FrameText};
use crate::patterns::{Leaf, OriginRow, PatternRow, Patterns};
use crate::records::Weight;
use crate::stacks::Stacks;
use crate::table::{Table, Texts};
use crate::task::{ProcessRow, ProcessText, TaskRow, TaskText};
use crate::time::{Span, Tick};

/// Records that were lost in one step for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LossRow {
    pub tick: Tick,
    /// Number of the reason's text.
    pub reason: u32,
    /// True if the lost records were samples.
    pub is_sample: bool,
    pub count: u64,
}

/// A stretch of time and everything that its samples refer to.
#[derive(Debug)]
pub struct Generation {
    pub(crate) texts: Texts,
    pub(crate) frames: Table<FrameRow>,
    pub(crate) stacks: Stacks,
    pub(crate) origins: Table<OriginRow>,
    pub(crate) weights: Table<Weight>,
    pub(crate) patterns: Patterns,
    packed: Vec<PackedBlock>,
    packed_bytes: usize,
    open: OpenBlock,
    /// Steps from the first sample to the last.
    pub(crate) span: Span,
    /// Number of samples; a sample that stands for several counts as that many.
    pub(crate) samples: u64,
    pub(crate) losses: Vec<LossRow>,
}

impl Generation {
    pub(crate) fn new() -> Self {
        Self {
            texts: Texts::new(),
            frames: Table::new(),
            stacks: Stacks::new(),
            origins: Table::new(),
            weights: Table::new(),
            patterns: Patterns::new(),
            packed: Vec::new(),
            packed_bytes: 0,
            open: OpenBlock::new(),
            span: Span { from: Tick::MAX, until: 0 },
            samples: 0,
            losses: Vec::new(),
        }
    }

    /// The number of a frame.
    pub(crate) fn frame(&mut self, frame: &FrameText<'_>) -> u32 {
        let row = FrameRow {
            name: self.texts.add(frame.name),
            module: self.texts.add(frame.module),
            build_id: self.texts.add(frame.build_id),
            file: self.texts.add(frame.file),
            line: frame.line,
            flags: frame.flags,
            address: frame.address,
        };
        self.frames.add(row)
    }

    /// The number of the stack that is `stack` and one more frame, its new leaf.
    pub(crate) fn push(&mut self, stack: u32, frame: u32) -> u32 {
        self.stacks.push(stack, frame)
    }

    /// The number of a process in the open block, which the next sample goes to. The process's row gets this
    /// executable.
    pub(crate) fn process(&mut self, process: &ProcessText<'_>) -> u32 {
        let id = self.ancestor(process);
        let executable = self.texts.add(process.executable);
        self.open.processes.update(id, |row| row.executable = executable);
        id
    }

    /// The number of a process in the open block, as [`process`](Self::process) returns it. A process that is in the
    /// block already keeps its executable.
    pub(crate) fn ancestor(&mut self, process: &ProcessText<'_>) -> u32 {
        let (key, executable) = (process.key, self.texts.add(process.executable));
        self.open.processes.intern(&key, || ProcessRow { key, executable, parent: None })
    }

    /// True if the parent of a process is known.
    pub(crate) fn has_parent(&self, process: u32) -> bool {
        self.open.processes.items().get(process as usize).is_some_and(|row| row.parent.is_some())
    }

    pub(crate) fn set_parent(&mut self, process: u32, parent: u32) {
        // A parent's row may come after its child's, so walks up the ancestors are bounded by a number of rows.
        self.open.processes.update(process, |row| row.parent = Some(parent));
    }

    /// Adds a sample of a process whose number is known.
    pub(crate) fn record(
        &mut self,
        tick: Tick,
        cpu: u16,
        (process, task): (u32, &TaskText<'_>),
        stack: u32,
        weight: Weight,
    ) {
        let origin = OriginRow {
            executable: self.texts.add(task.process.executable),
            thread: self.texts.add(task.thread),
            container: self.texts.add(task.container),
        };
        let (origin, weight_id) = (self.origins.add(origin), self.weights.add(weight));
        let leaf = self.stacks.leaf(stack).and_then(|frame| self.frames.items().get(frame as usize));
        let leaf = leaf.map_or_else(Leaf::default, |frame| Leaf {
            is_named: frame.name != 0,
            is_kernel: frame.flags.has(FrameFlags::KERNEL),
        });
        let pattern = self.patterns.count(PatternRow { origin, stack, weight: weight_id, leaf });
        self.open.push(tick, cpu, TaskRow { process, tid: task.tid }, pattern);
        self.span = self.span.with(tick);
        self.samples = self.samples.saturating_add(weight.samples);
        if self.open.is_full() {
            self.pack();
        }
    }

    /// Packs the open block, and begins another.
    fn pack(&mut self) {
        let block = std::mem::replace(&mut self.open, OpenBlock::new()).pack();
        self.packed_bytes += block.bytes();
        self.packed.push(block);
    }

    pub(crate) fn loss(&mut self, tick: Tick, reason: &str, is_sample: bool, count: u64) {
        let reason = self.texts.add(reason);
        // A machine in trouble reports the same loss again and again, so one row adds up equal ones.
        if let Some(last) =
            self.losses.iter_mut().rev().take(32).find(|row| row.tick == tick && row.reason == reason)
        {
            last.count = last.count.saturating_add(count);
            return;
        }
        self.losses.push(LossRow { tick, reason, is_sample, count });
    }

    /// Packs all that the generation holds; no sample may come afterwards.
    pub(crate) fn seal(&mut self) {
        if !self.open.is_empty() {
            self.pack();
        }
        self.open = OpenBlock::new();
        self.texts.seal();
        self.frames.seal();
        self.stacks.seal();
        self.origins.seal();
        self.weights.seal();
        self.patterns.seal();
        self.packed.shrink_to_fit();
        self.losses.shrink_to_fit();
    }

    /// Bytes that the generation has allocated.
    pub(crate) fn bytes(&self) -> usize {
        self.texts.bytes()
            + self.frames.bytes()
            + self.stacks.bytes()
            + self.origins.bytes()
            + self.weights.bytes()
            + self.patterns.bytes()
            + self.packed_bytes
            + self.open.bytes()
            + self.losses.capacity() * size_of::<LossRow>()
            + size_of::<Self>()
    }

    /// True if the generation has neither samples nor losses.
    pub(crate) fn is_empty(&self) -> bool {
        self.span.is_empty() && self.losses.is_empty()
    }

    /// The generation's samples in blocks, oldest block first.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Block<'_>> {
        self.packed.iter().map(Block::Packed).chain([Block::Open(&self.open)])
    }

    pub(crate) fn frame_text(&self, row: &FrameRow) -> FrameText<'_> {
        FrameText {
            name: self.texts.get(row.name),
            module: self.texts.get(row.module),
            build_id: self.texts.get(row.build_id),
            file: self.texts.get(row.file),
            line: row.line,
            address: row.address,
            flags: row.flags,
        }
    }

    pub(crate) fn task_text(&self, process: &ProcessRow, tid: u32, origin: &OriginRow) -> TaskText<'_> {
        TaskText {
            process: ProcessText { key: process.key, executable: self.texts.get(origin.executable) },
            tid,
            thread: self.texts.get(origin.thread),
            container: self.texts.get(origin.container),
        }
    }
}
