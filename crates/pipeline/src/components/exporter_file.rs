//! The component type `exporters::file`.

use std::path;
use std::sync::Arc;

use exporter_file::{Config, FileExporter};

use super::factory::{default, schema};
use super::{BoxError, BoxedStage, ExporterConfig, ExporterSettings, Factory, Stability, stage};

pub(super) const FACTORY: Factory<dyn ExporterConfig> = Factory {
    names: &["file"],
    module: "exporter-file",
    stability: Stability::Development,
    read: |section, faults| Some(Arc::new(section.read(faults, Config::validate)?)),
    default: default::<Config>,
    schema: schema::<Config>,
};

impl ExporterConfig for Config {
    fn start(&self, settings: &ExporterSettings) -> Result<BoxedStage, BoxError> {
        // The file is noted before it is opened, even if that fails.
        let first = self.holds().iter().all(|name| settings.host.opens_first(name));
        let config = Self { append: self.append || !first, ..self.clone() };
        let exporter = FileExporter::open(&settings.exporter, config)?;
        Ok(stage(exporter))
    }

    fn check(&self, _settings: &ExporterSettings) -> Result<(), BoxError> {
        Ok(FileExporter::check(self)?)
    }

    fn exposed(&self) -> Option<String> {
        FileExporter::doubt(self)
    }

    fn holds(&self) -> Vec<String> {
        let path = path::absolute(&self.path).unwrap_or_else(|_no_directory| self.path.clone());
        vec![format!("file:{}", path.display())]
    }
}
