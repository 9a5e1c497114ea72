//! The agent without a configuration file, for commands that look at this machine themselves.
//!
//! ```text
//! receiver ebpf --> selection --> procinfo --> symbolizer --> fan-out --> collector (of the command)
//! ```
//!
//! The agent's configuration is made as from `--config yaml:...`, and run by the same [`Agent`](crate::run::Agent).
//! Only the selection and the collector have no section that could be written down: they belong to the command.

mod collector;
mod error;
mod selecting;

use std::sync::Arc;

use selection::SelectionLayer;

use crate::components::ComponentId;
use crate::config::{Config, ConfigError, Environment, Location};

pub(crate) use collector::{Collect, Collector};
pub(crate) use error::BuiltinError;
use selecting::Selecting;

/// Configuration of the pipeline, whose exporter is replaced. The shutdown may take long, so that no sample that is
/// held at the end is lost.
const PIPELINE: &str = "
processors: { procinfo: , symbolizer: }
exporters: { debug: }
service:
  shutdown_timeout: 60s
  pipelines: { profiles: { receivers: [ebpf], processors: [procinfo, symbolizer], exporters: [debug] } }
  telemetry: { metrics: { level: none } }
";

/// Settings of a built-in agent.
#[derive(Debug)]
pub(crate) struct Builtin<'a> {
    /// Samples per second and CPU.
    pub(crate) samples_per_second: u32,
    /// Longest time that samples wait for names, as a number with a unit.
    pub(crate) names_within: &'a str,
    /// The least severe level of lines of the log.
    pub(crate) log_level: &'a str,
    /// The file or stream that the log is written to.
    pub(crate) log_path: &'a str,
    /// Changes from the command line to the configuration.
    pub(crate) changes: Vec<Location>,
    /// The processes whose samples are gathered.
    pub(crate) selection: SelectionLayer,
    /// The end of the pipeline, which gathers the samples.
    pub(crate) collector: Collector,
}

impl Builtin<'_> {
    /// The configuration of the agent.
    ///
    /// # Errors
    /// [`ConfigError`] if a change is not sound.
    pub(crate) fn config(self, environment: Environment<'_>) -> Result<Config, ConfigError> {
        let Self { samples_per_second, names_within, log_level, log_path, .. } = self;
        let varying = format!(
            "{{ receivers: {{ ebpf: {{ samples_per_second: {samples_per_second} }} }}, \
             processors: {{ symbolizer: {{ timeout: {names_within} }} }}, \
             service: {{ telemetry: {{ logs: {{ level: {log_level}, output_paths: [{log_path}] }} }} }} }}"
        );
        let locations = [PIPELINE.to_owned(), varying].map(Location::Yaml);
        let locations: Vec<_> = locations.into_iter().chain(self.changes).collect();
        // The environment is only read where a change refers to it: variables for exporters are not meant for commands.
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use pdata::Batch;
    use selection::{Observed, Scope};

    use super::*;

    struct Nobody;

    impl Collect for Nobody {
        fn take(&mut self, _batch: &Batch) {}
    }

    fn builtin(changes: &[&str]) -> Builtin<'static> {
        let setting = |text: &&str| Location::parse_setting(text).unwrap();
        Builtin {
            samples_per_second: 997,
            names_within: "10s",
            log_level: "warn",
            log_path: "stderr",
            changes: changes.iter().map(setting).collect(),
            selection: SelectionLayer::new(Scope::Machine, Arc::<Observed>::default()),
            collector: Collector::new(Arc::new(Mutex::new(Nobody))),
        }
    }

    #[test]
    fn the_selection_is_first_and_the_collector_alone_at_the_end() {
        let exporters = |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| "http://x:1".to_owned());
        let config = builtin(&[]).config(&exporters).unwrap();
        let [pipeline] = &*config.graph.pipelines else { panic!("one pipeline") };
        let processors: Vec<_> = pipeline.processors.iter().map(|(id, _)| id.to_string()).collect();
        assert_eq!(processors, ["selection", "procinfo", "symbolizer"]);
        let exporters: Vec<_> = pipeline.exporters.iter().map(|(id, _)| id.to_string()).collect();
        assert_eq!(exporters, ["collector"]);
        assert_eq!(pipeline.receiver.1.control().samples_per_second(), 997);
        assert_eq!(config.telemetry.endpoint(), None, "no port is taken");
    }

    #[test]
    fn a_key_can_be_set_and_a_wrong_one_is_named() {
        let config = builtin(&["receivers.ebpf.samples_per_second=5"]).config(&|_| None).unwrap();
        assert_eq!(config.graph.pipelines[0].receiver.1.control().samples_per_second(), 5);
        let error = builtin(&["receivers.ebpf.nonsense=5"]).config(&|_| None).unwrap_err();
        assert!(error.to_string().contains("nonsense"), "{error}");
    }
}
