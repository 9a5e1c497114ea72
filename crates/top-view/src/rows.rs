//! The rows of lists.

use std::cmp::Ordering;
use std::collections::HashMap;

use profile_seconds::{CallKind, ProcessId};
use terminal::FunctionId;

use crate::calls::{self, Calls, Time};
use crate::history::History;
use crate::minute::HeldSecond;
use crate::view::{Sort, View};

/// A row of a list.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The name as its user chose it: unescaped, so it must be escaped before it is shown.
    pub(crate) name: String,
    /// The file that holds the function's code, unescaped as the name.
    pub(crate) module: String,
    /// Time in the window.
    pub(crate) time: Time,
    /// Number of ancestors in a tree.
    pub(crate) depth: usize,
    /// True for a process that has ended.
    pub(crate) gone: bool,
    pub(crate) of: RowOf,
}

/// The thing that a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowOf {
    Executable(FunctionId),
    Function(FunctionId),
    Process(ProcessId),
}

impl Row {
    pub(crate) fn new(name: String, time: Time, of: RowOf) -> Self {
        Self { name, module: String::new(), time, depth: 0, gone: false, of }
    }

    /// The name with the module.
    pub(crate) fn full_name(&self) -> String {
        joined(&self.name, &self.module)
    }
}

/// The executables of a window.
pub(crate) fn executables(history: &History, view: &View) -> Vec<Row> {
    let calls = Calls::of(history, view.window());
    let row = |(id, time): (FunctionId, Time)| {
        Row::new(history.names.text(id.name).to_owned(), time, RowOf::Executable(id))
    };
    sorted(calls.executables().into_iter().map(row).collect(), view)
}

/// The functions of a window.
pub(crate) fn functions(history: &History, view: &View) -> Vec<Row> {
    let calls = Calls::of(history, view.window());
    let text = |name| history.names.text(name).to_owned();
    let row = |(id, time): (FunctionId, Time)| Row {
        module: text(id.module),
        ..Row::new(text(id.name), time, RowOf::Function(id))
    };
    sorted(calls.functions(view.within(history)).into_iter().map(row).collect(), view)
}

/// The name of a function, with its module.
pub(crate) fn function_name(history: &History, FunctionId { name, module }: FunctionId) -> String {
    joined(history.names.text(name), history.names.text(module))
}

fn joined(name: &str, module: &str) -> String {
    if module.is_empty() { name.to_owned() } else { format!("{name} ({module})") }
}

/// The values of each row's last seconds, for the rows on the screen.
pub(crate) fn series(history: &History, view: &View, rows: &[Row], seconds: u64) -> Vec<Vec<u64>> {
    let functions = rows.iter().any(|row| matches!(row.of, RowOf::Function(_)));
    let wanted: HashMap<FunctionId, usize> = rows
        .iter()
        .enumerate()
        .filter_map(|(place, row)| match row.of {
            RowOf::Function(id) if functions => Some((id, place)),
            _ => None,
        })
        .collect();
    let mut series = vec![Vec::new(); rows.len()];
    for (place, row) in rows.iter().enumerate() {
        if let Some(slot) = series.get_mut(place) {
            *slot = match row.of {
                RowOf::Executable(id) => history.series(seconds, |second| of_executable(second, id)),
                RowOf::Process(id) => history.series(seconds, |second| of_process(second, id)),
                RowOf::Function(_) => Vec::new(),
            };
        }
    }
    if functions {
        of_functions(history, (&wanted, view.within(history)), seconds, &mut series);
    }
    series
}

fn of_executable(second: &HeldSecond, id: FunctionId) -> u64 {
    let calls = second.calls.iter().filter(|call| call.kind == CallKind::Executable && call.function == id);
    calls.fold(0, |sum, call| sum.saturating_add(call.total))
}

fn of_process(second: &HeldSecond, id: ProcessId) -> u64 {
    let found = second.processes.binary_search_by_key(&id, |(process, _)| *process);
    found.ok().and_then(|place| second.processes.get(place)).map_or(0, |(_, cpu)| *cpu)
}

/// Fills in the values of all functions in one pass over each second. A function's recursive calls count once.
fn of_functions(
    history: &History,
    (wanted, within): (&HashMap<FunctionId, usize>, Option<FunctionId>),
    seconds: u64,
    series: &mut [Vec<u64>],
) {
    let empty = history.series(seconds, |_| 0);
    wanted
        .values()
        .filter_map(|&place| series.get_mut(place).map(|slot| *slot = empty.clone()))
        .for_each(drop);
    let numbers = history.series(seconds, |second| second.number);
    for second in history.window(seconds) {
        let Some(at) = numbers.iter().position(|&number| number == second.number) else { continue };
        let inside = calls::wanted(&second.calls, within);
        for (_, call) in (1..).zip(&second.calls).filter(|(number, _)| inside.get(*number) == Some(&true)) {
            let Some(&place) = wanted.get(&call.function) else { continue };
            let mut above =
                std::iter::successors(parent(second, call.parent), |above| parent(second, above.parent));
            if !above.any(|above| above.function == call.function)
                && let Some(value) = series.get_mut(place).and_then(|values| values.get_mut(at))
            {
                *value = value.saturating_add(call.total);
            }
        }
    }
}

fn parent(second: &HeldSecond, number: u32) -> Option<&crate::minute::HeldCall> {
    second.calls.get(usize::try_from(number).ok()?.checked_sub(1)?)
}

fn sorted(mut rows: Vec<Row>, view: &View) -> Vec<Row> {
    rows.retain(|row| view.wants(&row.full_name()));
    rows.sort_by(|a, b| order(a, b, view.sort()));
    rows
}

/// The order of two rows.
pub(crate) fn order(a: &Row, b: &Row, sort: Sort) -> Ordering {
    let by_time = match sort {
        Sort::Own => (b.time.own, b.time.total).cmp(&(a.time.own, a.time.total)),
        Sort::Total => (b.time.total, b.time.own).cmp(&(a.time.total, a.time.own)),
        Sort::Name => Ordering::Equal,
    };
    by_time.then_with(|| a.name.cmp(&b.name))
}
