//! The samples and losses of a query, one after the other.

use crate::frame::FrameText;
use crate::query::Query;
use crate::query::filter::{Grouping, Groups};
use crate::query::scan::{Members, Scan};
use crate::records::Record;
use crate::stacks::{ROOT, StackRow};
use crate::store::{SampleText, Store};

/// A sample or a loss of a query.
#[derive(Clone, Copy, Debug)]
pub enum Row<'a> {
    /// A sample.
    Sample(&'a SampleText<'a>),
    /// Records that were lost, whatever the filter.
    Loss {
        /// The reason's name.
        reason: &'a str,
        /// True if the lost records were samples.
        is_sample: bool,
        /// Number of records.
        count: u64,
    },
}

/// Calls `each` with every sample and loss of a query; its baseline, grouping and rules do not apply. Samples are
/// ordered by time as far as they came in that order, and samples of one step by CPU.
pub fn rows(store: &Store, query: &Query, mut each: impl FnMut(Row<'_>)) {
    let query = Query { baseline: None, grouping: Grouping::None, ..query.clone() };
    for generation in store.generations() {
        if let Some(scan) = Scan::of(generation, &query, &mut Groups::default()) {
            samples(&scan, &mut each);
        }
        for row in generation.losses.iter().filter(|row| query.span.contains(row.tick)) {
            each(Row::Loss {
                reason: generation.texts.get(row.reason),
                is_sample: row.is_sample,
                count: row.count,
            });
        }
    }
}

fn samples(scan: &Scan<'_>, each: &mut impl FnMut(Row<'_>)) {
    let stacks = scan.generation.stacks.rows();
    for block in scan.blocks() {
        let members = Members::of(block);
        scan.each(block, true, |_, record| {
            if let Some(sample) = sample(scan, &stacks, &members, record) {
                each(Row::Sample(&SampleText { frames: &sample.1, ..sample.0 }));
            }
        });
    }
}

/// A sample whose frames are still empty, and its frames.
fn sample<'a>(
    scan: &Scan<'a>,
    stacks: &[StackRow],
    members: &Members<'_>,
    record: Record,
) -> Option<(SampleText<'a>, Vec<FrameText<'a>>)> {
    let generation = scan.generation;
    let pattern = scan.patterns.get(record.pattern as usize)?;
    let mut frames: Vec<FrameText<'_>> = Vec::new();
    let mut at = pattern.stack;
    while at != ROOT {
        let row = stacks.get(at as usize)?;
        frames
            .extend(generation.frames.items().get(row.frame as usize).map(|row| generation.frame_text(row)));
        at = row.parent;
    }
    frames.reverse();
    let task = members.tasks.get(record.task as usize)?;
    let process = members.processes.get(task.process as usize)?;
    let origin = generation.origins.items().get(pattern.origin as usize)?;
    let task = generation.task_text(process, task.tid, origin);
    let (tick, cpu, weight) = (record.tick, record.cpu, scan.weight(record.pattern));
    Some((SampleText { tick, cpu, task, weight, frames: &[] }, frames))
}
