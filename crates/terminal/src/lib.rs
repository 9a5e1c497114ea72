//! Summaries of recordings for people at a terminal.
//!
//! Pure: no I/O, no clocks, no threads. Users choose names, so those that are printed have passed
//! [`textline::printable`].

mod figures;
mod names;
mod summary;
mod symbols;
mod tally;
#[cfg(test)]
mod tests;

pub use figures::{grouped, percent, shortened};
pub use names::{NameId, Names};
pub use summary::{Facts, summary};
pub use symbols::{Symbol, executable, symbols};
pub use tally::{FunctionId, Share, Tally};
