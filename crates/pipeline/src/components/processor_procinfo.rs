//! The component type `processors::procinfo`.

use std::sync::Arc;

use processor_procinfo::{Config, ProcInfoLayer, check_k8s};
use procfs::MemoryGroup;
use receiver_ebpf::Wanted;
use tower::Layer as _;

use super::factory::{default, schema};
use super::{
    BoxError, BoxedStage, Factory, ProcessorConfig, ProcessorPosition, ProcessorSettings, Stability, stage,
};

/// Number of parts of a control group's memory, one of which exited processes take at most.
const PARTS: u64 = 4;

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
        // Anything else that goes wrong with it may pass, and is tried again.
        self.k8s.as_ref().map_or(Ok(()), check_k8s)?;
        let wanted = Wanted { variables: self.variables(), argument_bytes: self.argument_bytes() };
        // A control group may leave less memory than is configured.
        let room = MemoryGroup::part(PARTS) / Config::EXITED_PROCESS_BYTES as u64;
        let most = usize::try_from(room).unwrap_or(usize::MAX);
        let config = Self { max_exited_processes: self.max_exited_processes.min(most), ..self.clone() };
        let layer = ProcInfoLayer::new(&config)
            .shows(Arc::clone(&settings.status))
            .verified_by(Arc::clone(&settings.host.sampling) as Arc<_>)
            .keeping(settings.host.sampling.want(wanted));
        Ok(stage(layer.layer(next)))
    }
}
