//! Layers that know nothing of any component.

mod fanout;
mod instrument;
mod sink;
mod tap;
mod tee;

pub use fanout::{FanOut, NoBranchLeft, Outlets};
pub use instrument::{Instrument, InstrumentLayer, Stopwatch};
pub use sink::{Inlet, Settings, Sink};
pub use tap::{Tap, TapLayer};
pub use tee::Tee;
