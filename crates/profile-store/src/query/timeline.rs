//! Use over time, by executable.

use serde::Serialize;

use crate::query::filter::{Grouping, Groups, NOT_ASKED};
use crate::query::scan::scans;
use crate::query::{Amount, Query};
use crate::store::Store;
use crate::time::{Span, TICKS_PER_SECOND};

/// Most places along the line.
const MOST_STEPS: u32 = 900;
/// Executables with a line of their own; all others are one.
const MOST_SERIES: usize = 8;

/// Use over time, by executable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// Where it begins, in Unix milliseconds.
    pub from: u64,
    /// Length of a step, in milliseconds.
    pub step: u64,
    /// Number of steps.
    pub steps: usize,
    /// Most first, then all others as one.
    pub series: Vec<Series>,
    /// Samples lost, by step.
    pub lost: Vec<u64>,
    /// What is in it.
    pub total: Amount,
}

/// Use over time of one executable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Series {
    /// What runs: a path, or a name in brackets.
    pub name: String,
    /// Values, by step.
    pub values: Vec<u64>,
}

/// Use over time of what is asked for, whatever the baseline.
#[must_use]
pub fn timeline(store: &Store, query: &Query) -> Timeline {
    let seconds = (query.span.len() / TICKS_PER_SECOND).max(1);
    let step = seconds.div_ceil(MOST_STEPS) * TICKS_PER_SECOND;
    let steps = query.span.len().div_ceil(step) as usize;
    let query = Query { baseline: None, grouping: Grouping::Executable, ..query.clone() };
    let place = |tick: u32| (tick.saturating_sub(query.span.from) / step) as usize;
    let (mut groups, mut series, mut total) = (Groups::default(), Vec::<Vec<u64>>::new(), Amount::default());
    scans(store, &query, &mut groups, |scan| {
        // A file may have samples without values.
        let values = (0..).zip(&*scan.patterns).map(|(pattern, _)| scan.weight(pattern));
        let values: Vec<u64> =
            values.map(|weight| if weight.value > 0 { weight.value } else { weight.samples }).collect();
        for (_, pattern, count) in scan.counted(&scan.counts()) {
            total.add(scan.sum(pattern, count).now);
        }
        let most = scan.groups.iter().filter(|&&group| group != NOT_ASKED).max();
        series.resize_with(series.len().max(most.map_or(0, |&most| most as usize + 1)), || vec![0; steps]);
        // Neighbours are of one instant, mostly.
        let mut last = (query.span.from, 0);
        for block in scan.blocks() {
            scan.each(block, false, |group, record| {
                if record.tick != last.0 {
                    last = (record.tick, place(record.tick));
                }
                let line = series.get_mut(group as usize);
                if let Some(value) = line.and_then(|line| line.get_mut(last.1)) {
                    *value += values.get(record.pattern as usize).copied().unwrap_or_default();
                }
            });
        }
    });
    let lost = lost(store, query.span, steps, place);
    let named =
        (0..).zip(series).map(|(group, values)| Series { name: groups.name(group).to_owned(), values });
    let series =
        most_first(named.filter(|series| series.values.iter().any(|&value| value > 0)).collect(), steps);
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

fn most_first(mut series: Vec<Series>, steps: usize) -> Vec<Series> {
    series.sort_by_cached_key(|series| {
        (std::cmp::Reverse(series.values.iter().sum::<u64>()), series.name.clone())
    });
    let rest = series.split_off(series.len().min(MOST_SERIES));
    if !rest.is_empty() {
        let mut values = vec![0; steps];
        for series in &rest {
            values.iter_mut().zip(&series.values).for_each(|(sum, value)| *sum += value);
        }
        series.push(Series { name: format!("other ({})", rest.len()), values });
    }
    series
}
