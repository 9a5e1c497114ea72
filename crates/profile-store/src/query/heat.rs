//! Use below a second: a column for each second, a row for each part of it.

use serde::Serialize;

use crate::query::Query;
use crate::query::filter::{Grouping, Groups};
use crate::query::scan::scans;
use crate::store::Store;
use crate::time::{Span, TICKS_PER_SECOND};

/// Most columns: the last ones are shown.
const MOST_SECONDS: u32 = 300;

/// Samples below a second, as in FlameScope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Heat {
    /// Where it begins, in Unix milliseconds.
    pub from: u64,
    /// Rows: parts of a second.
    pub rows: u32,
    /// Samples: all of the first second from its start on, then those of the next.
    pub cells: Vec<u64>,
}

/// Samples below a second of the last seconds that are asked for.
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
