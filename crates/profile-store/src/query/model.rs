//! All that is asked for as plain tables: what a page works on that has no server.

use serde::Serialize;

use crate::generation::Generation;
use crate::query::Query;
use crate::query::filter::{Allowed, Groups};
use crate::records::Kind;
use crate::store::Store;

/// All that is asked for as plain tables, in columns. A number in a column is a place in another table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Model {
    /// Unix time of the first step, in milliseconds.
    pub epoch: u64,
    /// The span, in steps.
    pub from: u32,
    /// See `from`.
    pub until: u32,
    /// What values are.
    pub unit: String,
    /// Texts: the first is empty.
    pub texts: Vec<String>,
    /// Frames: name, module, build ID, file, line, address as hex (or empty), marks.
    pub frames: Vec<(u32, u32, u32, u32, u32, String, u8)>,
    /// Stacks: the parent, which comes before, and the frame. The first is the root.
    pub stacks: Vec<(u32, u32)>,
    /// Processes: pid, start, executable, parent's place plus one or 0, whether it is gone (1), not (0) or unknown (2).
    pub processes: Vec<(u32, String, u32, u32, u8)>,
    /// Threads: process, executable, tid, name, container.
    pub tasks: Vec<(u32, u32, u32, u32, u32)>,
    /// Weights: 0 on a CPU or 1 off, whether the stack is cut, samples, value.
    pub weights: Vec<(u8, u8, u64, u64)>,
    /// Samples, in columns: when (steps since the sample before), thread, stack, weight, CPU.
    pub ticks: Vec<i64>,
    /// See `ticks`.
    pub sample_tasks: Vec<u32>,
    /// See `ticks`.
    pub sample_stacks: Vec<u32>,
    /// See `ticks`.
    pub sample_weights: Vec<u32>,
    /// See `ticks`.
    pub sample_cpus: Vec<u16>,
    /// Losses: when, reason, whether they were samples, how many.
    pub losses: Vec<(u32, u32, u8, u64)>,
}

/// All that is asked for, whatever the baseline, the grouping and the rules.
#[must_use]
pub fn model(store: &Store, query: &Query) -> Model {
    let mut whole = Generation::new();
    for generation in store.generations() {
        let mut groups = Groups::default();
        let both = [Kind::OnCpu, Kind::OffCpu].map(|kind| {
            let filter = crate::query::Filter { kind, ..query.filter.clone() };
            Allowed::of(generation, &filter, query.grouping, &mut groups)
        });
        whole.absorb(
            generation,
            |record| both.iter().any(|allowed| allowed.lets(record)),
            |tick| query.span.contains(tick),
        );
    }
    tables(store, query, &whole)
}

fn tables(store: &Store, query: &Query, whole: &Generation) -> Model {
    let gone = |key| store.is_gone(key).map_or(2, u8::from);
    let hex = |address: u64| if address == 0 { String::new() } else { format!("{address:x}") };
    let mut before = i64::from(query.span.from);
    let mut model = Model {
        epoch: store.epoch() / 1_000_000,
        from: query.span.from,
        until: query.span.until,
        unit: store.unit().to_owned(),
        texts: (0..crate::table::number(whole.texts.len()))
            .map(|id| whole.texts.get(id).to_owned())
            .collect(),
        frames: whole
            .frames
            .items()
            .iter()
            .map(|row| {
                (row.name, row.module, row.build_id, row.file, row.line, hex(row.address), row.flags.0)
            })
            .collect(),
        stacks: whole
            .stacks
            .items()
            .iter()
            .map(|row| (row.parent, if row.frame == u32::MAX { 0 } else { row.frame }))
            .collect(),
        processes: whole
            .processes
            .items()
            .iter()
            .map(|row| {
                let start = row.key.start_time.as_nanos().to_string();
                (
                    row.key.pid.0,
                    start,
                    row.executable,
                    row.parent.map_or(0, |parent| parent + 1),
                    gone(row.key),
                )
            })
            .collect(),
        tasks: whole
            .tasks
            .items()
            .iter()
            .map(|row| (row.process, row.executable, row.tid, row.thread, row.container))
            .collect(),
        weights: whole
            .records
            .weight_table
            .items()
            .iter()
            .map(|weight| {
                (
                    u8::from(weight.kind == Kind::OffCpu),
                    u8::from(weight.truncated),
                    weight.samples,
                    weight.value,
                )
            })
            .collect(),
        losses: whole
            .losses
            .iter()
            .map(|row| (row.tick, row.reason, u8::from(row.is_sample), row.count))
            .collect(),
        ..Model::default()
    };
    for record in whole.records.iter() {
        let tick = i64::from(record.tick);
        model.ticks.push(tick - before);
        before = tick;
        model.sample_tasks.push(record.task);
        model.sample_stacks.push(record.stack);
        model.sample_weights.push(record.weight);
        model.sample_cpus.push(record.cpu);
    }
    model
}
