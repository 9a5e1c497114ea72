//! The receiver's own metrics; the only place that names them.

pub(crate) mod unwind;

use std::time::Duration;

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};
use pdata::LossReason;

use crate::abi::STACK_ENDS;
use crate::counters::{Ticks, UNMAPPED};

/// Handles of the receiver's metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    accepted: Counter,
    late: Counter,
    lateness: Gauge,
    lag: Gauge,
    batches: Counter,
    rate: Gauge,
    ticks_busy: Counter,
    ticks_idle: Counter,
    ticks_outside: Counter,
    unknown_cgroups: Counter,
    asks_lost: Counter,
    unknown_files: Counter,
    /// Counters of user frames without a mapping, in the order of [`UNMAPPED`].
    frames: [Counter; UNMAPPED.len()],
    /// Counters of user stacks, in the order of [`STACK_ENDS`].
    stacks: [Counter; STACK_ENDS.len()],
}

impl Metrics {
    /// Describes and registers every metric, so that a scrape shows zeros rather than nothing.
    pub(crate) fn register() -> Self {
        describe_counter!(ACCEPTED, "Samples taken from the kernel and passed on.");
        describe_counter!(LOST, "Records that were due and will never come, by reason.");
        describe_counter!(LATE, "Events that arrived behind a watermark already given.");
        describe_gauge!(LATENESS, "The most that an event has ever been behind the watermark, in seconds.");
        describe_gauge!(
            LAG,
            "How far the watermark was behind the clock when it was last given, in seconds."
        );
        describe_counter!(
            TICKS,
            "Ticks of the sampling timers; each busy one is a sample, or counted as lost."
        );
        describe_gauge!(RATE, "Samples per second of each busy CPU, as last asked for.");
        describe_counter!(
            UNVERIFIED,
            "Files read of which the kernel did not say whether they are the ones that were met: their names, times and sizes \
             decided."
        );
        describe_counter!(BATCHES, "Batches passed on.");
        describe_counter!(FRAMES, "User frames without a mapping, by reason.");
        describe_counter!(UNKNOWN_CGROUPS, "Samples whose control groups are not known any more.");
        describe_counter!(STACKS, "User stacks, by what ended them.");
        describe_counter!(
            ASKS_LOST,
            "Pages of unwind rows that could not be asked for: a later walk tries again."
        );
        // Losses of later stages are counted there: by the fan-out, and by the memory limiter.
        let elsewhere = [LossReason::SampleQueueFull, LossReason::SampleMemoryLimit];
        for reason in LossReason::ALL.into_iter().filter(|reason| !elsewhere.contains(reason)) {
            lost(reason, 0);
        }
        let metrics = Self {
            // The Collector's labels, where `transport` is the protocol by which data came.
            accepted: counter!(ACCEPTED, "receiver" => "ebpf", "transport" => "ebpf"),
            late: counter!(LATE),
            lateness: gauge!(LATENESS),
            lag: gauge!(LAG),
            batches: counter!(BATCHES),
            rate: gauge!(RATE),
            ticks_busy: counter!(TICKS, "state" => "busy"),
            ticks_idle: counter!(TICKS, "state" => "idle"),
            ticks_outside: counter!(TICKS, "state" => "outside"),
            unknown_cgroups: counter!(UNKNOWN_CGROUPS),
            asks_lost: counter!(ASKS_LOST),
            unknown_files: counter!(FRAMES, "reason" => "unknown_file"),
            frames: UNMAPPED.map(|(_, reason)| counter!(FRAMES, "reason" => reason)),
            stacks: STACK_ENDS.map(|(end, _)| counter!(STACKS, "end" => end)),
        };
        metrics.accepted.increment(0);
        metrics.late.increment(0);
        metrics.lateness.set(0.0);
        metrics
    }

    pub(crate) fn accepted(&self, samples: u64) {
        self.accepted.increment(samples);
    }

