//! `exporters.otlp_grpc`.

use std::sync::Arc;
use std::time::Duration;

use exporter_otlp::{Config, OtlpExporter};

use super::factory::{default, schema};
use super::{BoxError, ExporterConfig, ExporterSettings, Factory, Stability, Stage, stage};

pub(super) const FACTORY: Factory<dyn ExporterConfig> = Factory {
    // As in the Collector, where `otlp` is the older name.
    names: &["otlp_grpc", "otlp"],
    module: "exporter-otlp",
    stability: Stability::Development,
    read: |section, faults| Some(Arc::new(section.read(faults, Config::validate)?)),
    default: default::<Config>,
    schema: schema::<Config>,
};

impl ExporterConfig for Config {
    fn start(&self, settings: &ExporterSettings) -> Result<Stage, BoxError> {
        Ok(stage(OtlpExporter::connect(&settings.exporter, self.clone())?))
    }

    fn patience(&self) -> Duration {
        self.timeout * 2
    }
}
