//! The metrics of the assembled agent; the components name their own.

use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};

/// Samples that a full queue kept from an exporter. As in the Collector.
pub const ENQUEUE_FAILED: &str = "otelcol_exporter_enqueue_failed_profile_samples";
/// Samples that an exporter was given and did not deliver. As in the Collector.
pub const SEND_FAILED: &str = "otelcol_exporter_send_failed_profile_samples";
/// Calls to an exporter that failed or were cancelled.
pub const GIVEN_UP: &str = "otelcol_exporter_fanout_given_up_total";
/// Bytes queued for an exporter, what it works on included. As in the Collector.
pub const QUEUE_SIZE: &str = "otelcol_exporter_queue_size";
/// Most bytes that may be queued for an exporter. As in the Collector.
pub const QUEUE_CAPACITY: &str = "otelcol_exporter_queue_capacity";
/// Samples passed to a processor. As in the Collector.
pub const INCOMING: &str = "otelcol_processor_incoming_items";
/// Samples passed on by a processor. As in the Collector.
pub const OUTGOING: &str = "otelcol_processor_outgoing_items";
/// Time since the agent started. As in the Collector.
pub const UPTIME: &str = "otelcol_process_uptime";
/// CPU time of the agent. As in the Collector.
pub const CPU: &str = "otelcol_process_cpu_seconds";
/// Memory of the agent. As in the Collector.
pub const RSS: &str = "otelcol_process_memory_rss";

/// Tells the recorder what each metric means.
pub fn describe() {
    describe_counter!(ENQUEUE_FAILED, "Samples dropped since the queue of the exporter was full.");
    describe_counter!(
        SEND_FAILED,
        "Samples that the exporter was given and did not deliver, or did not acknowledge in time."
    );
    describe_counter!(
        GIVEN_UP,
        "Calls to the exporter that were given up, by reason: error, timeout, panic, shutdown."
    );
    describe_gauge!(
        QUEUE_SIZE,
        Unit::Bytes,
        "Bytes in the queue of the exporter, what it works on included."
    );
    describe_gauge!(QUEUE_CAPACITY, Unit::Bytes, "Most bytes that the queue of the exporter holds.");
    describe_counter!(INCOMING, "Samples passed to the processor.");
    describe_counter!(OUTGOING, "Samples passed on by the processor.");
    describe_gauge!(UPTIME, Unit::Seconds, "Time since the agent started.");
    describe_gauge!(CPU, Unit::Seconds, "CPU time the agent has used, user and system.");
    describe_gauge!(RSS, Unit::Bytes, "Memory of the agent that is resident.");
}

/// The number of items, as a counter takes it.
pub(crate) fn count(items: impl Iterator) -> u64 {
    items.fold(0, |count, _| count + 1)
}

/// Counter of samples at one side of a processor.
pub fn processor_items(name: &'static str, processor: &str) -> Counter {
    counter!(name, "processor" => processor.to_owned(), "otel_signal" => "profiles")
}

/// What the fan-out counts for one exporter.
#[derive(Clone, Debug)]
pub(crate) struct BranchMetrics {
    exporter: String,
    pub(crate) enqueue_failed: Counter,
    pub(crate) send_failed: Counter,
    pub(crate) queue_size: Gauge,
}

impl BranchMetrics {
    /// Metrics of `exporter`, all shown from the start.
    pub(crate) fn new(exporter: &str, queue_capacity: u32) -> Self {
        let labels = [("exporter", exporter.to_owned()), ("data_type", "profiles".to_owned())];
        gauge!(QUEUE_CAPACITY, &labels).set(f64::from(queue_capacity));
        Self {
            exporter: exporter.to_owned(),
            enqueue_failed: counter!(ENQUEUE_FAILED, "exporter" => exporter.to_owned()),
            send_failed: counter!(SEND_FAILED, "exporter" => exporter.to_owned()),
            queue_size: gauge!(QUEUE_SIZE, &labels),
        }
    }

    /// Counts a call that was given up.
    pub(crate) fn given_up(&self, reason: &'static str) {
        counter!(GIVEN_UP, "exporter" => self.exporter.clone(), "reason" => reason).increment(1);
    }
}
