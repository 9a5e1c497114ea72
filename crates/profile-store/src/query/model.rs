//! The samples of a query as plain tables, for a page that works without a server.

use serde::Serialize;

use crate::block::Block;
use crate::frame::FrameRow;
use crate::generation::LossRow;
use crate::patterns::OriginRow;
use crate::query::filter::{Filter, Groups, NOT_ASKED};
use crate::query::scan::{Members, Scan};
use crate::query::{Grouping, Query};
use crate::records::{Kind, Record, Weight};
use crate::stacks::{ROOT, StackRow, Stacks};
use crate::store::Store;
use crate::table::{Table, Texts};
use crate::task::ProcessRow;

/// The samples of a query as plain tables, in columns. A number in a column is a position in another table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Model {
    /// Unix time of the first step, in milliseconds.
    pub epoch: u64,
    /// The span, in steps.
    pub from: u32,
    /// See `from`.
    pub until: u32,
    /// The unit of values.
    pub unit: String,
    /// Texts: the first is empty.
    pub texts: Vec<String>,
    /// Frames: name, module, build ID, file, line, address as hex (or empty), marks.
    pub frames: Vec<(u32, u32, u32, u32, u32, String, u8)>,
    /// Stacks: the parent, which comes before, and the frame. The first is the root.
    pub stacks: Vec<(u32, u32)>,
    /// Processes: pid, start, executable, parent's position plus one or 0, whether it is gone (1), not (0) or unknown
    /// (2).
    pub processes: Vec<(u32, String, u32, u32, u8)>,
    /// Threads: process, executable, tid, name, container.
    pub tasks: Vec<(u32, u32, u32, u32, u32)>,
    /// Weights: 0 on a CPU or 1 off, whether the stack is truncated, samples, value.
    pub weights: Vec<(u8, u8, u64, u64)>,
    /// Samples, in columns: steps since the sample before, thread, stack, weight, CPU.
    pub ticks: Vec<i64>,
    /// See `ticks`.
    pub sample_tasks: Vec<u32>,
    /// See `ticks`.
    pub sample_stacks: Vec<u32>,
    /// See `ticks`.
    pub sample_weights: Vec<u32>,
    /// See `ticks`.
    pub sample_cpus: Vec<u16>,
    /// Losses: step, reason, whether they were samples, number of records.
    pub losses: Vec<(u32, u32, u8, u64)>,
}

/// The samples of a query of either kind; the query's baseline, grouping and rules do not apply.
#[must_use]
pub fn model(store: &Store, query: &Query) -> Model {
    whole(store, query, usize::MAX).into_model(store, query)
}

/// The same as [`model`]; `None` if the text takes more than about `most_bytes`.
#[must_use]
pub fn model_within(store: &Store, query: &Query, most_bytes: usize) -> Option<Model> {
    let whole = whole(store, query, most_bytes);
    (whole.bytes() <= most_bytes).then(|| whole.into_model(store, query))
}

fn whole(store: &Store, query: &Query, most_bytes: usize) -> Whole {
    let of = |kind: Kind| {
        let filter = Filter { kind, ..query.filter.clone() };
        Query { baseline: None, grouping: Grouping::None, filter, ..query.clone() }
    };
    let [on_cpu, off_cpu] = [Kind::OnCpu, Kind::OffCpu].map(of);
    let mut whole = Whole::new(query.span.from);
    for generation in store.generations() {
        let scan = Scan::of(generation, &on_cpu, &mut Groups::default());
        let other = Scan::of(generation, &off_cpu, &mut Groups::default());
        if let Some((mut scan, other)) = scan.zip(other) {
            let groups = scan.groups.iter_mut().zip(other.groups);
            groups.filter(|(group, _)| **group == NOT_ASKED).for_each(|(group, other)| *group = other);
            whole.absorb(&scan, most_bytes);
        }
        for row in generation.losses.iter().filter(|row| query.span.contains(row.tick)) {
            let reason = whole.texts.add(generation.texts.get(row.reason));
            whole.losses.push(LossRow { reason, ..*row });
        }
    }
    whole
}

