//! The processes of a window, each below its parent.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use profile_seconds::ProcessId;

use crate::calls::Time;
use crate::history::History;
use crate::rows::{Row, RowOf, order};
use crate::view::{Sort, View};

/// Most ancestors of a process that are shown: a screen has no room to distinguish more.
const MOST_GENERATIONS: usize = 64;

/// The processes of a window, each below its parent, whose total includes theirs. With a filter, only the processes
/// that it lets through are shown, with their ancestors.
pub(crate) fn processes(history: &History, view: &View) -> Vec<Row> {
    let mut own = HashMap::<ProcessId, u64>::new();
    for second in history.window(view.window()) {
        for &(process, cpu) in &second.processes {
            let sum = own.entry(process).or_default();
            *sum = sum.saturating_add(cpu);
        }
    }
    let mut tree = Tree::default();
    for (&process, &cpu) in own.iter().filter(|(process, _)| view.wants(&name(history, **process))) {
        tree.add(history, process, cpu);
    }
    tree.rows(history, &own, view.sort())
}

/// A process's pid and executable.
fn name(history: &History, process: ProcessId) -> String {
    let name = history.processes.get(process).and_then(|known| known.name);
    format!("{} {}", process.pid, name.map_or("?", |name| history.names.text(name)))
}

/// The processes that are shown.
#[derive(Debug, Default)]
struct Tree {
    totals: BTreeMap<ProcessId, u64>,
    children: BTreeMap<Option<ProcessId>, BTreeSet<ProcessId>>,
}

impl Tree {
    /// Adds a process's time to it and to its ancestors.
    fn add(&mut self, history: &History, process: ProcessId, cpu: u64) {
        let mut next = Some(process);
        for _generation in 0..MOST_GENERATIONS {
            let Some(process) = next else { return };
            let total = self.totals.entry(process).or_default();
            *total = total.saturating_add(cpu);
            next = history.processes.get(process).and_then(|known| known.parent);
            self.children.entry(next).or_default().insert(process);
        }
        // A longer line of ancestors begins in its middle; so does one that leads back to itself.
        self.children.entry(None).or_default().extend(next);
    }

    fn rows(&self, history: &History, own: &HashMap<ProcessId, u64>, sort: Sort) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut open = self.siblings(history, None, 0, own, sort);
        let mut listed = BTreeSet::new();
        while let Some(row) = open.pop() {
            let RowOf::Process(process) = row.of else { continue };
            if !listed.insert(process) {
                continue;
            }
            open.extend(self.siblings(history, Some(process), row.depth + 1, own, sort));
            rows.push(row);
        }
        rows
    }

    /// The children of a process, the one that is listed first at the end.
    fn siblings(
        &self,
        history: &History,
        parent: Option<ProcessId>,
        depth: usize,
        own: &HashMap<ProcessId, u64>,
        sort: Sort,
    ) -> Vec<Row> {
        let children = self.children.get(&parent).into_iter().flatten();
        let row = |&process: &ProcessId| {
            let gone = history.processes.get(process).is_none_or(|known| known.gone);
            let own = own.get(&process).copied().unwrap_or_default();
            let total = self.totals.get(&process).copied().unwrap_or_default();
            Row {
                depth,
                gone,
                ..Row::new(name(history, process), Time { own, total }, RowOf::Process(process))
            }
        };
        let mut rows: Vec<_> = children.map(row).collect();
        // In a tree branches are sorted by their total, even if own time was asked for.
        let sort = if sort == Sort::Own { Sort::Total } else { sort };
        rows.sort_by(|a, b| order(b, a, sort));
        rows
    }
}
