//! All samples that are asked for, one after the other, as they came.

use crate::frame::FrameText;
use crate::generation::{Generation, ROOT};
use crate::query::Query;
use crate::query::filter::{Grouping, Groups};
use crate::query::scan::scan;
use crate::records::Record;
use crate::store::{SampleText, Store};

/// A sample or a loss that is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Row<'a> {
    /// A sample.
    Sample(&'a SampleText<'a>),
    /// Records that were lost, whatever the filter.
    Loss {
        /// The reason's name.
        reason: &'a str,
        /// True if they were samples.
        is_sample: bool,
        /// How many.
        count: u64,
    },
}

/// Calls `each` with all that is asked for, whatever the baseline, the grouping and the rules.
pub fn rows(store: &Store, query: &Query, mut each: impl FnMut(Row<'_>)) {
    let query = Query { baseline: None, grouping: Grouping::None, ..query.clone() };
    for generation in store.generations() {
        let mut records = Vec::new();
        scan(generation, &query, &mut Groups::default(), |_, record, _| records.push(record));
        for record in records {
            sample(generation, record, &mut each);
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

fn sample(generation: &Generation, record: Record, each: &mut impl FnMut(Row<'_>)) {
    let Some(task) = generation.tasks.items().get(record.task as usize) else { return };
    let mut frames: Vec<FrameText<'_>> = Vec::new();
    let mut at = record.stack;
    while at != ROOT {
        let Some(row) = generation.stacks.items().get(at as usize) else { break };
        if let Some(frame) = generation.frames.items().get(row.frame as usize) {
            frames.push(generation.frame_text(frame));
        }
        at = row.parent;
    }
    frames.reverse();
    let weight = generation.weight(record.weight);
    let (tick, cpu, task) = (record.tick, record.cpu, generation.task_text(task));
    each(Row::Sample(&SampleText { tick, cpu, task, weight, frames: &frames }));
}