/// Bytes that a sample, a thread and a process take as tables and as text, about.
const PER_SAMPLE: usize = 48;
const PER_TASK: usize = 80;
const PER_PROCESS: usize = 200;

/// A thread: process, executable, tid, name, container.
type Task = (u32, u32, u32, u32, u32);

/// The rows of all generations, in tables with one numbering.
struct Whole {
    texts: Texts,
    frames: Table<FrameRow>,
    stacks: Stacks,
    processes: Table<ProcessRow>,
    tasks: Table<Task>,
    weights: Table<Weight>,
    losses: Vec<LossRow>,
    /// The columns of samples; the other tables of this model stay empty.
    model: Model,
    /// Step of the last sample.
    last: i64,
}

impl Whole {
    fn new(from: u32) -> Self {
        Self {
            texts: Texts::new(),
            frames: Table::new(),
            stacks: Stacks::new(),
            processes: Table::new(),
            tasks: Table::new(),
            weights: Table::new(),
            losses: Vec::new(),
            model: Model::default(),
            last: from.into(),
        }
    }

    /// Bytes that the tables and their text take, about.
    fn bytes(&self) -> usize {
        self.model.ticks.len() * PER_SAMPLE
            + self.tasks.items().len() * PER_TASK
            + self.processes.items().len() * PER_PROCESS
            + self.texts.bytes()
            + self.frames.bytes()
            + self.stacks.bytes()
    }

    /// Adds the samples of a scan and the processes of its blocks. Tables that are larger than `most_bytes` grow no
    /// further.
    fn absorb(&mut self, scan: &Scan<'_>, most_bytes: usize) {
        let rows = scan.generation.stacks.rows();
        let mut known = vec![None; rows.len()];
        if let Some(root) = known.first_mut() {
            *root = Some(ROOT);
        }
        // Stack and weight of each pattern that a sample has used.
        let mut patterns: Vec<Option<(u32, u32)>> = vec![None; scan.patterns.len()];
        for block in scan.blocks() {
            if self.bytes() > most_bytes {
                return;
            }
            let (members, processes) = self.absorb_processes(scan, block);
            scan.each(block, true, |_, record| {
                let Some(row) = scan.patterns.get(record.pattern as usize) else { return };
                let met = patterns.get(record.pattern as usize).copied().flatten();
                let (stack, weight) = met.unwrap_or_else(|| {
                    let stack = self.absorb_stack(scan, &rows, row.stack, &mut known);
                    (stack, self.weights.add(scan.weight(record.pattern)))
                });
                if let Some(slot) = patterns.get_mut(record.pattern as usize) {
                    *slot = Some((stack, weight));
                }
                let origin = scan.generation.origins.items().get(row.origin as usize);
                let Some(task) =
                    origin.and_then(|origin| self.task(scan, origin, &members, &processes, record))
                else {
                    return;
                };
                let tick = i64::from(record.tick);
                self.model.ticks.push(tick - self.last);
                self.last = tick;
                self.model.sample_tasks.push(task);
                self.model.sample_stacks.push(stack);
                self.model.sample_weights.push(weight);
                self.model.sample_cpus.push(record.cpu);
            });
        }
    }

    fn task(
        &mut self,
        scan: &Scan<'_>,
        origin: &OriginRow,
        members: &Members<'_>,
        processes: &[u32],
        record: Record,
    ) -> Option<u32> {
        let row = members.tasks.get(record.task as usize)?;
        let process = processes.get(row.process as usize)?;
        let mut text = |id: u32| self.texts.add(scan.generation.texts.get(id));
        let task = (*process, text(origin.executable), row.tid, text(origin.thread), text(origin.container));
        Some(self.tasks.add(task))
    }

