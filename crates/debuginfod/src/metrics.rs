//! The metrics of fetching; their names stand here and nowhere else. They are the symbolizer's, which is the component
//! that users know.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

const FETCHED: &str = "otelcol_processor_symbolizer_debuginfod_fetched_total";
const MISSING: &str = "otelcol_processor_symbolizer_debuginfod_missing_total";
const FAILED: &str = "otelcol_processor_symbolizer_debuginfod_failed_total";
const BYTES: &str = "otelcol_processor_symbolizer_debuginfod_bytes_total";
const EVICTED: &str = "otelcol_processor_symbolizer_debuginfod_evicted_total";
const CACHE: &str = "otelcol_processor_symbolizer_debuginfod_cache_bytes";

/// Describes each metric to the recorder.
pub(crate) fn describe() {
    describe_counter!(FETCHED, Unit::Count, "Debug files fetched from debuginfod servers.");
    describe_counter!(MISSING, Unit::Count, "Debug files that no debuginfod server has.");
    describe_counter!(FAILED, Unit::Count, "Debug files that could not be fetched, by reason.");
    describe_counter!(BYTES, Unit::Bytes, "Bytes of debug files that debuginfod servers have sent.");
    describe_counter!(EVICTED, Unit::Count, "Fetched debug files that have made room for others.");
    describe_gauge!(CACHE, Unit::Bytes, "Size of the files in the cache directory.");
    counter!(FETCHED).increment(0);
    counter!(MISSING).increment(0);
}

/// Counts a file that was fetched.
pub(crate) fn fetched() {
    counter!(FETCHED).increment(1);
}

/// Counts a file that no server has.
pub(crate) fn missing() {
    counter!(MISSING).increment(1);
}

/// Counts a file that could not be fetched, from one server or at all.
pub(crate) fn failed(reason: &'static str) {
    counter!(FAILED, "reason" => reason).increment(1);
}

/// Counts bytes that a server has sent, whatever became of them.
pub(crate) fn bytes(count: usize) {
    counter!(BYTES).increment(count as u64);
}

/// Counts a file that has made room for others.
pub(crate) fn evicted() {
    counter!(EVICTED).increment(1);
}

/// Sets the size of the files in the cache directory.
pub(crate) fn cache(bytes: u64) {
    #[allow(clippy::cast_precision_loss, reason = "sizes of caches are far below 2^53")]
    gauge!(CACHE).set(bytes as f64);
}
