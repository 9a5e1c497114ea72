//! The component type `exporters::prometheus`.

use std::sync::Arc;

use exporter_prometheus::{Config, PrometheusExporter};

use super::factory::{default, schema};
use super::{BoxError, BoxedStage, ExporterConfig, ExporterSettings, Factory, Stability, stage};

pub(super) const FACTORY: Factory<dyn ExporterConfig> = Factory {
    names: &["prometheus"],
    module: "exporter-prometheus",
    stability: Stability::Development,
    read: |section, faults| Some(Arc::new(section.read(faults, Config::validate)?)),
    default: default::<Config>,
    schema: schema::<Config>,
};

impl ExporterConfig for Config {
    fn start(&self, settings: &ExporterSettings) -> Result<BoxedStage, BoxError> {
        let started = PrometheusExporter::start(&settings.exporter, self.clone());
        Ok(stage(started.map_err(|error| format!("endpoint: {error}"))?))
    }

    fn holds(&self) -> Vec<String> {
        // Port 0 stands for any free port, which no other component holds.
        let one = |_: &u16| format!("tcp:{}", self.endpoint);
        Some(self.endpoint.port).filter(|&port| port != 0).iter().map(one).collect()
    }
}
