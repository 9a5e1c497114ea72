//! Whose samples are asked for, and which.

use std::collections::HashMap;

use pdata::ProcessKey;
use rustc_hash::FxHashMap;

use crate::frame::{FrameFlags, base};
use crate::generation::{Generation, ROOT};
use crate::records::{Kind, Record};
use crate::store::MOST_ANCESTORS;
use crate::task::TaskRow;

/// Samples that are asked for: those that every part of it lets through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Of processes that run this: a path, or its last part.
    pub executable: Option<String>,
    /// Of this process.
    pub process: Option<ProcessSet>,
    /// Of this process and all that descend from it.
    pub ancestor: Option<ProcessSet>,
    /// Of threads with this name.
    pub thread: Option<String>,
    /// Of this container or control group.
    pub container: Option<String>,
    /// On this CPU.
    pub cpu: Option<u16>,
    /// Where the leaf is.
    pub mode: Mode,
    /// What is measured.
    pub kind: Kind,
}

/// Processes by what is known of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessSet {
    /// Their pid.
    pub pid: u32,
    /// Start of the one that is meant, in nanoseconds since boot; without it, all with this pid.
    pub start: Option<u64>,
}

impl ProcessSet {
    fn has(self, key: ProcessKey) -> bool {
        key.pid.0 == self.pid && self.start.is_none_or(|start| start == key.start_time.as_nanos())
    }
}

/// Where the leaf of a stack is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Anywhere.
    #[default]
    Any,
    /// In the program.
    User,
    /// In the kernel.
    Kernel,
}

/// What samples are put together by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Grouping {
    /// Nothing: all are one.
    #[default]
    None,
    /// What their process runs.
    Executable,
    /// Their process.
    Process,
    /// The name of their thread.
    Thread,
    /// Their container or control group.
    Container,
}

/// Names of groups, each with its number.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl Groups {
    fn number(&mut self, name: String) -> u32 {
        let next = crate::table::number(self.names.len());
        let names = &mut self.names;
        *self.numbers.entry(name).or_insert_with_key(|name| {
            names.push(name.clone());
            next
        })
    }

    pub(crate) fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", String::as_str)
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}

/// What a filter lets through of one generation, by the numbers of its tables.
#[derive(Debug)]
pub(crate) struct Allowed {
    /// The group of each thread that is let through.
    pub tasks: Vec<Option<u32>>,
    /// Whether a weight is let through.
    pub weights: Vec<bool>,
    /// Whether a stack is; `None` if all are.
    pub stacks: Option<Vec<bool>>,
    pub cpu: Option<u16>,
}

impl Allowed {
    pub(crate) fn of(
        generation: &Generation,
        filter: &Filter,
        grouping: Grouping,
        groups: &mut Groups,
    ) -> Self {
        let descends: Option<Vec<bool>> = filter.ancestor.map(|ancestor| descendants(generation, ancestor));
        let text = |id: u32| generation.texts.get(id);
        let is_allowed = |task: &TaskRow| {
            let process = generation.processes.items().get(task.process as usize);
            let executable = text(task.executable);
            let equals =
                |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
            (equals(&filter.executable, executable) || equals(&filter.executable, base(executable)))
                && equals(&filter.thread, text(task.thread))
                && equals(&filter.container, text(task.container))
                && filter.process.is_none_or(|wanted| process.is_some_and(|process| wanted.has(process.key)))
                && descends
                    .as_ref()
                    .is_none_or(|rows| rows.get(task.process as usize).copied().unwrap_or_default())
        };
        // A storm has a thread for every other sample, and few names: each is looked up once.
        let mut known: FxHashMap<(u32, u32), u32> = FxHashMap::default();
        let mut number = |task: &TaskRow| {
            let new = || groups.number(group(generation, task, grouping));
            *known.entry(group_key(task, grouping)).or_insert_with(new)
        };
        let tasks = generation.tasks.items().iter().map(|task| is_allowed(task).then(|| number(task)));
        let weights = generation.records.weight_table.items().iter().map(|weight| weight.kind == filter.kind);
        Self {
            tasks: tasks.collect(),
            weights: weights.collect(),
            stacks: (filter.mode != Mode::Any).then(|| in_mode(generation, filter.mode)),
            cpu: filter.cpu,
        }
    }

    /// True of a sample that is let through.
    pub(crate) fn lets(&self, record: &Record) -> bool {
        self.tasks.get(record.task as usize).is_some_and(Option::is_some)
            && self.weights.get(record.weight as usize).copied().unwrap_or_default()
            && self.cpu.is_none_or(|cpu| cpu == record.cpu)
            && self
                .stacks
                .as_ref()
                .is_none_or(|rows| rows.get(record.stack as usize).copied().unwrap_or_default())
    }
}

/// Numbers that threads of one group have in common.
fn group_key(task: &TaskRow, grouping: Grouping) -> (u32, u32) {
    match grouping {
        Grouping::None => (0, 0),
        Grouping::Executable => (task.executable, 0),
        Grouping::Thread => (task.thread, 0),
        Grouping::Container => (task.container, 0),
        Grouping::Process => (task.process, task.executable),
    }
}

/// The name of a thread's group.
fn group(generation: &Generation, task: &TaskRow, grouping: Grouping) -> String {
    let text = |id: u32| generation.texts.get(id).to_owned();
    match grouping {
        Grouping::None => String::new(),
        Grouping::Executable => text(task.executable),
        Grouping::Thread => text(task.thread),
        Grouping::Container if task.container == 0 => "(no container)".to_owned(),
        Grouping::Container => text(task.container),
        Grouping::Process => {
            let key = generation.processes.items().get(task.process as usize).map(|process| process.key);
            let key = key.unwrap_or_default();
            format!("{} {}", key.pid, base(&text(task.executable)))
        }
    }
}

/// Of each process, whether it is the ancestor or descends from it.
fn descendants(generation: &Generation, ancestor: ProcessSet) -> Vec<bool> {
    let processes = generation.processes.items();
    let descends = |first: usize| {
        let mut at = first;
        for _ in 0..MOST_ANCESTORS {
            let Some(process) = processes.get(at) else { return false };
            if ancestor.has(process.key) {
                return true;
            }
            let Some(parent) = process.parent else { return false };
            at = parent as usize;
        }
        false
    };
    (0..processes.len()).map(descends).collect()
}

/// Of each stack, whether its leaf is in that mode.
fn in_mode(generation: &Generation, mode: Mode) -> Vec<bool> {
    let frames = generation.frames.items();
    let rows = generation.stacks.items().iter().enumerate().map(|(id, row)| {
        let frame = frames.get(row.frame as usize).filter(|_| id != ROOT as usize);
        let is_kernel = frame.is_some_and(|frame| frame.flags.has(FrameFlags::KERNEL));
        is_kernel == (mode == Mode::Kernel)
    });
    rows.collect()
}
