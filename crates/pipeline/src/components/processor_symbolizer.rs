//! `processors::symbolizer`.

use std::sync::Arc;

use processor_symbolizer::{Config, SymbolizerLayer};
use receiver_ebpf::newest_bpf_program;
use tower::Layer as _;

use super::factory::{default, schema};
use super::{BoxError, BoxedStage, Factory, ProcessorConfig, ProcessorSettings, Stability, stage};

pub(super) const FACTORY: Factory<dyn ProcessorConfig> = Factory {
    names: &["symbolizer"],
    module: "processor-symbolizer",
    stability: Stability::Development,
    read: |section, faults| Some(Arc::new(section.read(faults, Config::validate)?)),
    default: default::<Config>,
    schema: schema::<Config>,
};

impl ProcessorConfig for Config {
    fn start(&self, settings: &ProcessorSettings, next: BoxedStage) -> Result<BoxedStage, BoxError> {
        let layer = SymbolizerLayer::new(self)
            .verified_by(Arc::clone(&settings.host.sampling) as Arc<_>)
            .asks_for_newest_bpf_program(newest_bpf_program);
        Ok(stage(layer.layer(next)))
    }
}
