//! The metrics of this exporter.

use metrics::{counter, describe_counter};

const SENT: &str = "otelcol_exporter_sent_profile_samples";
const SEND_FAILED: &str = "otelcol_exporter_send_failed_profile_samples";
const REJECTED: &str = "otelcol_exporter_otlp_rejected_profiles_total";
const EXPORTER: &str = "otlp";

/// Describes the metrics and makes them appear with 0.
pub(crate) fn describe() {
    describe_counter!(SENT, "Samples delivered, as the kernel took them.");
    describe_counter!(SEND_FAILED, "Samples given up on because they could not be delivered.");
    describe_counter!(REJECTED, "Profiles of delivered requests that the server says it has rejected.");
    sent(0);
    send_failed(0);
    rejected(0);
}

/// Counted when a request is taken, even if in part: as in the Collector, the server's count of what
/// it rejected is of profiles and is kept apart.
pub(crate) fn sent(samples: u64) {
    counter!(SENT, "exporter" => EXPORTER).increment(samples);
}

pub(crate) fn send_failed(samples: u64) {
    counter!(SEND_FAILED, "exporter" => EXPORTER).increment(samples);
}

pub(crate) fn rejected(profiles: u64) {
    counter!(REJECTED).increment(profiles);
}
