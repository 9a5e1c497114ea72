//! The section `service::telemetry::logs`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use configtypes::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::unsupported::Unsupported;

/// Defaults of `sampling`, as in the Collector.
const DEFAULT_TICK: Duration = Duration::from_secs(10);
const DEFAULT_INITIAL: u64 = 10;
const DEFAULT_THEREAFTER: u64 = 100;

/// Settings of the agent's log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Logs {
    /// The least severe level that is written.
    pub level: LogLevel,
    /// The form of a line.
    pub encoding: LogEncoding,
    /// Whether lines leave out the place in the source that wrote them; messages are constant, and identify it too.
    pub disable_caller: bool,
    /// Known from the Collector, and refused if false: the agent writes no stack traces.
    pub disable_stacktrace: bool,
    /// Whether lines leave out the attributes of `resource`.
    pub disable_zap_resource: bool,
    /// Known from the Collector, and refused if true.
    pub development: bool,
    /// Thinning of repeated lines.
    pub sampling: Sampling,
    /// Outputs that lines go to, all of them: `stderr`, `stdout`, or the path of a file, which is appended to.
    pub output_paths: Vec<String>,
    /// Outputs of reports that a line could not be written, named like those of `output_paths`.
    pub error_output_paths: Vec<String>,
    /// Fields of every line.
    pub initial_fields: BTreeMap<String, serde_json::Value>,
    /// Known from the Collector, and refused: the agent does not send its log.
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub(crate) processors: Unsupported,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            level: LogLevel::default(),
            encoding: LogEncoding::default(),
            disable_caller: true,
            disable_stacktrace: true,
            disable_zap_resource: true,
            development: false,
            sampling: Sampling::default(),
            output_paths: vec!["stderr".to_owned()],
            error_output_paths: vec!["stderr".to_owned()],
            initial_fields: BTreeMap::new(),
            processors: None,
        }
    }
}

/// The level of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Details for developers.
    Debug,
    /// Events of normal operation.
    #[default]
    Info,
    /// Events that may need a look.
    Warn,
    /// Failures alone.
    Error,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogEncoding {
    /// Text for people.
    #[default]
    Console,
    /// One JSON object a line, with the Collector's keys: `level`, `ts`, `msg`.
    Json,
}

/// Thinning of repeated lines: of each message, in each `tick`, the first `initial` lines are written and then every
/// `thereafter`th.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Whether repeated lines are thinned.
    pub enabled: bool,
    /// Time after which counting starts anew.
    #[serde(with = "configtypes::GoDuration")]
    pub tick: Duration,
    /// Lines of a message written in each tick before any is left out.
    pub initial: u64,
    /// Number of lines after the first of which one is written; 0 to write none of them.
    pub thereafter: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { enabled: true, tick: DEFAULT_TICK, initial: DEFAULT_INITIAL, thereafter: DEFAULT_THEREAFTER }
    }
}

impl Logs {
    /// The files that lines are written to.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let paths = self.output_paths.iter().chain(&self.error_output_paths);
        paths.filter(|path| !["stderr", "stdout"].contains(&path.as_str())).map(Path::new)
    }

    pub(super) fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.development {
            faults.push(Fault::at(
                ["logs", "development"],
                "not supported, expected false: set logs::level: debug for more lines",
            ));
        }
        if !self.disable_stacktrace {
            faults.push(Fault::at(
                ["logs", "disable_stacktrace"],
                "not supported, expected true: the agent writes no stack traces",
            ));
        }
        if self.processors.is_some() {
            faults.push(Fault::at(
                ["logs", "processors"],
                "not supported, expected none: the agent does not send its log, read it from \
                 logs::output_paths",
            ));
        }
        if self.sampling.enabled && self.sampling.tick.is_zero() {
            faults.push(Fault::at(
                ["logs", "sampling", "tick"],
                "0s is too short, expected more than none, such as 10s",
            ));
        }
        let lists = [("output_paths", &self.output_paths), ("error_output_paths", &self.error_output_paths)];
        for (key, paths) in lists {
            for (at, path) in paths.iter().enumerate().filter(|(_, path)| !is_output(path)) {
                // The part before an @ may be a password.
                let shown = if path.contains('@') { "a URL".to_owned() } else { format!("{path:?}") };
                faults.push(Fault::at(
                    ["logs".to_owned(), key.to_string(), at.to_string()],
                    format!("{shown} is no output, expected stderr, stdout or the path of a file"),
                ));
            }
        }
        faults
    }
}

/// True if an output is no URL, which would become a file of an odd name.
fn is_output(path: &str) -> bool {
    !path.is_empty() && !path.contains("://")
}
