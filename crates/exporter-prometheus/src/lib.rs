//! CPU time and samples of each executable, container, service or unit, as counters for Prometheus to scrape: the
//! Collector's `prometheus` exporter for profiles.
//!
//! ```text
//! Batch --> exporter.rs --by image--> series_labels.rs --labels--> table.rs (bounded) --snapshot--> text.rs --> GET /metrics
//! ```
//!
//! Start reading at [`PrometheusExporter`]; `table.rs` bounds the number of series and ends them.

mod config;
mod exporter;
mod labels;
mod metrics;
mod series_labels;
mod serve;
mod table;
mod text;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use exporter::PrometheusExporter;
pub use labels::Label;
