//! Use over time, by executable.

use serde::Serialize;

use crate::query::filter::{Grouping, Groups};
use crate::query::scan::{Scan, scans};
use crate::query::{Amount, Query};
use crate::store::Store;
use crate::time::{Span, TICKS_PER_SECOND};

/// Most steps of a time line.
const MOST_STEPS: u32 = 900;
/// Executables with a line of their own; all others are one.
const MOST_SERIES: usize = 8;

/// Use over time, by executable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// Start of the first step, in Unix milliseconds.
    pub from: u64,
    /// Length of a step, in milliseconds.
    pub step: u64,
    /// Number of steps.
    pub steps: usize,
    /// The series of the executables that have used most, most first, then one of all others.
    pub series: Vec<Series>,
    /// Number of samples lost in each step.
    pub lost: Vec<u64>,
    /// The amount of all samples of the time line.
    pub total: Amount,
}

/// Use over time of one executable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Series {
    /// The executable: a path, or a name in brackets.
    pub name: String,
    /// Values, by step.
    pub values: Vec<u64>,
}

/// The time line of a query; its baseline does not apply.
#[must_use]
pub fn timeline(store: &Store, query: &Query) -> Timeline {
    let seconds = (query.span.len() / TICKS_PER_SECOND).max(1);
    let step = seconds.div_ceil(MOST_STEPS) * TICKS_PER_SECOND;
    let steps = query.span.len().div_ceil(step) as usize;
    let query = Query { baseline: None, grouping: Grouping::Executable, ..query.clone() };
    let place = |tick: u32| (tick.saturating_sub(query.span.from) / step) as usize;
    let (mut groups, mut sums, mut total) = (Groups::default(), Vec::<u64>::new(), Amount::default());
    scans(store, &query, &mut groups, |scan| {
        let values = values(scan);
        for (group, pattern, count) in scan.counted(&scan.counts()) {
            total.add(scan.sum(pattern, count).now);
            let value = values.get(pattern as usize).copied().unwrap_or_default() * u64::from(count[0]);
            sums.resize(sums.len().max(group as usize + 1), 0);
            sums.get_mut(group as usize).into_iter().for_each(|sum| *sum += value);
        }
    });
    // Lines are long, and there may be many executables: only those that are shown get one.
    let mut lines = Lines::of(&sums, &groups, steps);
    scans(store, &query, &mut groups, |scan| {
        let values = values(scan);
        // Most neighbours are of one instant, so the last one's step is kept.
        let mut last = (query.span.from, 0);
        for block in scan.blocks() {
            scan.each(block, false, |group, record| {
                if record.tick != last.0 {
                    last = (record.tick, place(record.tick));
                }
                let value = values.get(record.pattern as usize).copied().unwrap_or_default();
                lines.add(group, last.1, value);
            });
        }
    });
    let lost = lost(store, query.span, steps, place);
    let series = lines.series(&groups);
    let from = store.unix_millis(query.span.from);
    Timeline { from, step: u64::from(step) * 1_000 / u64::from(TICKS_PER_SECOND), steps, series, lost, total }
}

fn lost(store: &Store, span: Span, steps: usize, place: impl Fn(u32) -> usize) -> Vec<u64> {
    let mut lost = vec![0; steps];
    let rows = store.generations().flat_map(|generation| &generation.losses);
    for row in rows.filter(|row| row.is_sample && span.contains(row.tick)) {
        if let Some(count) = lost.get_mut(place(row.tick)) {
            *count += row.count;
        }
    }
    lost
}

/// The value of a sample of each pattern; the number of samples where a file has no values.
fn values(scan: &Scan<'_>) -> Vec<u64> {
    let weights = (0..).zip(&*scan.patterns).map(|(pattern, _)| scan.weight(pattern));
    weights.map(|weight| if weight.value > 0 { weight.value } else { weight.samples }).collect()
}

/// The lines of the executables that have used most, and last the line of all others.
struct Lines {
    /// For each group the position of its line; the last position is the line of all others.
    of_groups: Vec<usize>,
    /// The groups that have lines of their own, the one that has used most first.
    shown: Vec<u32>,
    values: Vec<Vec<u64>>,
    /// Number of groups with samples that have no line of their own.
    others: usize,
}

impl Lines {
    fn of(sums: &[u64], groups: &Groups, steps: usize) -> Self {
        let mut some: Vec<(u32, u64)> = (0..).zip(sums.iter().copied()).filter(|(_, sum)| *sum > 0).collect();
        some.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| groups.name(a.0).cmp(groups.name(b.0))));
        let others = some.len().saturating_sub(MOST_SERIES);
        let shown: Vec<u32> = some.iter().take(MOST_SERIES).map(|(group, _)| *group).collect();
        let mut of_groups = vec![MOST_SERIES; sums.len()];
        for (line, group) in shown.iter().enumerate() {
            of_groups.get_mut(*group as usize).into_iter().for_each(|of| *of = line);
        }
        Self { of_groups, shown, values: vec![vec![0; steps]; MOST_SERIES + 1], others }
    }

    fn add(&mut self, group: u32, step: usize, value: u64) {
        let line = self.of_groups.get(group as usize).and_then(|line| self.values.get_mut(*line));
        line.and_then(|line| line.get_mut(step)).into_iter().for_each(|sum| *sum += value);
    }

    fn series(self, groups: &Groups) -> Vec<Series> {
        let Self { shown, mut values, others, .. } = self;
        let rest = values.pop().filter(|_| others > 0);
        let named = shown.iter().zip(values);
        let named = named.map(|(group, values)| Series { name: groups.name(*group).to_owned(), values });
        named.chain(rest.map(|values| Series { name: format!("other ({others})"), values })).collect()
    }
}
