//! The component type `processors::symbolizer`.

use std::sync::Arc;

use configtypes::ByteSize;
use processor_symbolizer::{Config, SymbolizerLayer};
use procfs::MemoryGroup;
use receiver_ebpf::SymbolList;
use tower::Layer as _;

use super::factory::{default, schema};
use super::{BoxError, BoxedStage, Factory, ProcessorConfig, ProcessorSettings, Stability, stage};

/// Number of parts of a control group's memory, one of which names take at most.
const PARTS: u64 = 8;

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
        // A control group may leave less memory than is configured.
        let room = ByteSize::from_bytes(MemoryGroup::part(PARTS));
        let config = Self { max_memory: self.max_memory.min(room), ..self.clone() };
        let layer = SymbolizerLayer::new(&config)
            .verified_by(Arc::clone(&settings.host.sampling) as Arc<_>)
            .lists_symbols_by(Arc::new(SymbolList))
            .fetches_debug_files()?;
        Ok(stage(layer.layer(next)))
    }
}
