//! Counters of one exporter's file.

use metrics::{Counter, counter, describe_counter};

const RECOVERED: &str = "otelcol_extension_file_storage_recovered_requests_total";
const CORRUPT_RECORDS: &str = "otelcol_extension_file_storage_corrupt_requests_total";
const CORRUPT_FILES: &str = "otelcol_extension_file_storage_corrupt_files_total";
const FAILED: &str = "otelcol_extension_file_storage_failures_total";

#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// Requests that an earlier run has left.
    pub(crate) recovered: Counter,
    /// Requests that were there and are no longer whole.
    pub(crate) corrupt_records: Counter,
    /// Files beyond repair.
    pub(crate) corrupt_files: Counter,
    /// Times at which the file could not be used.
    pub(crate) failures: Counter,
}

impl Metrics {
    /// Describes the metrics and makes them appear with 0.
    pub(crate) fn of(exporter: &str) -> Self {
        describe_counter!(RECOVERED, "Requests found on disk that an earlier run of the agent left.");
        describe_counter!(CORRUPT_RECORDS, "Requests on disk that were skipped since they are not whole.");
        describe_counter!(
            CORRUPT_FILES,
            "Files beyond repair, moved aside after taking over what was whole in them."
        );
        describe_counter!(FAILED, "Times that the file could not be opened, read or written.");
        let counter = |name| counter!(name, "exporter" => exporter.to_owned());
        Self {
            recovered: counter(RECOVERED),
            corrupt_records: counter(CORRUPT_RECORDS),
            corrupt_files: counter(CORRUPT_FILES),
            failures: counter(FAILED),
        }
    }
}
