//! The component's metrics; their names stand here and nowhere else.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::table::Evicted;

const HITS: &str = "otelcol_processor_procinfo_cache_hits_total";
const MISSES: &str = "otelcol_processor_procinfo_cache_misses_total";
const UNMAPPED: &str = "otelcol_processor_procinfo_unmapped_frames_total";
const LATE: &str = "otelcol_processor_procinfo_late_events_total";
const LOST_EXITS: &str = "otelcol_processor_procinfo_lost_exits_total";
const RECONCILED: &str = "otelcol_processor_procinfo_reconciled_total";
const EVICTED: &str = "otelcol_processor_procinfo_evicted_total";
const FILE_READS: &str = "otelcol_processor_procinfo_file_reads_total";
const REPAIRS: &str = "otelcol_processor_procinfo_repairs_total";
const ENVIRONMENT_READS: &str = "otelcol_processor_procinfo_environment_reads_total";
const CONTEXT_LOOKS: &str = "otelcol_processor_procinfo_context_looks_total";
const POD_LOOKUPS: &str = "otelcol_processor_procinfo_pod_lookups_total";
const POD_GROUPS_EVICTED: &str = "otelcol_processor_procinfo_pod_groups_evicted_total";
const SKIPPED: &str = "otelcol_processor_procinfo_skipped_file_systems";
const KNOWN: &str = "otelcol_processor_procinfo_known_processes";
const HELD: &str = "otelcol_processor_procinfo_held_processes";

/// Describes each metric to the recorder.
pub(crate) fn describe() {
    let counters = [
        (HITS, "Samples whose process image was known."),
        (MISSES, "Samples, and forks by parent, whose process image was not known, by reason."),
        (UNMAPPED, "User frames without a mapping."),
        (LATE, "Events stamped before the watermark of an earlier batch."),
        (LOST_EXITS, "Processes whose exit was not seen, but proved by what came after."),
        (RECONCILED, "Processes whose end no record reported, but a look at the kernel's own list."),
        (EVICTED, "What was forgotten without being acknowledged, by the limit that was hit."),
        (FILE_READS, "Mapped files read, by outcome."),
        (
            ENVIRONMENT_READS,
            "Environments read for OpenTelemetry's variables, by where and with what outcome.",
        ),
        (CONTEXT_LOOKS, "Looks for what processes publish of themselves, by outcome."),
        (POD_LOOKUPS, "Looks for the pod of an image when that is described, by outcome."),
        (
            POD_GROUPS_EVICTED,
            "Control groups of pods forgotten since there were too many: what is learnt of their pods later is on new images alone.",
        ),
        (REPAIRS, "Processes looked up in /proc because a record was missing, by outcome."),
    ];
    for (name, meaning) in counters {
        describe_counter!(name, Unit::Count, meaning);
    }
    describe_gauge!(
        SKIPPED,
        Unit::Count,
        "File systems that do not answer, and whose files are not read for now."
    );
    describe_gauge!(KNOWN, Unit::Count, "Processes known.");
    describe_gauge!(HELD, Unit::Count, "Processes that have exited and may still be asked about.");
}

/// Counts that are made while a batch is applied, and reported once for all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) hits: u64,
    pub(crate) misses: Misses,
    pub(crate) unmapped: u64,
    pub(crate) late: u64,
    pub(crate) lost_exits: u64,
    /// Processes whose end only a census has shown.
    pub(crate) reconciled: u64,
    pub(crate) evicted: Evicted,
    /// Replaced images that hit a limit.
    pub(crate) evicted_replaced: u64,
}

/// Misses, by the fact that was not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Misses {
    /// The sample's process.
    pub(crate) process: u64,
    /// The sample's image, of a known process.
    pub(crate) image: u64,
    /// The image that a new process was forked from.
    pub(crate) parent: u64,
    /// The sample's process, which has been forgotten before.
    pub(crate) forgotten: u64,
}

impl Tally {
    /// Adds the counts to the metrics.
    pub(crate) fn publish(&self) {
        let by_reason = [
            (MISSES, "unknown_process", self.misses.process),
            (MISSES, "unknown_image", self.misses.image),
            (MISSES, "unknown_parent", self.misses.parent),
            (MISSES, "forgotten", self.misses.forgotten),
            (EVICTED, "unreaped", self.evicted.unreaped),
            (EVICTED, "max_exited_age", self.evicted.age),
            (EVICTED, "max_exited_processes", self.evicted.processes),
            (EVICTED, "replaced_image", self.evicted_replaced),
        ];
        for (name, reason, count) in by_reason {
            counter!(name, "reason" => reason).increment(count);
        }
        for (name, count) in [
            (HITS, self.hits),
            (UNMAPPED, self.unmapped),
            (LATE, self.late),
            (LOST_EXITS, self.lost_exits),
            (RECONCILED, self.reconciled),
        ] {
            counter!(name).increment(count);
        }
    }
}

/// Sets the number of known processes, and that of the exited ones among them.
pub(crate) fn processes(known: usize, held: usize) {
    // Exact up to 2^53.
    #[allow(clippy::cast_precision_loss, reason = "counts of processes are far below 2^53")]
    let (known, held) = (known as f64, held as f64);
    gauge!(KNOWN).set(known);
    gauge!(HELD).set(held);
}

/// Sets the number of file systems whose files are not read for now.
pub(crate) fn skipped_file_systems(count: usize) {
    #[allow(clippy::cast_precision_loss, reason = "a handful")]
    gauge!(SKIPPED).set(count as f64);
}

/// Counts a file that was read.
pub(crate) fn file_read(outcome: &'static str) {
    counter!(FILE_READS, "outcome" => outcome).increment(1);
}

/// Counts an environment that was read from `/proc`.
pub(crate) fn environment_read(outcome: &'static str) {
    counter!(ENVIRONMENT_READS, "outcome" => outcome).increment(1);
}

/// Counts a search for the context that a process publishes of itself.
pub(crate) fn context_look(outcome: &'static str) {
    counter!(CONTEXT_LOOKS, "outcome" => outcome).increment(1);
}

/// One look for the pod of an image.
pub(crate) fn pod_lookup(outcome: &'static str) {
    counter!(POD_LOOKUPS, "outcome" => outcome).increment(1);
}

/// Counts a control group of a pod that made room for another.
pub(crate) fn pod_group_evicted() {
    counter!(POD_GROUPS_EVICTED).increment(1);
}

/// Counts a process that was looked up.
pub(crate) fn repair(outcome: &'static str) {
    counter!(REPAIRS, "outcome" => outcome).increment(1);
}
