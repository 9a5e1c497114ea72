//! Shows people what the agent sees: for each window, which executables burned CPU.
//!
//! [`DebugExporter`] is the stage. What it prints is for eyes, not for parsers, and may change.

mod config;
mod exporter;
mod report;
mod tally;
mod text;

pub use config::{Config, Verbosity};
pub use exporter::DebugExporter;

#[cfg(test)]
mod tests;
