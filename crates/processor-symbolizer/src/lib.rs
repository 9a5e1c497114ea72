//! Names frames by their functions, from the symbol tables of the machine's own files.
//!
//! [`Symbolizer`] stands after the processor that attributes samples. The stage sends each address that it has no name
//! for to a thread of its own, which opens the file at first sight and keeps it open, so that it can be read after its
//! name and its process are gone. A batch waits for its names, but never longer than [`Config::timeout`]; batches leave
//! in the order in which they came. Uncertain names are left out. Lines of source, where they are
//! wanted, are looked up by a second thread, for which names do not wait. Start reading at `layer.rs`, then `hold.rs`
//! and `resolver.rs`.

mod backlog;
mod config;
mod debug_files;
mod debug_parts;
mod fair;
mod fetching;
mod files;
mod frames;
mod hold;
mod jit;
mod kernel;
mod layer;
mod line_files;
mod line_job;
mod lines;
mod metrics;
mod names;
pub mod preflight;
mod progress;
mod request;
mod resolver;
mod runtime;
mod sight;
mod sighted;
mod symbols;
mod vdso;

pub use config::{Config, Demangling};
pub use layer::{StoppedError, Symbolizer, SymbolizerLayer};

#[cfg(test)]
mod tests;
