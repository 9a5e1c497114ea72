//! Samples below a second: a column for each second, a row for each step of it.

use serde::Serialize;

use crate::query::Query;
use crate::query::filter::{Grouping, Groups};
use crate::query::scan::scans;
use crate::store::Store;
use crate::time::{Span, TICKS_PER_SECOND};

/// Most columns, which are seconds: the last ones are shown.
const MOST_SECONDS: u32 = 300;

/// Numbers of samples by second and step of the second, as in FlameScope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Heat {
    /// Start of the first column, in Unix milliseconds.
    pub from: u64,
    /// Number of rows, which are the steps of a second.
    pub rows: u32,
    /// Numbers of samples: the cells of the first second from its start on, then those of the next.
    pub cells: Vec<u64>,
}

/// The numbers of samples of the last seconds of a query's span, by step.
#[must_use]
pub fn heat(store: &Store, query: &Query) -> Heat {
    let from = query.span.from.max(query.span.until.saturating_sub(MOST_SECONDS * TICKS_PER_SECOND));
    let span = Span { from: from - from % TICKS_PER_SECOND, until: query.span.until };
    let query = Query { span, baseline: None, grouping: Grouping::None, ..query.clone() };
    let mut cells = vec![0; span.len() as usize];
    scans(store, &query, &mut Groups::default(), |scan| {
        for block in scan.blocks() {
            scan.each(block, false, |_, record| {
                if let Some(cell) = cells.get_mut((record.tick - span.from) as usize) {
                    *cell += scan.weight(record.pattern).samples;
                }
            });
        }
    });
    Heat { from: store.unix_millis(span.from), rows: TICKS_PER_SECOND, cells }
}
