//! The metrics of a queue, by the Collector's names.

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use otlp_profiles::ProfilesRequest;

use crate::DeliverySettings;
use crate::config::QueueConfig;

/// Samples that did not fit into the queue.
const ENQUEUE_FAILED: &str = "otelcol_exporter_enqueue_failed_profile_samples";
/// Room of the queue that is taken up, in units of its sizer.
const QUEUE_SIZE: &str = "otelcol_exporter_queue_size";
/// Room of the whole queue, in units of its sizer.
const QUEUE_CAPACITY: &str = "otelcol_exporter_queue_capacity";
/// Requests that are being sent.
const IN_FLIGHT: &str = "otelcol_exporter_in_flight_requests";
/// Samples of a group of requests that is sent.
const SEND_SIZE: &str = "otelcol_exporter_queue_batch_send_size";
/// Bytes of a group of requests that is sent.
const SEND_BYTES: &str = "otelcol_exporter_queue_batch_send_size_bytes";

#[derive(Clone, Debug)]
pub(crate) struct QueueMetrics {
    enqueue_failed: Counter,
    send_size: Histogram,
    send_bytes: Histogram,
    size: Gauge,
    in_flight: Gauge,
}

impl QueueMetrics {
    /// Describes the metrics and makes them appear.
    pub(crate) fn new(settings: &DeliverySettings, config: &QueueConfig, capacity: u64) -> Self {
        describe_counter!(ENQUEUE_FAILED, "Samples dropped since the queue of the exporter was full.");
        describe_gauge!(QUEUE_SIZE, "What the queue of the exporter holds, in units of its sizer.");
        describe_gauge!(QUEUE_CAPACITY, "What the queue of the exporter holds at most.");
        describe_gauge!(IN_FLIGHT, "Requests that the exporter is sending.");
        describe_histogram!(SEND_SIZE, "Samples that the exporter sends at once.");
        describe_histogram!(
            SEND_BYTES,
            Unit::Bytes,
            "Bytes that the exporter sends at once, before compression."
        );
        let labels = [("exporter", settings.id.to_string()), ("data_type", "profiles".to_owned())];
        if config.enabled {
            gauge!(QUEUE_CAPACITY, &labels).set(float(capacity));
        }
        let size = if config.enabled { gauge!(QUEUE_SIZE, &labels) } else { Gauge::noop() };
        size.set(0.0);
        let in_flight = gauge!(IN_FLIGHT, &labels);
        in_flight.set(0.0);
        let enqueue_failed = counter!(ENQUEUE_FAILED, "exporter" => settings.id.to_string());
        let histogram = |name| histogram!(name, "exporter" => settings.id.to_string());
        let (send_size, send_bytes) = (histogram(SEND_SIZE), histogram(SEND_BYTES));
        Self { enqueue_failed, send_size, send_bytes, size, in_flight }
    }

    pub(crate) fn enqueue_failed(&self, samples: u64) {
        self.enqueue_failed.increment(samples);
    }

    pub(crate) fn size(&self, used: u64) {
        self.size.set(float(used));
    }

    /// Records the size of a group of requests that is about to be sent.
    pub(crate) fn sending(&self, requests: &[ProfilesRequest]) {
        self.send_size.record(float(requests.iter().map(|request| request.samples).sum()));
        self.send_bytes.record(float(requests.iter().map(|request| request.bytes.len() as u64).sum()));
    }

    /// Counts a request as being sent for as long as the returned value lives.
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

/// The number as a float, exact up to 2^53, which no queue reaches.
fn float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use metrics::with_local_recorder;
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::*;

    #[test]
    fn the_size_of_what_is_sent_at_once_is_that_of_all_its_requests() {
        let recorder = DebuggingRecorder::new();
        with_local_recorder(&recorder, || {
            let metrics = QueueMetrics::new(&DeliverySettings::new("x"), &QueueConfig::default(), 1);
            let request = |samples| ProfilesRequest { bytes: vec![0; 100].into(), samples };
            metrics.sending(&[request(3), request(4)]);
        });
        let all = recorder.snapshotter().snapshot().into_vec();
        let sizes = |name: &str| {
            let found = all.iter().find(|(key, ..)| key.key().name() == name).unwrap();
            let DebugValue::Histogram(values) = &found.3 else { panic!("{found:?}") };
            values.iter().map(|value| value.into_inner()).collect::<Vec<_>>()
        };
        assert_eq!((sizes(SEND_SIZE), sizes(SEND_BYTES)), (vec![7.0], vec![200.0]));
    }
}
