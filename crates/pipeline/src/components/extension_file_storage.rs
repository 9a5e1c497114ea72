//! The component type `extensions::file_storage`.

use std::sync::Arc;

use exporterhelper::config::QueueConfig;
use extension_file_storage::{Config, FileStorage};

use super::factory::{default, schema};
use super::id::ComponentId;
use super::{BoxError, ExporterSettings, Extension, ExtensionConfig, ExtensionSettings, Factory, Stability};

pub(super) const FACTORY: Factory<dyn ExtensionConfig> = Factory {
    names: &["file_storage"],
    module: "extension-file-storage",
    stability: Stability::Development,
    read: |section, faults| Some(Arc::new(section.read(faults, Config::validate)?)),
    default: default::<Config>,
    schema: schema::<Config>,
};

impl ExtensionConfig for Config {
    fn start(&self, _settings: &ExtensionSettings) -> Result<Arc<dyn Extension>, BoxError> {
        Ok(Arc::new(FileStorage::open(self.clone())?))
    }

    fn check(&self) -> Result<(), BoxError> {
        FileStorage::check(self).map_err(|error| {
            format!("directory: cannot create a file in {}: {error}", self.directory.display()).into()
        })
    }
}

impl Extension for FileStorage {}

/// An exporter's settings, with the storage that its queue names.
pub(super) fn with_storage(
    settings: &ExporterSettings,
    queue: &QueueConfig,
) -> Result<exporterhelper::DeliverySettings, BoxError> {
    let mut exporter = settings.exporter.clone();
    for (key, name) in storage_of(queue) {
        let found = ComponentId::parse(&name).ok().and_then(|id| settings.host.extension::<FileStorage>(&id));
        let found = found.ok_or_else(|| format!("{key}: extension {name:?} does not store anything"))?;
        exporter.storage = Some(found);
    }
    Ok(exporter)
}

/// The storage that a queue names, with the key, for [`extensions`](super::ExporterConfig::extensions).
pub(super) fn storage_of(queue: &QueueConfig) -> Vec<(&'static str, String)> {
    let storage = queue.storage.as_ref().filter(|_| queue.enabled);
    storage.map(|name| ("sending_queue::storage", name.clone())).into_iter().collect()
}
