//! The component type `exporters::flamegraph`.

use std::sync::Arc;

use exporter_flamegraph::{Config, FlamegraphExporter};

use super::factory::{default, schema};
use super::{BoxError, BoxedStage, ExporterConfig, ExporterSettings, Factory, Stability, stage};

pub(super) const FACTORY: Factory<dyn ExporterConfig> = Factory {
    names: &["flamegraph"],
    module: "exporter-flamegraph",
    stability: Stability::Development,
    read: |section, faults| Some(Arc::new(section.read(faults, Config::validate)?)),
    default: default::<Config>,
    schema: schema::<Config>,
};

impl ExporterConfig for Config {
    fn start(&self, settings: &ExporterSettings) -> Result<BoxedStage, BoxError> {
        Ok(stage(FlamegraphExporter::start(&settings.exporter, self)?))
    }

    fn check(&self, _settings: &ExporterSettings) -> Result<(), BoxError> {
        Ok(FlamegraphExporter::check(self)?)
    }

    fn holds(&self) -> Vec<String> {
        // Port 0 stands for any free port, which no other component holds.
        let one = |_: &u16| format!("tcp:{}", self.endpoint);
        Some(self.endpoint.port).filter(|&port| port != 0).iter().map(one).collect()
    }
}
