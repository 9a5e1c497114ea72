//! The metrics of the layers between components, whose own metrics the components name.

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

/// Samples that the fan-out's queue for an exporter had no room for. The exporter's own queue counts
/// `otelcol_exporter_enqueue_failed_profile_samples`.
pub const FANOUT_DROPPED: &str = "otelcol_exporter_fanout_dropped_samples_total";
/// Samples that were forwarded to an exporter and neither acked in time nor, as far as is known, counted.
pub const FANOUT_GIVEN_UP_SAMPLES: &str = "otelcol_exporter_fanout_given_up_samples_total";
/// Calls to an exporter that failed or were cancelled.
pub const FANOUT_GIVEN_UP: &str = "otelcol_exporter_fanout_given_up_total";
/// Bytes in the fan-out's queue for an exporter, the batch that it works on included.
pub const FANOUT_QUEUE: &str = "otelcol_exporter_fanout_queue_bytes";
/// Most bytes that the fan-out queues for an exporter.
pub const FANOUT_QUEUE_CAPACITY: &str = "otelcol_exporter_fanout_queue_capacity_bytes";
/// Samples passed to a processor. As in the Collector.
pub const INCOMING: &str = "otelcol_processor_incoming_items";
/// Samples passed on by a processor. As in the Collector.
pub const OUTGOING: &str = "otelcol_processor_outgoing_items";
/// Time that a processor works on a batch. As in the Collector.
pub const DURATION: &str = "otelcol_processor_internal_duration";

/// Registers a description of each metric with the recorder.
pub fn describe() {
    describe_counter!(
        FANOUT_DROPPED,
        "Samples dropped since the fan-out's queue for the exporter was full: it does not keep up."
    );
    describe_counter!(
        FANOUT_GIVEN_UP_SAMPLES,
        "Samples that the exporter was given and did not acknowledge in time, or at all."
    );
    describe_counter!(
        FANOUT_GIVEN_UP,
        "Calls to the exporter that were given up, by reason: error, timeout, panic, shutdown."
    );
    describe_gauge!(
        FANOUT_QUEUE,
        Unit::Bytes,
        "Bytes in the fan-out's queue for the exporter, what it works on included."
    );
    describe_gauge!(
        FANOUT_QUEUE_CAPACITY,
        Unit::Bytes,
        "Most bytes that the fan-out queues for the exporter."
    );
    describe_counter!(INCOMING, "Samples passed to the processor.");
    describe_counter!(OUTGOING, "Samples passed on by the processor.");
    describe_histogram!(DURATION, Unit::Seconds, "Time that the processor works on a batch, in seconds.");
}

/// Counter of samples at one side of a processor.
pub fn processor_items(name: &'static str, processor: &str) -> Counter {
    counter!(name, "processor" => processor.to_owned(), "otel_signal" => "profiles")
}

/// Time that a processor works on a batch, in seconds.
pub fn processor_duration(processor: &str) -> Histogram {
    histogram!(DURATION, "processor" => processor.to_owned(), "otel_signal" => "profiles")
}

/// The metrics of the queue in front of an exporter.
#[derive(Clone, Debug)]
pub(crate) struct SinkMetrics {
    exporter: String,
    pub(crate) dropped: Counter,
    pub(crate) given_up_samples: Counter,
    pub(crate) queue: Gauge,
}

impl SinkMetrics {
    /// Metrics of `exporter`, all shown from the start.
    pub(crate) fn new(exporter: &str, queue_capacity: u32) -> Self {
        let exporter = exporter.to_owned();
        let gauge = |name| gauge!(name, "exporter" => exporter.clone());
        let counter = |name| counter!(name, "exporter" => exporter.clone());
        gauge(FANOUT_QUEUE_CAPACITY).set(f64::from(queue_capacity));
        Self {
            dropped: counter(FANOUT_DROPPED),
            given_up_samples: counter(FANOUT_GIVEN_UP_SAMPLES),
            queue: gauge(FANOUT_QUEUE),
            exporter,
        }
    }

    /// Counts a call that was given up.
    pub(crate) fn given_up(&self, reason: &'static str) {
        counter!(FANOUT_GIVEN_UP, "exporter" => self.exporter.clone(), "reason" => reason).increment(1);
    }
}
