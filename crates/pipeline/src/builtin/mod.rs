//! The agent without a configuration file, for commands that look at this machine themselves.
//!
//! ```text
//! receiver ebpf --> selection --> procinfo --> symbolizer --> fan-out --> collector (of the command)
//! ```
//!
//! A configuration is made for it as from `--config yaml:...`, and run by the same [`Agent`](crate::run::Agent). Only the
//! selection and the collector have no section that could be written down: they belong to the command.

mod collector;
mod selecting;

use std::sync::Arc;

use selection::SelectionLayer;

use crate::components::ComponentId;
use crate::config::{Config, ConfigError, Environment, Location};

pub use collector::{Collect, Collector};
use selecting::Selecting;

/// The pipeline, with an exporter to be replaced. What is held at the end may take its time: nothing of it is to be
/// lost.
const PIPELINE: &str = "
processors: { procinfo: , symbolizer: }
exporters: { debug: }
service:
  shutdown_timeout: 60s
  pipelines: { profiles: { receivers: [ebpf], processors: [procinfo, symbolizer], exporters: [debug] } }
  telemetry: { metrics: { level: none } }
";

/// A built-in agent, to be started.
#[derive(Debug)]
pub struct Builtin<'a> {
    /// Samples per second of each CPU.
    pub samples_per_second: u32,
    /// The least severe level of lines of the log.
    pub log_level: &'a str,
    /// Where the log goes.
    pub log_path: &'a str,
    /// What the command line changes of all that.
    pub changes: Vec<Location>,
    /// What is looked at.
    pub selection: SelectionLayer,
    /// Who gets it.
    pub collector: Collector,
}

impl Builtin<'_> {
    /// The configuration of the agent.
    ///
    /// # Errors
    /// [`ConfigError`] if a change is not sound.
    pub fn config(self, environment: Environment<'_>) -> Result<Config, ConfigError> {
        let Self { samples_per_second, log_level, log_path, .. } = self;
        let varying = format!(
            "{{ receivers: {{ ebpf: {{ samples_per_second: {samples_per_second} }} }}, service: {{ telemetry: {{ \
             logs: {{ level: {log_level}, output_paths: [{log_path}] }} }} }} }}"
        );
        let locations = [PIPELINE.to_owned(), varying].map(Location::Yaml);
        let locations: Vec<_> = locations.into_iter().chain(self.changes).collect();
        // Of the environment only what a change refers to: variables for exporters are none of a command's.
        let environment = |name: &str| if name.starts_with("OTEL_") { None } else { environment(name) };
        let mut config = Config::load(&locations, &environment)?;
        for pipeline in &mut config.graph.pipelines {
            pipeline.exporters = vec![(ComponentId::of("collector"), Arc::new(self.collector.clone()))];
            let selecting = Selecting { layer: self.selection.clone() };
            pipeline.processors.insert(0, (ComponentId::of("selection"), Arc::new(selecting)));
        }
        Ok(config)
    }
}
