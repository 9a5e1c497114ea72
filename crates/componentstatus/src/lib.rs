//! State of the stages of the running pipelines, like the Collector's `componentstatus`: the graph writes it as batches
//! pass, and the health check, the pages and the watchdog read it.
//!
//! ```text
//! receiver --> [Stage::forwarded] --> processor --> [forwarded] --> fan-out [queue, dropped] --> exporter [forwarded, acked]
//!                                       Board::snapshot() -> Vec<StageView>      Board::readiness() -> Readiness
//! ```
//!
//! Writing costs a few atomics a batch. Reading copies.

mod board;
mod rate;
mod readiness;
mod stage;
mod status;

pub use board::Board;
pub use readiness::{Phase, Readiness, Thresholds};
pub use stage::{Kind, Queue, Stage, StageView};
pub use status::{Failure, Status};
