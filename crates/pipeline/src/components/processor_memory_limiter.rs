//! The component type `processors::memory_limiter`.

use std::sync::Arc;

use processor_memory_limiter::{Config, LimiterSettings, MemoryLimiterLayer};
use tower::Layer as _;

use super::factory::{default, schema};
use super::{
    BoxError, BoxedStage, Factory, ProcessorConfig, ProcessorPosition, ProcessorSettings, Stability, stage,
};

pub(super) const FACTORY: Factory<dyn ProcessorConfig> = Factory {
    names: &["memory_limiter"],
    module: "processor-memory-limiter",
    stability: Stability::Development,
    read: |section, faults| Some(Arc::new(section.read(faults, Config::validate)?)),
    default: default::<Config>,
    schema: schema::<Config>,
};

impl ProcessorConfig for Config {
    fn position(&self) -> ProcessorPosition {
        ProcessorPosition::BeforeAttribution
    }

    fn start(&self, settings: &ProcessorSettings, next: BoxedStage) -> Result<BoxedStage, BoxError> {
        let throttle = settings.host.sampling.throttle();
        let settings = LimiterSettings { id: settings.id.to_string().into(), throttle };
        Ok(stage(MemoryLimiterLayer::start(self, settings)?.layer(next)))
    }
}
