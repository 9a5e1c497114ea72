//! Filters and groupings of samples.

use foldhash::HashMap;
use pdata::ProcessKey;

use crate::frame::base;
use crate::generation::Generation;
use crate::patterns::{OriginRow, PatternRow};
use crate::records::Kind;
use crate::store::MOST_ANCESTORS;
use crate::task::ProcessRow;

/// A filter of samples: a sample passes if every part of the filter lets it through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// The executable that the sample's process runs: a path, or its last part.
    pub executable: Option<String>,
    /// The sample's process.
    pub process: Option<ProcessSet>,
    /// The sample's process or one of its ancestors.
    pub ancestor: Option<ProcessSet>,
    /// The name of the sample's thread.
    pub thread: Option<String>,
    /// The sample's container or control group.
    pub container: Option<String>,
    /// The sample's CPU.
    pub cpu: Option<u16>,
    /// The code that the sample's leaf is in: the program's, the kernel's, or either.
    pub mode: Mode,
    /// The measure of the sample: time on a CPU or off it.
    pub kind: Kind,
}

/// Processes with one pid, or one process by its pid and start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessSet {
    /// The pid of the processes.
    pub pid: u32,
    /// Start of the one process that is meant, in nanoseconds since boot; `None` for all with this pid.
    pub start: Option<u64>,
}

impl ProcessSet {
    pub(crate) fn has(self, key: ProcessKey) -> bool {
        key.pid.0 == self.pid && self.start.is_none_or(|start| start == key.start_time.as_nanos())
    }
}

/// The code that the leaf of a stack is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Any code.
    #[default]
    Any,
    /// The program's code.
    User,
    /// The kernel's code.
    Kernel,
}

/// The property by which samples are grouped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Grouping {
    /// No property: all samples are one group.
    #[default]
    None,
    /// The executable that the process runs.
    Executable,
    /// The process.
    Process,
    /// The name of the thread.
    Thread,
    /// The container or control group.
    Container,
}

/// The group of samples that a query does not ask for.
pub(crate) const NOT_ASKED: u32 = u32::MAX;

/// Names of groups, each with its number.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// A map with a seeded hasher: users choose names.
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

/// The group of each pattern of a generation; [`NOT_ASKED`] for a pattern that the filter does not let through. In a
/// query that groups by process all patterns are of group 0, since a pattern has no process.
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

/// The name of the group of samples of an origin.
fn group<'a>(generation: &'a Generation, origin: &OriginRow, grouping: Grouping) -> &'a str {
    match grouping {
        Grouping::None | Grouping::Process => "",
        Grouping::Executable => generation.texts.get(origin.executable),
        Grouping::Thread => generation.texts.get(origin.thread),
        Grouping::Container if origin.container == 0 => "(no container)",
        Grouping::Container => generation.texts.get(origin.container),
    }
}

/// For each process, true if it is an ancestor of this set or descends from one.
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
