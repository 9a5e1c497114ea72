//! Shows people the samples that the agent takes: for each window, the executables that burned CPU.
//!
//! [`DebugExporter`] is the stage. Its reports are for eyes, not for parsers, and may change.

mod config;
mod exporter;
mod report;
mod tally;
mod text;

pub use config::{Config, Verbosity};
pub use exporter::DebugExporter;

#[cfg(test)]
mod tests;