    fn absorb_processes<'a>(&mut self, scan: &Scan<'_>, block: Block<'a>) -> (Members<'a>, Vec<u32>) {
        let members = Members::of(block);
        let rows = members.processes.iter();
        let ids: Vec<u32> = rows
            .map(|row| {
                let executable = self.texts.add(scan.generation.texts.get(row.executable));
                let new = ProcessRow { executable, parent: None, ..*row };
                let id = self.processes.intern(&row.key, || new);
                self.processes.update(id, |row| row.executable = executable);
                id
            })
            .collect();
        for (row, &id) in members.processes.iter().zip(&ids) {
            if let Some(&parent) = row.parent.and_then(|parent| ids.get(parent as usize)) {
                self.processes.update(id, |row| row.parent = Some(parent));
            }
        }
        (members, ids)
    }

    fn absorb_stack(
        &mut self,
        scan: &Scan<'_>,
        rows: &[StackRow],
        leaf: u32,
        known: &mut [Option<u32>],
    ) -> u32 {
        let (mut path, mut at) = (Vec::new(), leaf);
        let mut stack = loop {
            if let Some(stack) = known.get(at as usize).copied().unwrap_or(Some(ROOT)) {
                break stack;
            }
            path.push(at);
            at = rows.get(at as usize).map_or(ROOT, |row| row.parent);
        };
        for at in path.into_iter().rev() {
            let frames = scan.generation.frames.items();
            if let Some(row) = rows.get(at as usize).and_then(|row| frames.get(row.frame as usize)) {
                let frame = self.frame(scan, row);
                stack = self.stacks.push(stack, frame);
            }
            if let Some(slot) = known.get_mut(at as usize) {
                *slot = Some(stack);
            }
        }
        stack
    }

    fn frame(&mut self, scan: &Scan<'_>, row: &FrameRow) -> u32 {
        let mut text = |id: u32| self.texts.add(scan.generation.texts.get(id));
        let frame = FrameRow {
            name: text(row.name),
            module: text(row.module),
            build_id: text(row.build_id),
            file: text(row.file),
            ..*row
        };
        self.frames.add(frame)
    }

    fn into_model(self, store: &Store, query: &Query) -> Model {
        let texts = (0..crate::table::number(self.texts.len())).map(|id| self.texts.get(id).to_owned());
        let stacks = self.stacks.rows();
        // The root has no frame; it gets 0, since numbers of frames begin at 0.
        let stacks = stacks.iter().map(|row| (row.parent, if row.frame == u32::MAX { 0 } else { row.frame }));
        let weights = self.weights.items().iter().map(|weight| {
            let is_off = u8::from(weight.kind == Kind::OffCpu);
            (is_off, u8::from(weight.truncated), weight.samples, weight.value)
        });
        let losses = self.losses.iter();
        Model {
            epoch: store.epoch() / 1_000_000,
            from: query.span.from,
            until: query.span.until,
            unit: store.unit().to_owned(),
            texts: texts.collect(),
            frames: self.frames.items().iter().map(frame_tuple).collect(),
            stacks: stacks.collect(),
            processes: self.processes.items().iter().map(|row| process_tuple(store, row)).collect(),
            tasks: self.tasks.items().to_vec(),
            weights: weights.collect(),
            losses: losses.map(|row| (row.tick, row.reason, u8::from(row.is_sample), row.count)).collect(),
            ..self.model
        }
    }
}

fn frame_tuple(row: &FrameRow) -> (u32, u32, u32, u32, u32, String, u8) {
    let address = if row.address == 0 { String::new() } else { format!("{:x}", row.address) };
    (row.name, row.module, row.build_id, row.file, row.line, address, row.flags.0)
}

fn process_tuple(store: &Store, row: &ProcessRow) -> (u32, String, u32, u32, u8) {
    let start = row.key.start_time.as_nanos().to_string();
    let parent = row.parent.map_or(0, |parent| parent + 1);
    (row.key.pid.0, start, row.executable, parent, store.is_gone(row.key).map_or(2, u8::from))
}
