//! The component type `extensions::health_check`.

use std::sync::Arc;

use extension_health_check::{Config, HealthCheck};

use super::factory::{default, schema};
use super::{BoxError, BoxFuture, Extension, ExtensionConfig, ExtensionSettings, Factory, Stability};

pub(super) const FACTORY: Factory<dyn ExtensionConfig> = Factory {
    names: &["health_check"],
    module: "extension-health-check",
    stability: Stability::Beta,
    read: |section, faults| Some(Arc::new(section.read(faults, Config::validate)?)),
    default: default::<Config>,
    schema: schema::<Config>,
};

impl ExtensionConfig for Config {
    fn start(&self, settings: &ExtensionSettings) -> Result<Arc<dyn Extension>, BoxError> {
        let started = HealthCheck::start(self.clone(), settings.host.board.clone());
        Ok(Arc::new(started.map_err(|error| format!("endpoint: {error}"))?))
    }

    fn holds(&self) -> Vec<String> {
        vec![format!("tcp:{}", self.endpoint)]
    }
}

impl Extension for HealthCheck {
    fn stop(&self) -> BoxFuture<()> {
        Box::pin(HealthCheck::stop(self))
    }
}
