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

use pdata::KTime;

/// This instant, as the kernel stamps events (`CLOCK_MONOTONIC`).
#[must_use]
pub fn now() -> KTime {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
    // Neither is ever negative on this clock.
    KTime::from_nanos(seconds.unwrap_or_default() * 1_000_000_000 + nanos.unwrap_or_default())
}
