//! The component's metrics; their names stand here and nowhere else.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use symbolize::AddedFunctions;

use crate::request::Unnamed;

const NAMED: &str = "otelcol_processor_symbolizer_named_frames_total";
const UNNAMED: &str = "otelcol_processor_symbolizer_unnamed_frames_total";
const TABLES: &str = "otelcol_processor_symbolizer_tables_total";
const BUILD_TIME: &str = "otelcol_processor_symbolizer_table_build_seconds_total";
const DEBUG_FILES: &str = "otelcol_processor_symbolizer_debug_files_total";
const DEBUG_PARTS: &str = "otelcol_processor_symbolizer_debug_parts_total";
const EVICTED: &str = "otelcol_processor_symbolizer_evicted_files_total";
const CACHE: &str = "otelcol_processor_symbolizer_cache_bytes";
const JIT_LISTS: &str = "otelcol_processor_symbolizer_jit_lists_total";
const JIT_FUNCTIONS: &str = "otelcol_processor_symbolizer_jit_functions_total";
const LINE_TABLES: &str = "otelcol_processor_symbolizer_line_tables_total";
const LINES: &str = "otelcol_processor_symbolizer_lines_total";
const OPEN: &str = "otelcol_processor_symbolizer_open_files";

/// Describes each metric to the recorder.
pub(crate) fn describe() {
    for (name, meaning) in [
        (NAMED, "Frames with a name."),
        (UNNAMED, "Frames without a name, by reason."),
        (TABLES, "Files opened for their symbols, by outcome."),
        (DEBUG_FILES, "Files found that may have the symbols which others were stripped of, by outcome."),
        (
            JIT_LISTS,
            "Lists of functions that processes compile at run time, perf's and jitdumps, looked for, by outcome.",
        ),
        (JIT_FUNCTIONS, "Functions of those lists, by outcome."),
        (LINE_TABLES, "Files whose debug information was looked into, by outcome."),
        (LINES, "Addresses whose lines were looked up, by outcome."),
        (DEBUG_PARTS, "Other files that have parts of a file's debug information, by part and outcome."),
        (EVICTED, "Files that have made room for others, by the limit that was hit."),
    ] {
        describe_counter!(name, Unit::Count, meaning);
    }
    describe_counter!(BUILD_TIME, Unit::Seconds, "Time spent opening files and reading their symbols.");
    describe_gauge!(CACHE, Unit::Bytes, "Memory of symbol tables and of names, about.");
    describe_gauge!(OPEN, Unit::Count, "Files held open.");
    Tally::default().publish();
}

/// Counts of a batch's frames.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) named: u64,
    pub(crate) unnamed: [u64; Unnamed::ALL.len()],
}

impl Tally {
    pub(crate) fn unnamed(&mut self, reason: Unnamed) {
        let counts = Unnamed::ALL.iter().zip(&mut self.unnamed);
        counts.filter(|(each, _)| **each == reason).for_each(|(_, count)| *count += 1);
    }

    /// Adds the counts to the metrics.
    pub(crate) fn publish(&self) {
        counter!(NAMED).increment(self.named);
        for (reason, count) in Unnamed::ALL.iter().zip(self.unnamed) {
            counter!(UNNAMED, "reason" => reason.as_str()).increment(count);
        }
    }
}

/// Counts a file that was opened, with the time that this and the reading of its tables took.
pub(crate) fn table(outcome: &'static str, took: Duration) {
    counter!(TABLES, "outcome" => outcome).increment(1);
    // A counter of whole numbers only: a gauge that only rises, as for other times.
    gauge!(BUILD_TIME).increment(took.as_secs_f64());
}

/// Counts a table whose reading takes no time worth counting.
pub(crate) fn table_without_time(outcome: &'static str) {
    counter!(TABLES, "outcome" => outcome).increment(1);
}

/// Counts a search for a list of functions that a process compiles at run time, perf's or a jitdump.
pub(crate) fn jit_list(outcome: &'static str) {
    counter!(JIT_LISTS, "outcome" => outcome).increment(1);
}

/// Counts the functions in a piece of such a list.
pub(crate) fn jit_functions(added: AddedFunctions) {
    let AddedFunctions { consumed: _, taken, overlapping, refused, full } = added;
    for (outcome, count) in
        [("taken", taken), ("overlapping", overlapping), ("refused", refused), ("full", full)]
    {
        counter!(JIT_FUNCTIONS, "outcome" => outcome).increment(count);
    }
}

/// Sets the bytes of functions that processes compile at run time.
pub(crate) fn jit(bytes: usize) {
    gauge!(CACHE, "of" => "jit").set(bytes as f64);
}

/// Counts a debug file, which may have the symbols that another was stripped of.
pub(crate) fn debug_file(outcome: &'static str) {
    counter!(DEBUG_FILES, "outcome" => outcome).increment(1);
}

/// Another file that was looked for since it has a part of a file's debug information.
pub(crate) fn debug_part(part: &'static str, outcome: &'static str) {
    counter!(DEBUG_PARTS, "part" => part, "outcome" => outcome).increment(1);
}

/// Counts a file that has made room, by the limit that was hit.
pub(crate) fn evicted(limit: &'static str) {
    counter!(EVICTED, "limit" => limit).increment(1);
}

/// Sets the bytes of tables, and the number of files held open.
pub(crate) fn tables(bytes: usize, open: usize) {
    gauge!(CACHE, "of" => "tables").set(bytes as f64);
    gauge!(OPEN).set(open as f64);
}

/// Sets the bytes of the kernel's symbols.
pub(crate) fn kernel_symbols(bytes: usize) {
    gauge!(CACHE, "of" => "kernel").set(bytes as f64);
}

/// Sets the bytes of names.
pub(crate) fn names(bytes: usize) {
    gauge!(CACHE, "of" => "names").set(bytes as f64);
}

/// Counts a file whose debug information was read.
pub(crate) fn line_table(outcome: &'static str) {
    counter!(LINE_TABLES, "outcome" => outcome).increment(1);
}

/// Counts of addresses whose lines were looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LineTally {
    pub(crate) found: u64,
    pub(crate) missing: u64,
    pub(crate) late: u64,
    pub(crate) refused: u64,
    /// Addresses whose lines were not asked for, since too many jobs waited.
    pub(crate) queue_full: u64,
}

impl LineTally {
    /// Adds the counts to the metrics.
    pub(crate) fn publish(self) {
        let Self { found, missing, late, refused, queue_full } = self;
        for (outcome, count) in [
            ("found", found),
            ("missing", missing),
            ("late", late),
            ("refused", refused),
            ("queue_full", queue_full),
        ] {
            counter!(LINES, "outcome" => outcome).increment(count);
        }
    }
}

/// Sets the bytes of lines.
pub(crate) fn lines_memory(bytes: usize) {
    gauge!(CACHE, "of" => "lines").set(bytes as f64);
}
