//! Metrics of unwind rows.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::unwind::TableSize;

/// Outcomes of reading a file.
const FILES: [&str; 8] =
    ["read", "no_tables", "gone", "replaced", "unreadable", "refused", "queue_full", "too_many_rules"];
/// Outcomes of building a page that a walk asks for.
const PAGES: [&str; 7] = ["built", "no_tables", "gone", "replaced", "unreadable", "refused", "evicted"];

/// Outcomes of following a stack whose rows were not built when it was met.
const STACKS: [&str; 5] = ["followed", "pending", "late", "over_memory", "over_budget"];

/// Describes and registers every metric, so that a scrape shows zeros rather than nothing.
pub(crate) fn register() {
    describe_counter!(FILES_TOTAL, "Files whose unwind tables were looked for, by outcome.");
    describe_counter!(
        PAGES_TOTAL,
        "Pages of unwind rows that walks asked for, by outcome, and evicted ones."
    );
    describe_counter!(
        RAW_TOTAL,
        "Stacks that met code whose unwind tables were still to be read, by what became of them."
    );
    describe_gauge!(BYTES, "Kernel memory for unwind rows.");
    describe_gauge!(ROWS, "Unwind rows.");
    describe_gauge!(RULES, "Rules that unwind rows refer to.");
    describe_gauge!(BUILD_SECONDS, "Time spent reading files and building pages of unwind rows.");
    describe_histogram!(PAGE_SECONDS, Unit::Seconds, "Time that one page of unwind rows took to build.");
    FILES.into_iter().for_each(|outcome| counter!(FILES_TOTAL, "outcome" => outcome).increment(0));
    PAGES.into_iter().for_each(|outcome| counter!(PAGES_TOTAL, "outcome" => outcome).increment(0));
    STACKS.into_iter().for_each(|outcome| stacks(outcome, 0));
    gauge!(BUILD_SECONDS).increment(0.0);
}

/// Counts a file.
pub(crate) fn file(outcome: &'static str) {
    counter!(FILES_TOTAL, "outcome" => outcome).increment(1);
}

/// Counts stacks that met code whose tables were still to be read.
pub(crate) fn stacks(outcome: &'static str, count: u64) {
    counter!(RAW_TOTAL, "outcome" => outcome).increment(count);
}

/// Counts a page that could not be built.
pub(crate) fn page(outcome: &'static str) {
    counter!(PAGES_TOTAL, "outcome" => outcome).increment(1);
}

/// Counts a page, and the time that it took.
pub(crate) fn built(time: Duration) {
    page("built");
    // A gauge stands for a counter, as its name says: counters of the `metrics` crate have no fractions.
    gauge!(BUILD_SECONDS).increment(time.as_secs_f64());
    histogram!(PAGE_SECONDS).record(time.as_secs_f64());
}

/// Reports the sizes of the tables.
pub(crate) fn size(size: TableSize) {
    let show = |name, value: u64| {
        #[allow(clippy::cast_precision_loss, reason = "a gauge holds what fits")]
        gauge!(name).set(value as f64);
    };
    show(BYTES, size.bytes);
    show(ROWS, size.rows);
    show(RULES, size.rules);
    counter!(PAGES_TOTAL, "outcome" => "evicted").absolute(size.evicted);
}

const FILES_TOTAL: &str = "otelcol_receiver_ebpf_unwind_files_total";
const PAGES_TOTAL: &str = "otelcol_receiver_ebpf_unwind_pages_total";
const RAW_TOTAL: &str = "otelcol_receiver_ebpf_unwind_raw_stacks_total";
const BYTES: &str = "otelcol_receiver_ebpf_unwind_memory_bytes";
const ROWS: &str = "otelcol_receiver_ebpf_unwind_rows";
const RULES: &str = "otelcol_receiver_ebpf_unwind_rules";
const BUILD_SECONDS: &str = "otelcol_receiver_ebpf_unwind_build_seconds_total";
const PAGE_SECONDS: &str = "otelcol_receiver_ebpf_unwind_page_build_seconds";
