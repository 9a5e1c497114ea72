//! Whose samples are asked for, and which.

use foldhash::HashMap;
use pdata::ProcessKey;

use crate::frame::base;
use crate::generation::Generation;
use crate::patterns::{OriginRow, PatternRow};
use crate::records::Kind;
use crate::store::MOST_ANCESTORS;
use crate::task::ProcessRow;

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
    pub(crate) fn has(self, key: ProcessKey) -> bool {
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

/// The group of what a query does not ask for.
pub(crate) const NOT_ASKED: u32 = u32::MAX;

/// Names of groups, each with its number.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// Seeded: users choose names.
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl Groups {
    pub(crate) fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = crate::table::number(self.names.len());
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    pub(crate) fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", String::as_str)
    }
}

/// The group of each pattern of a generation; [`NOT_ASKED`] of one that the filter does not let through. Whatever the
/// query's grouping, all of a process's patterns are of group 0 if it is by process.
pub(crate) fn groups_of_patterns(
    generation: &Generation,
    patterns: &[PatternRow],
    (filter, grouping): (&Filter, Grouping),
    groups: &mut Groups,
) -> Vec<u32> {
    let origins = generation.origins.items().iter();
    let origins: Vec<u32> = origins
        .map(|origin| {
            if !is_allowed(generation, origin, filter) {
                return NOT_ASKED;
            }
            groups.number(group(generation, origin, grouping))
        })
        .collect();
    let weights = generation.weights.items().iter().map(|weight| weight.kind == filter.kind);
    let weights: Vec<bool> = weights.collect();
    let is = |rows: &[bool], id: u32| rows.get(id as usize).copied().unwrap_or_default();
    let of = patterns.iter().map(|row| {
        let is_in_mode = match filter.mode {
            Mode::Any => true,
            Mode::User => !row.leaf.is_kernel,
            Mode::Kernel => row.leaf.is_kernel,
        };
        if is_in_mode && is(&weights, row.weight) {
            origins.get(row.origin as usize).copied().unwrap_or(NOT_ASKED)
        } else {
            NOT_ASKED
        }
    });
    of.collect()
}

fn is_allowed(generation: &Generation, origin: &OriginRow, filter: &Filter) -> bool {
    let text = |id: u32| generation.texts.get(id);
    let executable = text(origin.executable);
    let equals = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
    (equals(&filter.executable, executable) || equals(&filter.executable, base(executable)))
        && equals(&filter.thread, text(origin.thread))
        && equals(&filter.container, text(origin.container))
}

/// The name of the group of samples from somewhere.
fn group<'a>(generation: &'a Generation, origin: &OriginRow, grouping: Grouping) -> &'a str {
    match grouping {
        Grouping::None | Grouping::Process => "",
        Grouping::Executable => generation.texts.get(origin.executable),
        Grouping::Thread => generation.texts.get(origin.thread),
        Grouping::Container if origin.container == 0 => "(no container)",
        Grouping::Container => generation.texts.get(origin.container),
    }
}

/// Of each process, whether it is the ancestor or descends from it.
pub(crate) fn descendants(processes: &[ProcessRow], ancestor: ProcessSet) -> Vec<bool> {
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
