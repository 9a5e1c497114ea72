//! The component type `exporters::otlp_grpc`.

use std::sync::Arc;
use std::time::Duration;

use exporter_otlp::GrpcConfig;

use super::exporter_otlp_http::patience;
use super::extension_file_storage::{storage_of, with_storage};
use super::factory::{default, schema};
use super::{BoxError, BoxedStage, ExporterConfig, ExporterSettings, Factory, Stability, stage};

pub(super) const FACTORY: Factory<dyn ExporterConfig> = Factory {
    // The names are the Collector's, where `otlp` is the older one.
    names: &["otlp_grpc", "otlp"],
    module: "exporter-otlp",
    stability: Stability::Development,
    read: |section, faults| Some(Arc::new(section.read(faults, GrpcConfig::validate)?)),
    default: default::<GrpcConfig>,
    schema: schema::<GrpcConfig>,
};

impl ExporterConfig for GrpcConfig {
    fn start(&self, settings: &ExporterSettings) -> Result<BoxedStage, BoxError> {
        let exporter = with_storage(settings, &self.sending_queue)?;
        Ok(stage(exporter_otlp::grpc(&exporter, self)?))
    }

    fn extensions(&self) -> Vec<(&'static str, String)> {
        storage_of(&self.sending_queue)
    }

    fn holds(&self) -> Vec<String> {
        // Held for a queue in a file, which a successor continues.
        storage_of(&self.sending_queue).into_iter().map(|(_, storage)| format!("queue:{storage}")).collect()
    }

    fn connects_to(&self) -> Vec<String> {
        let all = std::iter::once(&self.endpoint).chain(&self.endpoints);
        all.filter(|endpoint| !endpoint.is_empty()).cloned().collect()
    }

    fn doubts(&self) -> Vec<String> {
        self.retry_on_failure.doubts(&self.sending_queue)
    }

    fn patience(&self) -> Duration {
        patience(&self.sending_queue, &self.retry_on_failure, self.timeout)
    }
}
