//! Writes profiles to files: OTLP as JSON lines or protobuf, pprof, folded stacks.
//!
//! [`FileExporter`] is the stage. `source.rs` gathers windows, `output.rs` chooses the file of each (templates,
//! rotation), `format.rs` encodes its record, `records.rs` and `tail.rs` see to it that a file holds whole records,
//! whatever failed.
//!
//! The Collector's `otlp_json_file` receiver reads the JSON lines (raise its `max_log_size` to the longest line); each
//! line is also a valid body for OTLP/HTTP. Length-prefixed messages have the form that the Collector's file exporter
//! writes; each is a whole request, compressed by itself.

mod backups;
mod config;
mod error;
mod exporter;
mod format;
mod frame;
mod open;
mod output;
mod records;
mod source;
mod tail;
mod template;

pub use config::{Compression, Config, Format, Fsync, Rotation};
pub use error::OpenError;
pub use exporter::FileExporter;

#[cfg(test)]
mod tests;
