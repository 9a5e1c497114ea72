//! The metrics of this exporter.

use metrics::{Counter, counter, describe_counter};

const SENT: &str = "otelcol_exporter_sent_profile_samples";
const SEND_FAILED: &str = "otelcol_exporter_send_failed_profile_samples";
const REJECTED: &str = "otelcol_exporter_otlp_rejected_profiles_total";

/// What one exporter counts, labelled with its name: two of a type are told apart.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    sent: Counter,
    send_failed: Counter,
    rejected: Counter,
}

impl Metrics {
    /// Describes the metrics and makes them appear with 0.
    pub(crate) fn of(exporter: &str) -> Self {
        describe_counter!(SENT, "Samples delivered, as the kernel took them.");
        describe_counter!(SEND_FAILED, "Samples given up on because they could not be delivered.");
        describe_counter!(REJECTED, "Profiles of delivered requests that the server says it has rejected.");
        let counter = |name| counter!(name, "exporter" => exporter.to_owned());
        Self { sent: counter(SENT), send_failed: counter(SEND_FAILED), rejected: counter(REJECTED) }
    }

    /// Counted when a request is taken, even if in part: as in the Collector, the server's count of what
    /// it rejected is of profiles and is kept apart.
    pub(crate) fn sent(&self, samples: u64) {
        self.sent.increment(samples);
    }

    pub(crate) fn send_failed(&self, samples: u64) {
        self.send_failed.increment(samples);
    }

    pub(crate) fn rejected(&self, profiles: u64) {
        self.rejected.increment(profiles);
    }
}
