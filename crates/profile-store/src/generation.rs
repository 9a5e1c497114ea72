//! A stretch of time with all that its samples need: tables of texts, frames, stacks and threads of its own.
//!
//! Nothing in it points to another generation, so the oldest is dropped as a whole: no reference counts, no rebuilding,
//! no pause. What two generations have in common is held twice; what is gone from the samples goes with them.

use std::mem::size_of;

use pdata::ProcessKey;

use crate::frame::{FrameRow, FrameText};
use crate::records::{Record, Records, Weight};
use crate::table::{Table, Texts};
use crate::task::{ProcessRow, ProcessText, TaskRow, TaskText};
use crate::time::Tick;

/// The root of all stacks.
pub(crate) const ROOT: u32 = 0;

/// A frame below another: a stack is the number of its leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StackRow {
    /// Number of the caller's row, which is less than its own.
    pub parent: u32,
    pub frame: u32,
}

/// Records that were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LossRow {
    pub tick: Tick,
    /// Number of the reason's text.
    pub reason: u32,
    /// True if they were samples.
    pub is_sample: bool,
    pub count: u64,
}

/// A stretch of time with all that its samples need.
#[derive(Debug)]
pub struct Generation {
    pub(crate) texts: Texts,
    pub(crate) frames: Table<FrameRow>,
    pub(crate) stacks: Table<StackRow>,
    pub(crate) tasks: Table<TaskRow>,
    pub(crate) processes: Table<ProcessRow>,
    pub(crate) records: Records,
    pub(crate) losses: Vec<LossRow>,
}

