//! Counters of an exporter's samples by outcome, with the Collector's names, and its status.

use std::fmt::Display;
use std::sync::Arc;

use componentstatus::Status;
use metrics::{Counter, counter, describe_counter};

use crate::DeliverySettings;

const SENT: &str = "otelcol_exporter_sent_profile_samples";
const SEND_FAILED: &str = "otelcol_exporter_send_failed_profile_samples";

/// The counters of one exporter, labelled with its name, which distinguishes two of a type.
#[derive(Clone, Debug)]
pub struct Metrics {
    sent: Counter,
    send_failed: Counter,
    status: Arc<Status>,
}

impl Metrics {
    /// Describes the metrics and makes them appear with 0.
    #[must_use]
    pub fn of(settings: &DeliverySettings) -> Self {
        describe_counter!(SENT, "Samples delivered, as the kernel took them.");
        describe_counter!(SEND_FAILED, "Samples given up on because they could not be delivered.");
        let counter = |name| counter!(name, "exporter" => settings.id.to_string());
        Self { sent: counter(SENT), send_failed: counter(SEND_FAILED), status: settings.status.clone() }
    }

    /// Counts samples that have been delivered.
    pub fn sent(&self, samples: u64) {
        self.sent.increment(samples);
        self.status.succeeded();
    }

    /// Counts samples that have been dropped, for this reason.
    pub fn send_failed(&self, samples: u64, reason: &dyn Display) {
        self.send_failed.increment(samples);
        self.status.failed(reason);
    }
}
