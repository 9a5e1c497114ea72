//! Layers that know nothing of any component: they stand between the stages of a pipeline.
//!
//! ```text
//! receiver --[Instrument]--> Tee --+--[Instrument]--> processor --[Instrument]--> FanOut --Inlet--+--> Sink: queue, exporter
//!                                  +--> the next pipeline                                         +--> Sink of another
//! ```

mod fanout;
mod instrument;
pub mod metrics;
mod sink;
mod stopwatch;
mod tee;

pub use fanout::{FanOut, NoBranchLeft, Outlets};
pub use instrument::{Instrument, InstrumentLayer};
pub use sink::{Inlet, Sink, SinkBounds};
pub use stopwatch::Stopwatch;
pub use tee::{NoHeadLeft, Tee};