impl Generation {
    pub(crate) fn new() -> Self {
        let mut stacks = Table::new();
        stacks.add(StackRow { parent: ROOT, frame: u32::MAX });
        Self {
            texts: Texts::new(),
            frames: Table::new(),
            stacks,
            tasks: Table::new(),
            processes: Table::new(),
            records: Records::new(),
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

    /// The number of the stack that `stack` is with one more frame.
    pub(crate) fn push(&mut self, stack: u32, frame: u32) -> u32 {
        self.stacks.add(StackRow { parent: stack, frame })
    }

    /// The number of a process that runs this now.
    pub(crate) fn process(&mut self, process: &ProcessText<'_>) -> u32 {
        let id = self.ancestor(process);
        let executable = self.texts.add(process.executable);
        self.processes.update(id, |row| row.executable = executable);
        id
    }

    /// The number of a process, which is known to run this unless its samples say what else.
    pub(crate) fn ancestor(&mut self, process: &ProcessText<'_>) -> u32 {
        let (key, executable) = (process.key, self.texts.add(process.executable));
        self.processes.intern(&key, || ProcessRow { key, executable, parent: None })
    }

    /// True if the parent of a process is known.
    pub(crate) fn has_parent(&self, process: u32) -> bool {
        self.processes.items().get(process as usize).is_some_and(|row| row.parent.is_some())
    }

    pub(crate) fn set_parent(&mut self, process: u32, parent: u32) {
        // A row's parent may be made after it; whoever walks up is bounded by the number of rows.
        self.processes.update(process, |row| row.parent = Some(parent));
    }

    /// The number of a thread of a process.
    pub(crate) fn task(&mut self, process: u32, task: &TaskText<'_>) -> u32 {
        let row = TaskRow {
            process,
            executable: self.texts.add(task.process.executable),
            tid: task.tid,
            thread: self.texts.add(task.thread),
            container: self.texts.add(task.container),
        };
        self.tasks.add(row)
    }

    pub(crate) fn record(&mut self, tick: Tick, cpu: u16, task: u32, stack: u32, weight: Weight) {
        let weight = self.records.weight_table.add(weight);
        self.records.push(Record { tick, task, stack, weight, cpu });
    }

    pub(crate) fn loss(&mut self, tick: Tick, reason: &str, is_sample: bool, count: u64) {
        let reason = self.texts.add(reason);
        // A machine in trouble reports the same loss again and again.
        if let Some(last) =
            self.losses.iter_mut().rev().take(32).find(|row| row.tick == tick && row.reason == reason)
        {
            last.count = last.count.saturating_add(count);
            return;
        }
        self.losses.push(LossRow { tick, reason, is_sample, count });
    }

    /// Gives back what only further samples would need.
    pub(crate) fn seal(&mut self) {
        self.texts.seal();
        self.frames.seal();
        self.stacks.seal();
        self.tasks.seal();
        self.processes.seal();
        self.records.seal();
        self.losses.shrink_to_fit();
    }

    /// Bytes that it has allocated.
    pub(crate) fn bytes(&self) -> usize {
        self.texts.bytes()
            + self.frames.bytes()
            + self.stacks.bytes()
            + self.tasks.bytes()
            + self.processes.bytes()
            + self.records.bytes()
            + self.losses.capacity() * size_of::<LossRow>()
            + size_of::<Self>()
    }

    /// True if nothing has come yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.len() == 0 && self.losses.is_empty()
    }

    /// Takes what `other` holds: the samples for which `keep` holds and their processes, and the losses of some steps.
    pub(crate) fn absorb(
        &mut self,
        other: &Self,
        keep: impl Fn(&Record) -> bool,
        losses: impl Fn(Tick) -> bool,
    ) {
        let frames: Vec<u32> =
            other.frames.items().iter().map(|row| self.frame(&other.frame_text(row))).collect();
        let mut stacks: Vec<Option<u32>> = vec![None; other.stacks.items().len()];
        let mut tasks: Vec<Option<u32>> = vec![None; other.tasks.items().len()];
        let processes = self.absorb_processes(other);
        for record in other.records.iter().filter(|record| losses(record.tick) && keep(record)) {
            let stack = self.absorb_stack(other, record.stack, &frames, &mut stacks);
            let task = tasks.get(record.task as usize).copied().flatten().unwrap_or_else(|| {
                let task = other.tasks.items().get(record.task as usize).map_or(0, |row| {
                    let process = processes.get(row.process as usize).copied().unwrap_or_default();
                    self.task(process, &other.task_text(row))
                });
                if let Some(slot) = tasks.get_mut(record.task as usize) {
                    *slot = Some(task);
                }
                task
            });
            let weight = other.weight(record.weight);
            self.record(record.tick, record.cpu, task, stack, weight);
        }
        for row in other.losses.iter().filter(|row| losses(row.tick)) {
            self.loss(row.tick, other.texts.get(row.reason), row.is_sample, row.count);
        }
    }

    fn absorb_processes(&mut self, other: &Self) -> Vec<u32> {
        let rows = other.processes.items();
        let text =
            |row: &ProcessRow| ProcessText { key: row.key, executable: other.texts.get(row.executable) };
        let ids: Vec<u32> = rows.iter().map(|row| self.process(&text(row))).collect();
        for (row, &id) in rows.iter().zip(&ids) {
            if let Some(&parent) = row.parent.and_then(|parent| ids.get(parent as usize)) {
                self.set_parent(id, parent);
            }
        }
        ids
    }

    fn absorb_stack(&mut self, other: &Self, leaf: u32, frames: &[u32], known: &mut [Option<u32>]) -> u32 {
        let mut path = Vec::new();
        let mut at = leaf;
        let mut stack = loop {
            if at == ROOT {
                break ROOT;
            }
            if let Some(stack) = known.get(at as usize).copied().flatten() {
                break stack;
            }
            path.push(at);
            at = other.stacks.items().get(at as usize).map_or(ROOT, |row| row.parent);
        };
        for at in path.into_iter().rev() {
            let frame = other.stacks.items().get(at as usize).and_then(|row| frames.get(row.frame as usize));
            stack = self.push(stack, frame.copied().unwrap_or_default());
            if let Some(slot) = known.get_mut(at as usize) {
                *slot = Some(stack);
            }
        }
        stack
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

    pub(crate) fn task_text(&self, row: &TaskRow) -> TaskText<'_> {
        let key =
            self.processes.items().get(row.process as usize).map_or_else(ProcessKey::default, |row| row.key);
        TaskText {
            process: ProcessText { key, executable: self.texts.get(row.executable) },
            tid: row.tid,
            thread: self.texts.get(row.thread),
            container: self.texts.get(row.container),
        }
    }

    pub(crate) fn weight(&self, id: u32) -> Weight {
        self.records.weight_table.items().get(id as usize).copied().unwrap_or_default()
    }
}
