//! Samples and process lifecycle from the kernel, in kernel-time order, with an exact low watermark.
//!
//! ```text
//! ebpf/ rings `samples`, `lifecycle` --ring.rs--+--> decode.rs --> order.rs --> completion.rs --> Batch { events, watermark }
//! what ran before --snapshot.rs-----------------+                  ^ horizon.rs  (files.rs: numbers to files, hold.rs)
//! files and stacks that could not be followed --> unwind/ (a thread of its own: rows for ebpf/unwind.bpf.h, and the rest of those stacks)
//! ```
//!
//! Start reading at [`Receiver`]; `reader.rs` holds the loop, `horizon.rs` why the watermark is exact.

mod abi;
mod census;
mod cgroups;
mod completion;
mod config;
mod control;
mod counters;
mod cpus;
mod decode;
mod environment;
mod error;
mod files;
mod hold;
mod horizon;
mod identify;
mod kernel;
mod kernel_types;
mod loaded;
mod loader;
mod losses;
mod memory;
mod metrics;
mod order;
mod pace;
mod pid_namespace;
pub mod preflight;
mod reader;
mod receiver;
mod reread;
mod rest;
mod ring;
mod room;
mod roster;
mod sampler;
mod signals;
mod skipped;
mod snapshot;
mod stack_budget;
mod statistics;
mod symbol_at;
mod symbols;
mod sys;
mod thinning;
mod unwind;
mod verifier;

pub use config::{Config, UnwindConfig};
pub use control::Control;
pub use environment::{MAX_VARIABLES, Wanted};
pub use error::{ReceiverError, StartError};
pub use identify::{Identifier, identify};
pub use receiver::Receiver;
pub use symbols::SymbolList;

/// Parts that benchmarks and property tests drive without a kernel; no stable interface.
#[doc(hidden)]
pub mod internals {
    pub use crate::decode::{AnnouncedCgroup, AnnouncedFile, DecodeError, RawSample, Record, decode};
    pub use crate::order::{Orderer, Pending};
}
