//! Samples in the order in which they were added, with their processes and threads.

use std::borrow::Cow;
use std::mem::size_of;

use pdata::{BootTime, Pid, ProcessKey};

use crate::packed::{Reader, put, put_signed, put_step};
use crate::records::Record;
use crate::table::{Table, number};
use crate::task::{ProcessRow, TaskRow};
use crate::time::{Span, Tick};

/// Most samples of a block. The samples of the last block are not packed: at this number they take a small part of the
/// least memory that a user can configure.
pub(crate) const MOST_SAMPLES: usize = 32_768;

/// A block that still takes samples.
#[derive(Debug)]
pub(crate) struct OpenBlock {
    pub processes: Table<ProcessRow>,
    tasks: Table<TaskRow>,
    records: Vec<Record>,
    span: Span,
}

/// A full block, packed.
///
/// In a storm of processes that live for two samples each, a sample takes 7 bytes: two for its pattern, one for its
/// thread, three or four for half a process (only the instant of its start is unforeseeable), and a fraction of one for
/// its instant and CPU, which are held once for all samples of a CPU in a step.
#[derive(Debug)]
pub(crate) struct PackedBlock {
    processes: Box<[u8]>,
    process_count: usize,
    tasks: Box<[u8]>,
    task_count: usize,
    /// Three numbers for each run of samples of one CPU in one step: steps since the run before, CPU, samples.
    runs: Box<[u8]>,
    patterns: Box<[u8]>,
    /// Numbers of threads, as differences.
    who: Box<[u8]>,
    len: usize,
    span: Span,
}

const NO_TIME: Span = Span { from: Tick::MAX, until: 0 };

impl OpenBlock {
    pub(crate) fn new() -> Self {
        Self { processes: Table::new(), tasks: Table::new(), records: Vec::new(), span: NO_TIME }
    }

    /// Adds a sample of a thread of a process that the block knows.
    pub(crate) fn push(&mut self, tick: Tick, cpu: u16, task: TaskRow, pattern: u32) {
        let task = self.tasks.add(task);
        self.records.push(Record { tick, task, pattern, cpu });
        self.span = self.span.with(tick);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.records.len() >= MOST_SAMPLES
    }

    pub(crate) fn bytes(&self) -> usize {
        self.processes.bytes() + self.tasks.bytes() + self.records.capacity() * size_of::<Record>()
    }

    /// Packs the samples by time and CPU; samples of one step and CPU keep their order.
    pub(crate) fn pack(mut self) -> PackedBlock {
        self.records.sort_by_key(|record| (record.tick, record.cpu));
        let (mut runs, mut patterns, mut who) = (Vec::new(), Vec::new(), Vec::new());
        let (mut tick, mut task) = (0, 0);
        for run in self.records.chunk_by(|a, b| (a.tick, a.cpu) == (b.tick, b.cpu)) {
            let Some(first) = run.first() else { continue };
            put(&mut runs, u64::from(first.tick - tick));
            put(&mut runs, first.cpu.into());
            put(&mut runs, u64::from(number(run.len())));
            tick = first.tick;
            for record in run {
                put(&mut patterns, record.pattern.into());
                put_step(&mut who, task, record.task);
                task = record.task;
            }
        }
        PackedBlock {
            processes: pack_processes(self.processes.items()),
            process_count: self.processes.items().len(),
            tasks: pack_tasks(self.tasks.items(), self.processes.items()),
            task_count: self.tasks.items().len(),
            runs: runs.into(),
            patterns: patterns.into(),
            who: who.into(),
            len: self.records.len(),
            span: self.span,
        }
    }
}

impl PackedBlock {
    pub(crate) fn bytes(&self) -> usize {
        let columns = [&self.processes, &self.tasks, &self.runs, &self.patterns, &self.who];
        columns.iter().map(|column| column.len()).sum::<usize>() + size_of::<Self>()
    }

    fn each(&self, with_tasks: bool, mut each: impl FnMut(Record)) {
        let (mut runs, mut patterns, mut who) =
            (Reader(&self.runs), Reader(&self.patterns), Reader(&self.who));
        let mut record = Record::default();
        let mut left = self.len;
        while left > 0 {
            record.tick = record.tick.saturating_add(runs.small());
            record.cpu = u16::try_from(runs.number()).unwrap_or(u16::MAX);
            let samples = (runs.small() as usize).clamp(1, left);
            for _ in 0..samples {
                record.pattern = patterns.small();
                if with_tasks {
                    record.task = who.step(record.task);
                }
                each(record);
            }
            left -= samples;
        }
    }
}

/// A block, whether packed or open.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Block<'a> {
    Open(&'a OpenBlock),
    Packed(&'a PackedBlock),
}

impl<'a> Block<'a> {
    pub(crate) fn span(self) -> Span {
        match self {
            Self::Open(block) => block.span,
            Self::Packed(block) => block.span,
        }
    }

    /// Calls `each` for every sample. Without `with_tasks` a packed block leaves its threads packed, and each record's
    /// task is 0.
    #[inline]
    pub(crate) fn each(self, with_tasks: bool, each: impl FnMut(Record)) {
        match self {
            Self::Open(block) => block.records.iter().copied().for_each(each),
            Self::Packed(block) => block.each(with_tasks, each),
        }
    }

    pub(crate) fn processes(self) -> Cow<'a, [ProcessRow]> {
        match self {
            Self::Open(block) => Cow::Borrowed(block.processes.items()),
            Self::Packed(block) => Cow::Owned(unpack_processes(&block.processes, block.process_count)),
        }
    }

    pub(crate) fn tasks(self, processes: &[ProcessRow]) -> Cow<'a, [TaskRow]> {
        match self {
            Self::Open(block) => Cow::Borrowed(block.tasks.items()),
            Self::Packed(block) => Cow::Owned(unpack_tasks(&block.tasks, block.task_count, processes)),
        }
    }
}

