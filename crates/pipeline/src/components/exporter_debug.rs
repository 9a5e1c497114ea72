//! `exporters.debug`.

use std::io;
use std::sync::Arc;

use exporter_debug::{Config, DebugExporter};

use super::factory::{default, schema};
use super::{BoxError, ExporterConfig, ExporterSettings, Factory, Stability, Stage, stage};

pub(super) const FACTORY: Factory<dyn ExporterConfig> = Factory {
    names: &["debug"],
    module: "exporter-debug",
    stability: Stability::Development,
    read: |section, faults| Some(Arc::new(section.read(faults, Config::validate)?)),
    default: default::<Config>,
    schema: schema::<Config>,
};

impl ExporterConfig for Config {
    fn start(&self, settings: &ExporterSettings) -> Result<Stage, BoxError> {
        Ok(stage(DebugExporter::new(&settings.exporter, self.clone(), io::stdout())))
    }
}
