//! The component type `extensions::zpages`.

use std::sync::Arc;

use extension_zpages::{About, Config, Source, ZPages};

use super::factory::{default, schema};
use super::{BoxError, BoxFuture, Extension, ExtensionConfig, ExtensionSettings, Factory, Host, Stability};
use crate::featuregate::GATES;

pub(super) const FACTORY: Factory<dyn ExtensionConfig> = Factory {
    names: &["zpages"],
    module: "extension-zpages",
    stability: Stability::Beta,
    read: |section, faults| Some(Arc::new(section.read(faults, Config::validate)?)),
    default: default::<Config>,
    schema: schema::<Config>,
};

impl ExtensionConfig for Config {
    fn start(&self, settings: &ExtensionSettings) -> Result<Arc<dyn Extension>, BoxError> {
        // A weak reference, since the host holds the extension.
        let host = Arc::downgrade(&settings.host);
        let about = move || About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            extensions: host.upgrade().map(|host| host.extensions()).unwrap_or_default(),
            features: GATES.iter().map(|gate| (gate.id.to_owned(), gate.enabled)).collect(),
        };
        let Host { board, stacks, .. } = &*settings.host;
        let source = Source { board: Arc::clone(board), stacks: Arc::clone(stacks), about: Box::new(about) };
        let started = ZPages::start(self, source);
        Ok(Arc::new(started.map_err(|error| format!("endpoint: {error}"))?))
    }

    fn holds(&self) -> Vec<String> {
        vec![format!("tcp:{}", self.endpoint)]
    }
}

impl Extension for ZPages {
    fn stop(&self) -> BoxFuture<()> {
        Box::pin(ZPages::stop(self))
    }
}