/// Packs each process as its differences from the process before it.
fn pack_processes(rows: &[ProcessRow]) -> Box<[u8]> {
    let mut packed = Vec::new();
    let (mut pid, mut start, mut parent) = (0, 0_u64, None);
    for row in rows {
        let row_start = row.key.start_time.as_nanos();
        put_step(&mut packed, pid, row.key.pid.0);
        put_signed(&mut packed, row_start.wrapping_sub(start).cast_signed());
        put(&mut packed, row.executable.into());
        match row.parent {
            None => put(&mut packed, 0),
            same if same == parent => put(&mut packed, 1),
            Some(other) => put(&mut packed, u64::from(other) + 2),
        }
        (pid, start, parent) = (row.key.pid.0, row_start, row.parent.or(parent));
    }
    packed.into()
}

fn unpack_processes(packed: &[u8], count: usize) -> Vec<ProcessRow> {
    let mut reader = Reader(packed);
    let (mut pid, mut start, mut parent) = (0, 0_u64, None);
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        pid = reader.step(pid);
        start = start.wrapping_add(reader.signed().cast_unsigned());
        let executable = reader.small();
        let own = match reader.number() {
            0 => None,
            1 => parent,
            other => u32::try_from(other - 2).ok(),
        };
        parent = own.or(parent);
        let key = ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(start) };
        rows.push(ProcessRow { key, executable, parent: own });
    }
    rows
}

/// Packs threads. Most threads are the first one of the process after the thread before: those take one byte.
fn pack_tasks(rows: &[TaskRow], processes: &[ProcessRow]) -> Box<[u8]> {
    let (mut packed, mut next) = (Vec::new(), 0);
    for row in rows {
        let pid = pid_of(processes, row.process);
        let distance = i64::from(row.process) - i64::from(next);
        put(&mut packed, (distance << 1 ^ distance >> 63).cast_unsigned() << 1 | u64::from(row.tid != pid));
        if row.tid != pid {
            put_step(&mut packed, pid, row.tid);
        }
        next = row.process.wrapping_add(1);
    }
    packed.into()
}

fn unpack_tasks(packed: &[u8], count: usize, processes: &[ProcessRow]) -> Vec<TaskRow> {
    let (mut reader, mut next) = (Reader(packed), 0_u32);
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        let marked = reader.number();
        let distance = (marked >> 2).cast_signed() ^ -(marked >> 1 & 1).cast_signed();
        let process = u32::try_from(i64::from(next).saturating_add(distance)).unwrap_or_default();
        let pid = pid_of(processes, process);
        let tid = if marked & 1 == 0 { pid } else { reader.step(pid) };
        rows.push(TaskRow { process, tid });
        next = process.wrapping_add(1);
    }
    rows
}

fn pid_of(processes: &[ProcessRow], process: u32) -> u32 {
    processes.get(process as usize).map_or(0, |row| row.key.pid.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A process and its parent, the thread's number if it is another, the step, the CPU, and a pattern.
    type Plain = ((u32, u64, u32), Option<u32>, (u32, u16), u32);

    fn plain() -> impl Strategy<Value = Plain> {
        let process = (1u32..50, prop_oneof![0u64..3, any::<u64>()], 0u32..60);
        (process, prop::option::of(any::<u32>()), (0u32..2_000, 0u16..300), any::<u32>())
    }

    proptest! {
        /// A packed block has the samples, threads and processes that were added, those of one step and CPU in their
        /// order.
        #[test]
        fn packed_samples_are_the_same(samples in prop::collection::vec(plain(), 0..80)) {
            let mut block = OpenBlock::new();
            for &((pid, start, parent), tid, (tick, cpu), pattern) in &samples {
                let key = ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(start) };
                let process = block.processes.intern(&key, || ProcessRow { key, executable: pattern % 7, parent: None });
                block.processes.update(process, |row| row.parent = Some(parent).filter(|parent| *parent < 50));
                block.push(tick, cpu, TaskRow { process, tid: tid.unwrap_or(pid) }, pattern);
            }
            let all = |block: Block<'_>| {
                let processes = block.processes().into_owned();
                let tasks = block.tasks(&processes).into_owned();
                let mut records = Vec::new();
                block.each(true, |record| records.push(record));
                records.sort_by_key(|record| (record.tick, record.cpu));
                let parents: Vec<_> = processes.iter().map(|row| (row.key, row.executable, row.parent)).collect();
                (parents, tasks, records, block.span())
            };
            let before = all(Block::Open(&block));
            prop_assert_eq!(before.2.len(), samples.len());
            let packed = block.pack();
            prop_assert_eq!(all(Block::Packed(&packed)), before);
            let (mut without, mut with) = (0, 0);
            Block::Packed(&packed).each(false, |record| without += u64::from(record.pattern));
            Block::Packed(&packed).each(true, |record| with += u64::from(record.pattern));
            prop_assert_eq!(without, with);
        }
    }
}
