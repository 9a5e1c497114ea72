//! Samples and process lifecycle from the kernel, in kernel-time order, with an exact low watermark.
//!
//! ```text
//! ebpf/ rings `samples`, `lifecycle` --ring.rs--+
//! perf sideband, one ring a CPU --sideband.rs---+--> decode.rs --> order.rs --> Batch { events, watermark }
//! what ran before --snapshot.rs-----------------+        ^ clock.rs: horizon
//! ```
//!
//! Start reading at [`Receiver`]; `reader.rs` holds the loop, `horizon.rs` why the watermark is exact.

mod abi;
mod census;
mod clock;
mod config;
mod control;
mod counters;
mod cpus;
mod decode;
mod error;
mod horizon;
mod loader;
mod metrics;
mod order;
mod perf_record;
pub mod preflight;
mod reader;
mod receiver;
mod ring;
mod roster;
mod sampler;
mod sideband;
mod skipped;
mod snapshot;
mod statistics;
mod sys;

pub use config::Config;
pub use control::Control;
pub use error::{ReceiverError, StartError};
pub use receiver::Receiver;

/// Parts that benchmarks and property tests drive without a kernel; no stable interface.
#[doc(hidden)]
pub mod internals {
    pub use crate::decode::{DecodeError, decode};
    pub use crate::order::Orderer;
    pub use crate::perf_record::decode as decode_sideband;
}
