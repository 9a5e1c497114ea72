//! The counters that every exporter has, by the Collector's names.

use metrics::{Counter, counter, describe_counter};

const SENT: &str = "otelcol_exporter_sent_profile_samples";
const SEND_FAILED: &str = "otelcol_exporter_send_failed_profile_samples";

/// What one exporter counts, labelled with its name: two of a type are told apart.
#[derive(Clone, Debug)]
pub struct Metrics {
    sent: Counter,
    send_failed: Counter,
}

impl Metrics {
    /// Describes the metrics and makes them appear with 0.
    #[must_use]
    pub fn of(exporter: &str) -> Self {
        describe_counter!(SENT, "Samples delivered, as the kernel took them.");
        describe_counter!(SEND_FAILED, "Samples given up on because they could not be delivered.");
        let counter = |name| counter!(name, "exporter" => exporter.to_owned());
        Self { sent: counter(SENT), send_failed: counter(SEND_FAILED) }
    }

    /// So many samples have been delivered.
    pub fn sent(&self, samples: u64) {
        self.sent.increment(samples);
    }

    /// So many samples have been given up on.
    pub fn send_failed(&self, samples: u64) {
        self.send_failed.increment(samples);
    }
}
