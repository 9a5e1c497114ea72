//! Tables of the functions, executables, threads or processes that have used most.

use serde::Serialize;

use crate::query::filter::{Grouping, Groups};
use crate::query::frames::{FrameView, Frames};
use crate::query::members::GroupSums;
use crate::query::scan::scans;
use crate::query::view::View;
use crate::query::{Amount, Pair, Query};
use crate::stacks::ROOT;
use crate::store::Store;

/// Most rows of a table.
const MOST_ROWS: usize = 500;

/// The kind of a table's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TopBy {
    /// A row for each function, or for each module if the rules fold them.
    #[default]
    Frame,
    /// A row for each group of the query's grouping.
    Group,
}

/// A table of the functions or groups that have used most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Top {
    /// The amount of all samples.
    pub total: Amount,
    /// The amount of all samples of the baseline.
    pub then_total: Amount,
    /// The rows, the one with the largest amount of its own first.
    pub rows: Vec<TopRow>,
    /// Number of rows that were left out.
    pub left_out: usize,
}

/// A row of a [`Top`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TopRow {
    /// The function or group.
    pub frame: FrameView,
    /// The amount of samples whose leaf it is.
    pub own: Amount,
    /// The amount of samples whose stack it is in, each counted once.
    pub total: Amount,
    /// The amount of the baseline's samples whose leaf it is.
    pub then_own: Amount,
    /// The amount of the baseline's samples whose stack it is in, each counted once.
    pub then_total: Amount,
}

/// The functions or groups of a query that have used most.
#[must_use]
pub fn top(store: &Store, query: &Query, by: TopBy) -> Top {
    match by {
        TopBy::Frame => by_frame(store, query),
        TopBy::Group => by_group(store, query),
    }
}

fn by_group(store: &Store, query: &Query) -> Top {
    let sums = GroupSums::of(store, query);
    let short = |name: &str| -> FrameView {
        let is_path = query.grouping == Grouping::Executable;
        FrameView::summary(if is_path { crate::frame::base(name) } else { name }, name)
    };
    let rows = sums.groups.iter().map(|(name, sum)| (short(name), (*sum, *sum)));
    let table = table(sums.whole(), rows);
    Top { left_out: table.left_out + sums.rest.1, ..table }
}

fn by_frame(store: &Store, query: &Query) -> Top {
    let mut frames = Frames::default();
    let (mut sums, mut whole) = (Vec::new(), Pair::default());
    scans(store, query, &mut Groups::default(), |scan| {
        let counts = scan.counts();
        let mut view = View::of(scan, &counts);
        whole.add(view.total(ROOT));
        view.walk(&counts, &mut frames, &query.rules, |frame, own, total, is_outermost| {
            if sums.len() <= frame as usize {
                sums.resize(frame as usize + 1, (Pair::default(), Pair::default()));
            }
            if let Some(sum) = sums.get_mut(frame as usize) {
                sum.0.add(own);
                if is_outermost {
                    sum.1.add(total);
                }
            }
        });
    });
    table(whole, (0..).zip(sums).filter_map(|(frame, sums)| Some((frames.get(frame)?.clone(), sums))))
}

fn table(whole: Pair, rows: impl Iterator<Item = (FrameView, (Pair, Pair))>) -> Top {
    let mut rows: Vec<_> = rows.filter(|(_, (_, total))| !total.is_none()).collect();
    let key = |(frame, (own, total)): &(FrameView, (Pair, Pair))| {
        let most =
            |pair: &Pair| (pair.now.value.max(pair.then.value), pair.now.samples.max(pair.then.samples));
        (std::cmp::Reverse((most(own), most(total))), frame.name.clone())
    };
    // The rows with the largest totals are kept, too: a reader may sort by either.
    rows.sort_by_cached_key(|row| std::cmp::Reverse(row.1.1.now.value.max(row.1.1.then.value)));
    let tail = rows.split_off(rows.len().min(MOST_ROWS));
    let left_out = tail.len().saturating_sub(MOST_ROWS);
    let mut tail = tail;
    tail.sort_by_cached_key(key);
    rows.extend(tail.into_iter().take(MOST_ROWS));
    rows.sort_by_cached_key(key);
    let rows = rows.into_iter().map(|(frame, (own, total))| TopRow {
        frame,
        own: own.now,
        total: total.now,
        then_own: own.then,
        then_total: total.then,
    });
    Top { total: whole.now, then_total: whole.then, rows: rows.collect(), left_out }
}
