//! Writes profiles to a file as OTLP JSON lines: one export request a line, for later or for elsewhere.
//!
//! The Collector's `otlp_json_file` receiver reads such a file (raise its `max_log_size` to the
//! longest line); each line is also a valid body for OTLP/HTTP. [`FileExporter`] is the stage.

mod config;
mod error;
mod exporter;
mod lines;

pub use config::Config;
pub use error::OpenError;
pub use exporter::FileExporter;

#[cfg(test)]
mod tests;
