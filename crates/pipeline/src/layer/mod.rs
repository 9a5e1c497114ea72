//! Layers that know nothing of any component.

mod fanout;
mod instrument;

pub use fanout::{FanOut, NoBranchLeft, Settings};
pub use instrument::{Instrument, InstrumentLayer};
