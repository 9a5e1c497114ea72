//! The component type `exporters::top`.

use std::sync::Arc;

use exporter_top::{Config, TopExporter};

use super::factory::{default, schema};
use super::{BoxError, BoxedStage, ExporterConfig, ExporterSettings, Factory, Stability, stage};

pub(super) const FACTORY: Factory<dyn ExporterConfig> = Factory {
    names: &["top"],
    module: "exporter-top",
    stability: Stability::Development,
    read: |section, faults| Some(Arc::new(section.read(faults, Config::validate)?)),
    default: default::<Config>,
    schema: schema::<Config>,
};

impl ExporterConfig for Config {
    fn start(&self, settings: &ExporterSettings) -> Result<BoxedStage, BoxError> {
        let board = Arc::clone(&settings.host.board);
        Ok(stage(TopExporter::start(&settings.exporter, self, board)?))
    }

    fn check(&self, _settings: &ExporterSettings) -> Result<(), BoxError> {
        Ok(TopExporter::check(self)?)
    }

    fn holds(&self) -> Vec<String> {
        vec![format!("unix:{}", self.endpoint.display())]
    }
}
