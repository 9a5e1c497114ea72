//! Queries of a page, and the answers to them.
//!
//! ```text
//! Query --> filter.rs: patterns of a generation --> scan.rs: its samples, or the number of each pattern's
//!       --> view.rs: their stacks, with sums --> frames.rs: one number for a frame of all generations, by the rules
//!       --> merged.rs: the stacks of all generations as one tree --> tree.rs, sandwich.rs; top.rs needs no tree
//! members.rs: amounts of groups; status.rs, timeline.rs, heat.rs and processes.rs need no stacks
//! ```

mod amount;
mod branch;
mod family;
mod filter;
mod frames;
mod heat;
mod members;
mod merged;
mod model;
mod processes;
mod rows;
mod rules;
mod sandwich;
mod scan;
mod status;
mod timeline;
mod top;
mod tree;
mod view;

pub use amount::{Amount, Pair};
pub use filter::{Filter, Grouping, Mode, ProcessSet};
pub use frames::FrameView;
pub use heat::{Heat, heat};
pub use model::{Model, model, model_within};
pub use processes::{ProcessEntry, Processes, processes};
pub use rows::{Row, rows};
pub use rules::{Rule, Rules};
pub use sandwich::{Sandwich, sandwich};
pub use status::{Lost, Status, status};
pub use timeline::{Series, Timeline, timeline};
pub use top::{Top, TopBy, TopRow, top};
pub use tree::{Node, Tree, tree};

use crate::time::Span;

/// A page's query: a span of time, a filter, and how the answer is arranged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Query {
    /// The span whose samples are asked for.
    pub span: Span,
    /// An earlier or later span that `span` is compared with.
    pub baseline: Option<Span>,
    /// The samples that are asked for.
    pub filter: Filter,
    /// The property of the groups that are the first level of a tree.
    pub grouping: Grouping,
    /// Rules by which frames are hidden or folded.
    pub rules: Rules,
}

/// Number of parts of the whole: a node smaller than one of them is not shown, and its amount goes to "other".
pub(crate) const SMALLEST_PART: u64 = 1_000;
