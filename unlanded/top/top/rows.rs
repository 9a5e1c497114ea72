//! What a window has, in rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use pdata::ProcessKey;

use super::history::History;
use super::view::{Sort, View};
use crate::tally::FunctionId;

/// A row of a list.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    /// Nanoseconds of its own in the window.
    pub(super) own: u64,
    /// Nanoseconds in the window with all that it called or started.
    pub(super) total: u64,
    /// Steps from the root of a tree.
    pub(super) depth: usize,
    /// True for a process that has ended.
    pub(super) gone: bool,
    /// What the last seconds have of it, of as many as were asked for.
    pub(super) series: Vec<u64>,
    of: Of,
}

/// What a row is of.
#[derive(Clone, Copy, Debug)]
enum Of {
    Executable(crate::names::NameId),
    Function(FunctionId),
    Process(ProcessKey),
}

impl Row {
    /// Fills in the series, for rows that are to be seen.
    pub(super) fn with_series(mut self, history: &History, seconds: u64) -> Self {
        self.series = history.series(seconds, |second| match self.of {
            Of::Executable(name) => second.executables.get(&name).copied().unwrap_or_default(),
            Of::Function(function) => second.functions.get(&function).map_or(0, |share| share.total),
            Of::Process(process) => second.processes.get(&process).copied().unwrap_or_default(),
        });
        self
    }
}

fn row(name: String, own: u64, total: u64, of: Of) -> Row {
    Row { name, own, total, depth: 0, gone: false, series: Vec::new(), of }
}

/// The executables of a window.
pub(super) fn executables(history: &History, view: &View) -> Vec<Row> {
    let mut sums = HashMap::<_, u64>::new();
    for second in history.window(view.window()) {
        for (&name, &nanos) in &second.executables {
            *sums.entry(name).or_default() += nanos;
        }
    }
    let row = |(name, nanos)| row(history.names.text(name).to_owned(), nanos, nanos, Of::Executable(name));
    sorted(sums.into_iter().map(row).collect(), view)
}

/// The functions of a window.
pub(super) fn functions(history: &History, view: &View) -> Vec<Row> {
    let mut sums = HashMap::<_, (u64, u64)>::new();
    for second in history.window(view.window()) {
        for (&function, share) in &second.functions {
            let (own, total) = sums.entry(function).or_default();
            *own += share.own;
            *total += share.total;
        }
    }
    let row = |(function, (own, total)): (FunctionId, _)| {
        let (name, module) = (history.names.text(function.name), history.names.text(function.module));
        row(format!("{name} ({module})"), own, total, Of::Function(function))
    };
    sorted(sums.into_iter().map(row).collect(), view)
}

fn sorted(mut rows: Vec<Row>, view: &View) -> Vec<Row> {
    let filter = view.filter.to_lowercase();
    rows.retain(|row| row.name.to_lowercase().contains(&filter));
    rows.sort_by(|a, b| order(a, b, view.sort));
    rows
}

fn order(a: &Row, b: &Row, sort: Sort) -> std::cmp::Ordering {
    let by_figures = match sort {
        Sort::Own => (b.own, b.total).cmp(&(a.own, a.total)),
        Sort::Total => (b.total, b.own).cmp(&(a.total, a.own)),
        Sort::Name => std::cmp::Ordering::Equal,
    };
    by_figures.then_with(|| a.name.cmp(&b.name))
}

/// The processes of a window, each below the one that started it, which is listed for them too. A filter leaves those
/// that it names, and what is above them.
pub(super) fn processes(history: &History, view: &View) -> Vec<Row> {
    let mut own = HashMap::<ProcessKey, u64>::new();
    for second in history.window(view.window()) {
        for (&process, &nanos) in &second.processes {
            *own.entry(process).or_default() += nanos;
        }
    }
    let mut tree = Tree::default();
    let filter = view.filter.to_lowercase();
    for (&process, &nanos) in &own {
        let matches = filter.is_empty() || name(history, process).to_lowercase().contains(&filter);
        tree.add(history, process, if matches { Some(nanos) } else { None });
    }
    tree.rows(history, &own, view)
}

/// What a process is called: its number, and what it runs.
fn name(history: &History, process: ProcessKey) -> String {
    let name = history.processes.get(process).and_then(|known| known.name);
    format!("{} {}", process.pid, name.map_or("?", |name| history.names.text(name)))
}

/// Processes that are to be seen.
#[derive(Debug, Default)]
struct Tree {
    totals: BTreeMap<ProcessKey, u64>,
    children: BTreeMap<Option<ProcessKey>, BTreeSet<ProcessKey>>,
}

/// Generations that are looked at: no more are told apart on a screen.
const MOST_GENERATIONS: usize = 64;

impl Tree {
    /// Adds a process that took so long, with all above it; nothing if it is not to be seen.
    fn add(&mut self, history: &History, process: ProcessKey, nanos: Option<u64>) {
        let Some(nanos) = nanos else { return };
        let mut next = Some(process);
        for _generation in 0..MOST_GENERATIONS {
            let Some(process) = next else { return };
            *self.totals.entry(process).or_default() += nanos;
            next = history.processes.parent(process);
            self.children.entry(next).or_default().insert(process);
        }
        // A line of ancestors that is longer begins in its middle.
        self.children.entry(None).or_default().extend(next);
    }

    fn rows(&self, history: &History, own: &HashMap<ProcessKey, u64>, view: &View) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut open = self.siblings(history, None, 0, own, view);
        while let Some(row) = open.pop() {
            if row.depth < MOST_GENERATIONS
                && let Of::Process(process) = row.of
            {
                open.extend(self.siblings(history, Some(process), row.depth + 1, own, view));
            }
            rows.push(row);
        }
        rows
    }

    /// The children of a process, the one to be listed first at the end.
    fn siblings(
        &self,
        history: &History,
        parent: Option<ProcessKey>,
        depth: usize,
        own: &HashMap<ProcessKey, u64>,
        view: &View,
    ) -> Vec<Row> {
        let children = self.children.get(&parent).into_iter().flatten();
        let mut rows: Vec<_> = children
            .map(|&process| {
                let gone = history.processes.get(process).is_none_or(|known| known.gone);
                let own = own.get(&process).copied().unwrap_or_default();
                let total = self.totals.get(&process).copied().unwrap_or_default();
                Row { depth, gone, ..row(name(history, process), own, total, Of::Process(process)) }
            })
            .collect();
        // Of a tree, what a branch takes decides.
        let sort = if view.sort == Sort::Own { Sort::Total } else { view.sort };
        rows.sort_by(|a, b| order(b, a, sort));
        rows
    }
}
