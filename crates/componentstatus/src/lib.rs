//! How the stages of the running pipelines fare: written by the graph as batches pass, read by whoever shows
//! or judges it (health check, pages, watchdog). The Collector's `componentstatus`.
//!
//! ```text
//! receiver --> [Stage::forwarded] --> processor --> [forwarded] --> fan-out [queue, dropped] --> exporter [forwarded, acked]
//!                                       Board::snapshot() -> Vec<StageView>      Board::readiness() -> Readiness
//! ```
//!
//! Writing is a few atomics a batch. Reading copies.

mod board;
mod rate;
mod readiness;
mod stage;
mod status;

pub use board::Board;
pub use readiness::{Phase, Readiness, Thresholds};
pub use stage::{Kind, Queue, Stage, StageView};
pub use status::{Failure, Status};
