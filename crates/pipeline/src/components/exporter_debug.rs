//! The component type `exporters::debug`.

use std::io;
use std::sync::Arc;

use exporter_debug::{Config, DebugExporter};

use super::factory::{default, schema};
use super::{BoxError, BoxedStage, ExporterConfig, ExporterSettings, Factory, Stability, stage};

pub(super) const FACTORY: Factory<dyn ExporterConfig> = Factory {
    names: &["debug"],
    module: "exporter-debug",
    stability: Stability::Development,
    read: |section, faults| Some(Arc::new(section.read(faults, Config::validate)?)),
    default: default::<Config>,
    schema: schema::<Config>,
};

impl ExporterConfig for Config {
    fn start(&self, settings: &ExporterSettings) -> Result<BoxedStage, BoxError> {
        Ok(stage(DebugExporter::new(&settings.exporter, self.clone(), io::stdout())))
    }
}
