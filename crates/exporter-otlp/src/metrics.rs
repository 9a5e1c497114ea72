//! The metrics of this exporter: those of every exporter, and one of its own.

use std::fmt::Display;

use exporterhelper::Settings;
use metrics::{Counter, counter, describe_counter};

const REJECTED: &str = "otelcol_exporter_otlp_rejected_profiles_total";

/// What one exporter counts, labelled with its name: two of a type are told apart.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    common: exporterhelper::Metrics,
    rejected: Counter,
}

impl Metrics {
    /// Describes the metrics and makes them appear with 0.
    pub(crate) fn of(settings: &Settings) -> Self {
        describe_counter!(REJECTED, "Profiles of delivered requests that the server says it has rejected.");
        let rejected = counter!(REJECTED, "exporter" => settings.id.to_string());
        Self { common: exporterhelper::Metrics::of(settings), rejected }
    }

    /// Counted when a request is taken, even if in part: as in the Collector, the server's count of what
    /// it rejected is of profiles and is kept apart.
    pub(crate) fn sent(&self, samples: u64) {
        self.common.sent(samples);
    }

    pub(crate) fn send_failed(&self, samples: u64, reason: &dyn Display) {
        self.common.send_failed(samples, reason);
    }

    pub(crate) fn rejected(&self, profiles: u64) {
        self.rejected.increment(profiles);
    }
}