    pub(crate) fn ticks(&self, ticks: Ticks) {
        self.ticks_busy.increment(ticks.busy);
        self.ticks_idle.increment(ticks.idle);
        self.ticks_outside.increment(ticks.outside);
    }

    /// Counts user frames that got no mapping, in the order of [`UNMAPPED`].
    pub(crate) fn frames(&self, by_reason: [u64; UNMAPPED.len()]) {
        self.frames.iter().zip(by_reason).for_each(|(frames, count)| frames.increment(count));
    }

    /// Counts user stacks by their ends, in the order of [`STACK_ENDS`].
    pub(crate) fn stacks(&self, by_end: [u64; STACK_ENDS.len()]) {
        self.stacks.iter().zip(by_end).for_each(|(stacks, count)| stacks.increment(count));
    }

    /// Counts requests for pages of unwind rows that were lost.
    pub(crate) fn asks_lost(&self, count: u64) {
        self.asks_lost.increment(count);
    }

    /// Counts mappings of files that are not known any more.
    pub(crate) fn unknown_files(&self, count: u64) {
        self.unknown_files.increment(count);
    }

    /// Counts samples whose control groups are not known any more.
    pub(crate) fn unknown_cgroups(&self, count: u64) {
        self.unknown_cgroups.increment(count);
    }

    pub(crate) fn late(&self, events: u64, most_ever: Duration) {
        self.late.increment(events);
        self.lateness.set(most_ever.as_secs_f64());
    }

    pub(crate) fn rate(&self, samples_per_second: u32) {
        self.rate.set(f64::from(samples_per_second));
    }

    pub(crate) fn batch(&self) {
        self.batches.increment(1);
    }

    pub(crate) fn lag(&self, lag: Duration) {
        self.lag.set(lag.as_secs_f64());
    }
}

pub(crate) fn lost(reason: LossReason, count: u64) {
    counter!(LOST, "reason" => reason.as_str()).increment(count);
}

/// Reports how often and how long a BPF program has run since the last report. The metric is described only here:
/// without measurement it does not exist.
pub(crate) fn runs(program: &'static str, count: u64, time: Duration) {
    describe_counter!(RUNS, "Runs of each BPF program, at telemetry level detailed.");
    describe_gauge!(RUN_SECONDS, "Time spent in each BPF program, at telemetry level detailed.");
    counter!(RUNS, "program" => program).increment(count);
    // A gauge stands for a counter, as its name says: counters of the `metrics` crate have no fractions.
    gauge!(RUN_SECONDS, "program" => program).increment(time.as_secs_f64());
}

/// Counts a file that was read without the kernel's word whether it is the one that was met.
pub(crate) fn unverified_file() {
    counter!(UNVERIFIED).increment(1);
}

const ACCEPTED: &str = "otelcol_receiver_accepted_profile_samples";
const LOST: &str = "otelcol_receiver_ebpf_records_lost_total";
const LATE: &str = "otelcol_receiver_ebpf_late_events_total";
const LATENESS: &str = "otelcol_receiver_ebpf_lateness_max_seconds";
const LAG: &str = "otelcol_receiver_ebpf_watermark_lag_seconds";
const TICKS: &str = "otelcol_receiver_ebpf_ticks_total";
const FRAMES: &str = "otelcol_receiver_ebpf_unmapped_frames_total";
const UNKNOWN_CGROUPS: &str = "otelcol_receiver_ebpf_unknown_cgroups_total";
const STACKS: &str = "otelcol_receiver_ebpf_stacks_total";
const ASKS_LOST: &str = "otelcol_receiver_ebpf_unwind_asks_lost_total";
const UNVERIFIED: &str = "otelcol_receiver_ebpf_unverified_files_total";
const RATE: &str = "otelcol_receiver_ebpf_samples_per_second";
const RUNS: &str = "otelcol_receiver_ebpf_program_runs_total";
const RUN_SECONDS: &str = "otelcol_receiver_ebpf_program_run_seconds_total";
const BATCHES: &str = "otelcol_receiver_ebpf_batches_total";
