//! The last minutes of samples in bounded memory, and the answers to a page's queries. Pure: no I/O, no clocks.
//!
//! ```text
//! Batch --> feed.rs --rows--> Store: generation (open) | generation (sealed) | ... | the oldest, dropped as a whole
//!                               |
//!                               +--> query/: filter --> scan --> views of stacks --> tree, top, sandwich, timeline, ...
//! ```
//!
//! Start reading at [`Store`]; `generation.rs` describes a generation and why it is dropped as a whole.

mod block;
mod feed;
mod frame;
mod generation;
mod lineage;
mod packed;
mod patterns;
mod query;
mod records;
mod stacks;
mod store;
mod table;
mod task;
mod time;

#[cfg(test)]
mod tests;

pub use feed::Feed;
pub use frame::{FrameFlags, FrameText};
pub use generation::Generation;
pub use query::{
    Amount, Filter, FrameView, Grouping, Heat, Lost, Mode, Model, Node, Pair, ProcessEntry, ProcessSet,
    Processes, Query, Row, Rule, Rules, Sandwich, Series, Status, Timeline, Top, TopBy, TopRow, Tree, heat,
    model, model_within, processes, rows, sandwich, status, timeline, top, tree,
};
pub use records::{Kind, Weight};
pub use store::{Limits, Progress, SampleText, Store};
pub use task::{ProcessText, TaskText};
pub use time::{Span, TICK_NANOS, TICKS_PER_SECOND, Tick};
