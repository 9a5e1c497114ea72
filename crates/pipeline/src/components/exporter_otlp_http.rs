//! The component type `exporters::otlp_http`.

use std::sync::Arc;
use std::time::Duration;

use exporter_otlp::HttpConfig;
use exporterhelper::config::{QueueConfig, RetryConfig};

use super::extension_file_storage::{storage_of, with_storage};
use super::factory::{default, schema};
use super::{BoxError, BoxedStage, ExporterConfig, ExporterSettings, Factory, Stability, stage};

/// Longest time that a batch may take which is retried without end.
const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) const FACTORY: Factory<dyn ExporterConfig> = Factory {
    // The names are the Collector's, where `otlphttp` is the older one.
    names: &["otlp_http", "otlphttp"],
    module: "exporter-otlp",
    stability: Stability::Development,
    read: |section, faults| Some(Arc::new(section.read(faults, HttpConfig::validate)?)),
    default: default::<HttpConfig>,
    schema: schema::<HttpConfig>,
};

impl ExporterConfig for HttpConfig {
    fn start(&self, settings: &ExporterSettings) -> Result<BoxedStage, BoxError> {
        let exporter = with_storage(settings, &self.sending_queue)?;
        Ok(stage(exporter_otlp::http(&exporter, self)?))
    }

    fn extensions(&self) -> Vec<(&'static str, String)> {
        storage_of(&self.sending_queue)
    }

    fn holds(&self) -> Vec<String> {
        // Held for a queue in a file, which a successor continues.
        storage_of(&self.sending_queue).into_iter().map(|(_, storage)| format!("queue:{storage}")).collect()
    }

    fn connects_to(&self) -> Vec<String> {
        let all = std::iter::once(&self.endpoint).chain(&self.endpoints).chain(&self.profiles_endpoint);
        all.filter(|endpoint| !endpoint.is_empty()).cloned().collect()
    }

    fn doubts(&self) -> Vec<String> {
        self.retry_on_failure.doubts(&self.sending_queue)
    }

    fn patience(&self) -> Duration {
        patience(&self.sending_queue, &self.retry_on_failure, self.timeout)
    }
}

/// Longest time that an exporter with these settings may take to answer a batch: none if a queue takes the batch at
/// once, else the time of all attempts.
pub(super) fn patience(queue: &QueueConfig, retry: &RetryConfig, timeout: Duration) -> Duration {
    if queue.enabled && !queue.wait_for_result && !queue.block_on_overflow {
        return Duration::ZERO;
    }
    let max_elapsed_time = retry.max_elapsed_time(queue);
    if timeout.is_zero() || (retry.enabled && max_elapsed_time.is_zero()) {
        return FOR_EVER;
    }
    let attempts = if retry.enabled { max_elapsed_time } else { Duration::ZERO };
    attempts.saturating_add(timeout * 2).min(FOR_EVER)
}
