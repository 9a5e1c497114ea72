//! What people at a terminal see of samples: the summary of a recording.
//!
//! Pure: no I/O, no clocks, no threads. Names are others' to choose: what is printed of them has passed
//! [`configtypes::printable`].

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
