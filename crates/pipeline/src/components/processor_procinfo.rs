//! `processors::procinfo`.

use std::sync::Arc;

use processor_procinfo::{Config, ProcInfoLayer};
use tower::Layer as _;

use super::factory::{default, schema};
use super::{
    BoxError, BoxedStage, Factory, ProcessorConfig, ProcessorPosition, ProcessorSettings, Stability, stage,
};

pub(super) const FACTORY: Factory<dyn ProcessorConfig> = Factory {
    names: &["procinfo"],
    module: "processor-procinfo",
    stability: Stability::Development,
    read: |section, faults| Some(Arc::new(section.read(faults, Config::validate)?)),
    default: default::<Config>,
    schema: schema::<Config>,
};

impl ProcessorConfig for Config {
    fn position(&self) -> ProcessorPosition {
        ProcessorPosition::Attribution
    }

    fn start(&self, settings: &ProcessorSettings, next: BoxedStage) -> Result<BoxedStage, BoxError> {
        let layer = ProcInfoLayer::new(self)
            .shows(Arc::clone(&settings.status))
            .verified_by(Arc::clone(&settings.host.sampling) as Arc<_>)
            .keeping(settings.host.sampling.want_variables(self.variables()));
        Ok(stage(layer.layer(next)))
    }
}
