//! Counts and log lines of servers' answers, by gRPC or HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use exporterhelper::{Delivered, DeliverySettings, SendError};
use metrics::{Counter, counter, describe_counter};
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceResponse;

use crate::reason::one_line;

const REJECTED: &str = "otelcol_exporter_otlp_rejected_profiles_total";

/// Counts and logs the answers of servers, for one exporter.
#[derive(Debug)]
pub(crate) struct Answers {
    exporter: Arc<str>,
    rejected: Counter,
    /// True once it has been logged that servers take no profiles.
    hinted: AtomicBool,
}

impl Answers {
    /// Describes the metric and makes it appear with 0.
    pub(crate) fn new(settings: &DeliverySettings) -> Arc<Self> {
        describe_counter!(REJECTED, "Profiles of delivered requests that the server says it has rejected.");
        let rejected = counter!(REJECTED, "exporter" => settings.id.to_string());
        Arc::new(Self { exporter: settings.id.clone(), rejected, hinted: AtomicBool::new(false) })
    }

    /// The delivery of a request that a server has taken, if perhaps in part, which is never mended by sending it
    /// again. As in the Collector, rejected profiles have a counter of their own.
    pub(crate) fn taken(&self, answer: ExportProfilesServiceResponse) -> Delivered {
        self.hinted.store(false, Ordering::Relaxed);
        let partial = answer.partial_success.unwrap_or_default();
        // A negative number is none.
        let rejected = u64::try_from(partial.rejected_profiles).unwrap_or(0);
        let message = one_line(&partial.error_message);
        if rejected > 0 || !message.is_empty() {
            self.rejected.increment(rejected);
            tracing::warn!(
                exporter = %self.exporter,
                error_message = message,
                dropped_profiles = rejected,
                "Partial success response."
            );
        }
        Delivered { rejected, message }
    }

    /// Logs that a server takes no profiles, once until one has taken some.
    pub(crate) fn hint(&self, error: &SendError) {
        if !self.hinted.swap(true, Ordering::Relaxed) {
            tracing::error!(
                exporter = %self.exporter, %error,
                "The server takes no profiles: a Collector needs --feature-gates=service.profilesSupport \
                 and a profiles pipeline with the otlp receiver."
            );
        }
    }
}
