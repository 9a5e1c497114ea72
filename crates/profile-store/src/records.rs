//! The samples of a generation, in columns.

use std::mem::size_of;

use crate::table::Table;
use crate::time::{Span, Tick};

/// What a sample measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Time on a CPU.
    #[default]
    OnCpu,
    /// Time for which a thread did not run.
    OffCpu,
}

/// How much a sample stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Weight {
    /// What it measures.
    pub kind: Kind,
    /// True if the stack lacks its outer frames.
    pub truncated: bool,
    /// Samples that it stands for: 1, unless they were added up before.
    pub samples: u64,
    /// Nanoseconds, or whatever the store's unit is.
    pub value: u64,
}

/// One sample, by numbers of the tables of its generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// When.
    pub tick: Tick,
    /// Who: a number of the threads.
    pub task: u32,
    /// Where: a number of the stacks.
    pub stack: u32,
    /// How much.
    pub weight: u32,
    /// On which CPU.
    pub cpu: u16,
}

/// The samples of a generation.
#[derive(Debug)]
pub(crate) struct Records {
    ticks: Vec<Tick>,
    tasks: Vec<u32>,
    stacks: Vec<u32>,
    weights: Vec<u32>,
    cpus: Vec<u16>,
    pub weight_table: Table<Weight>,
    /// Steps that the samples are in.
    pub span: Span,
}

impl Records {
    pub(crate) fn new() -> Self {
        let (ticks, tasks, stacks, weights, cpus) = Default::default();
        Self {
            ticks,
            tasks,
            stacks,
            weights,
            cpus,
            weight_table: Table::new(),
            span: Span { from: Tick::MAX, until: 0 },
        }
    }

    pub(crate) fn push(&mut self, record: Record) {
        self.ticks.push(record.tick);
        self.tasks.push(record.task);
        self.stacks.push(record.stack);
        self.weights.push(record.weight);
        self.cpus.push(record.cpu);
        self.span.from = self.span.from.min(record.tick);
        self.span.until = self.span.until.max(record.tick.saturating_add(1));
    }

    pub(crate) fn len(&self) -> usize {
        self.ticks.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Record> + '_ {
        let columns = self.ticks.iter().zip(&self.tasks).zip(&self.stacks).zip(&self.weights).zip(&self.cpus);
        columns.map(|((((&tick, &task), &stack), &weight), &cpu)| Record { tick, task, stack, weight, cpu })
    }

    pub(crate) fn seal(&mut self) {
        self.ticks.shrink_to_fit();
        self.tasks.shrink_to_fit();
        self.stacks.shrink_to_fit();
        self.weights.shrink_to_fit();
        self.cpus.shrink_to_fit();
        self.weight_table.seal();
    }

    pub(crate) fn bytes(&self) -> usize {
        let words =
            self.ticks.capacity() + self.tasks.capacity() + self.stacks.capacity() + self.weights.capacity();
        words * size_of::<u32>() + self.cpus.capacity() * size_of::<u16>() + self.weight_table.bytes()
    }
}
