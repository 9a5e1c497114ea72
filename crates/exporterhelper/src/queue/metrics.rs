//! The metrics of a queue, by the Collector's names.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

use crate::Settings;
use crate::config::QueueConfig;

/// Samples that did not fit into the queue.
const ENQUEUE_FAILED: &str = "otelcol_exporter_enqueue_failed_profile_samples";
/// How full the queue is.
const QUEUE_SIZE: &str = "otelcol_exporter_queue_size";
/// How full it may be.
const QUEUE_CAPACITY: &str = "otelcol_exporter_queue_capacity";
/// Requests being sent.
const IN_FLIGHT: &str = "otelcol_exporter_in_flight_requests";

#[derive(Clone, Debug)]
pub(crate) struct QueueMetrics {
    enqueue_failed: Counter,
    size: Gauge,
    in_flight: Gauge,
}

impl QueueMetrics {
    /// Describes the metrics and makes them appear.
    pub(crate) fn new(settings: &Settings, config: &QueueConfig, capacity: u64) -> Self {
        describe_counter!(ENQUEUE_FAILED, "Samples dropped since the queue of the exporter was full.");
        describe_gauge!(QUEUE_SIZE, "What the queue of the exporter holds, in units of its sizer.");
        describe_gauge!(QUEUE_CAPACITY, "What the queue of the exporter holds at most.");
        describe_gauge!(IN_FLIGHT, "Requests that the exporter is sending.");
        let labels = [("exporter", settings.id.to_string()), ("data_type", "profiles".to_owned())];
        if config.enabled {
            gauge!(QUEUE_CAPACITY, &labels).set(float(capacity));
        }
        let size = if config.enabled { gauge!(QUEUE_SIZE, &labels) } else { Gauge::noop() };
        size.set(0.0);
        let in_flight = gauge!(IN_FLIGHT, &labels);
        in_flight.set(0.0);
        let enqueue_failed = counter!(ENQUEUE_FAILED, "exporter" => settings.id.to_string());
        Self { enqueue_failed, size, in_flight }
    }

    pub(crate) fn enqueue_failed(&self, samples: u64) {
        self.enqueue_failed.increment(samples);
    }

    pub(crate) fn size(&self, used: u64) {
        self.size.set(float(used));
    }

    /// Counts a request as being sent for as long as what is returned lives.
    pub(crate) fn in_flight(&self) -> InFlight {
        self.in_flight.increment(1.0);
        InFlight(self.in_flight.clone())
    }
}

/// A request that is being sent.
#[derive(Debug)]
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Exact up to 2^53, which no queue reaches.
fn float(value: u64) -> f64 {
    value as f64
}
