//! The component type `exporters::flamegraph`.

use std::sync::Arc;

use configtypes::ByteSize;
use exporter_flamegraph::{Config, FlamegraphExporter};
use procfs::MemoryGroup;

use super::factory::{default, schema};
use super::{BoxError, BoxedStage, ExporterConfig, ExporterSettings, Factory, Stability, stage};

/// Number of parts of a control group's memory, one of which the page's samples take at most: names, the queues before
/// exporters and the kernel's side take theirs of the same group.
const PARTS: u64 = 16;

pub(super) const FACTORY: Factory<dyn ExporterConfig> = Factory {
    names: &["flamegraph"],
    module: "exporter-flamegraph",
    stability: Stability::Development,
    read: |section, faults| Some(Arc::new(section.read(faults, Config::validate)?)),
    default: default::<Config>,
    schema: schema::<Config>,
};

impl ExporterConfig for Config {
    fn start(&self, settings: &ExporterSettings) -> Result<BoxedStage, BoxError> {
        let config = within(self, MemoryGroup::part(PARTS));
        Ok(stage(FlamegraphExporter::start(&settings.exporter, &config)?))
    }

    fn check(&self, _settings: &ExporterSettings) -> Result<(), BoxError> {
        Ok(FlamegraphExporter::check(self)?)
    }

    fn holds(&self) -> Vec<String> {
        // Port 0 stands for any free port, which no other component holds.
        let one = |_: &u16| format!("tcp:{}", self.endpoint);
        Some(self.endpoint.port).filter(|&port| port != 0).iter().map(one).collect()
    }
}

/// The configuration with no more memory than `room`: a control group may leave less than is configured.
fn within(config: &Config, room: u64) -> Config {
    let room = ByteSize::from_bytes(room).max(*Config::MAX_MEMORY_BOUNDS.start());
    Config { max_memory: config.max_memory.min(room), ..config.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_group_bounds_what_the_page_holds() {
        let config = Config::default();
        for (room, held) in [(u64::MAX, 64), (1 << 30, 64), (6 << 20, 6), (1 << 20, 4)] {
            assert_eq!(within(&config, room).max_memory, ByteSize::from_mib(held), "{room}");
        }
    }
}
