//! Who has used most: functions, executables, threads, processes.

use serde::Serialize;

use crate::query::filter::{Grouping, Groups};
use crate::query::frames::FrameView;
use crate::query::scan::scan;
use crate::query::view::Views;
use crate::query::{Amount, Pair, Query};
use crate::store::Store;

/// Most rows of a table.
const MOST_ROWS: usize = 500;

/// What a table's rows are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TopBy {
    /// Functions, or modules if the rules put them together.
    #[default]
    Frame,
    /// The query's grouping.
    Group,
}

/// A table of who has used most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Top {
    /// What all samples add up to.
    pub total: Amount,
    /// As `total`, in the baseline.
    pub then_total: Amount,
    /// Most first, by what is their own.
    pub rows: Vec<TopRow>,
    /// Rows that were left out.
    pub left_out: usize,
}

/// A row of a [`Top`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TopRow {
    /// Who.
    pub frame: FrameView,
    /// Of samples that end in it.
    pub own: Amount,
    /// Of samples that it is in, each counted once.
    pub total: Amount,
    /// As `own`, in the baseline.
    pub then_own: Amount,
    /// As `total`, in the baseline.
    pub then_total: Amount,
}

/// Who has used most.
#[must_use]
pub fn top(store: &Store, query: &Query, by: TopBy) -> Top {
    match by {
        TopBy::Frame => by_frame(store, query),
        TopBy::Group => by_group(store, query),
    }
}

fn by_group(store: &Store, query: &Query) -> Top {
    let (mut groups, mut sums) = (Groups::default(), Vec::new());
    for generation in store.generations() {
        scan(generation, query, &mut groups, |group, record, weight| {
            if sums.len() <= group as usize {
                sums.resize(group as usize + 1, (Pair::default(), Pair::default()));
            }
            if let Some((own, total)) = sums.get_mut(group as usize) {
                own.add(Pair::of(query, record.tick, weight));
                *total = *own;
            }
        });
    }
    let mut whole = Pair::default();
    sums.iter().for_each(|(_, total)| whole.add(*total));
    let frames = (0..).zip(&sums).map(|(group, _)| {
        let name = groups.name(group);
        let short = if query.grouping == Grouping::Executable { crate::frame::base(name) } else { name };
        FrameView::summary(short, name)
    });
    table(whole, frames.collect::<Vec<_>>().into_iter().zip(sums))
}

fn by_frame(store: &Store, query: &Query) -> Top {
    let views = Views::of(store, query);
    let mut sums = vec![(Pair::default(), Pair::default()); views.frames.len()];
    for at in 0..crate::table::number(views.views.len()) {
        walk(&views, at, |frame, own, total, is_outermost| {
            if let Some(sum) = sums.get_mut(frame as usize) {
                sum.0.add(own);
                if is_outermost {
                    sum.1.add(total);
                }
            }
        });
    }
    let frames = (0..).zip(&sums).map(|(frame, _)| views.frames.get(frame).cloned().unwrap_or_default());
    table(views.total(), frames.collect::<Vec<_>>().into_iter().zip(sums))
}

fn table(whole: Pair, rows: impl Iterator<Item = (FrameView, (Pair, Pair))>) -> Top {
    let mut rows: Vec<_> = rows.filter(|(_, (_, total))| !total.is_none()).collect();
    let key = |(frame, (own, total)): &(FrameView, (Pair, Pair))| {
        let most =
            |pair: &Pair| (pair.now.value.max(pair.then.value), pair.now.samples.max(pair.then.samples));
        (std::cmp::Reverse((most(own), most(total))), frame.name.clone())
    };
    // Those with the largest totals, too: a reader may sort by either.
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

/// Calls `each` for every node of a view that is shown, the callers first: with its frame, its own and total sums (what
/// is not shown below it belongs to it), and whether none of its callers is the same frame.
pub(crate) fn walk(views: &Views, view: u32, mut each: impl FnMut(u32, Pair, Pair, bool)) {
    let mut on_path = vec![0_u32; views.frames.len()];
    // The frame that stands for the callers of what is pending, and whether the frame is to be left again.
    let mut pending: Vec<((u32, u32), Option<u32>, bool)> = vec![((view, 0), None, false)];
    while let Some((at, above, is_leaving)) = pending.pop() {
        let Some(node) = views.node(at) else { continue };
        if is_leaving {
            if let Some(count) = node.shown.and_then(|frame| on_path.get_mut(frame as usize)) {
                *count -= 1;
            }
            continue;
        }
        let frame = node.shown.or(above);
        match node.shown {
            Some(shown) => {
                if let Some(count) = on_path.get_mut(shown as usize) {
                    each(shown, node.own, node.total, *count == 0);
                    *count += 1;
                    pending.push((at, above, true));
                }
            }
            // What a hidden frame has of its own is its caller's.
            None => {
                if let Some(above) = above.filter(|_| !node.own.is_none()) {
                    each(above, node.own, Pair::default(), false);
                }
            }
        }
        pending.extend(views.children(at).map(|child| (child, frame, false)));
    }
}
