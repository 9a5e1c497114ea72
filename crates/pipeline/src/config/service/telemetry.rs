//! `service.telemetry`: how the agent reports on itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Host of the Prometheus endpoint.
const DEFAULT_METRICS_HOST: &str = "localhost";
/// Port of the Prometheus endpoint, as in the Collector.
const DEFAULT_METRICS_PORT: u16 = 8888;

/// How the agent reports on itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Metrics of the agent.
    pub metrics: Metrics,
    /// Log of the agent.
    pub logs: Logs,
}

impl Telemetry {
    /// Every fault, as `key: what is wrong, what is expected`.
    #[must_use]
    pub(super) fn validate(&self) -> Vec<String> {
        let metrics = &self.metrics;
        let mut faults = Vec::new();
        if metrics.level != MetricsLevel::None && metrics.readers.is_empty() {
            faults.push(
                "metrics::readers: collector telemetry metrics reader should exist when metric level is not none"
                    .to_owned(),
            );
        }
        if metrics.readers.len() > 1 {
            faults.push("metrics::readers: only one reader is supported".to_owned());
        }
        for (at, reader) in metrics.readers.iter().enumerate() {
            if reader.pull.exporter.prometheus.host.is_empty() {
                faults.push(format!(
                    "metrics::readers::{at}::pull::exporter::prometheus::host: must not be empty, expected a host \
                     name or an address such as 0.0.0.0"
                ));
            }
        }
        faults
    }

    /// The metrics endpoint, if there is to be one.
    #[must_use]
    pub fn endpoint(&self) -> Option<&Prometheus> {
        let reader = self.metrics.readers.first().filter(|_| self.metrics.level != MetricsLevel::None)?;
        Some(&reader.pull.exporter.prometheus)
    }
}

/// Metrics of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// How much is measured.
    pub level: MetricsLevel,
    /// Who may read it; at most one.
    pub readers: Vec<Reader>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { level: MetricsLevel::default(), readers: vec![Reader::default()] }
    }
}

/// How much is measured. All but `none` are the same so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MetricsLevel {
    /// Nothing: no endpoint is opened.
    None,
    /// The essential.
    Basic,
    /// What is useful day by day.
    #[default]
    Normal,
    /// Everything.
    Detailed,
}

/// One reader of metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reader {
    /// A reader that fetches.
    pub pull: Pull,
}

/// A reader that fetches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pull {
    /// What it fetches from.
    pub exporter: PullExporter,
}

/// What a reader fetches from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PullExporter {
    /// An endpoint in Prometheus' text format.
    pub prometheus: Prometheus,
}

/// An endpoint in Prometheus' text format, at `/metrics`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prometheus {
    /// Host name or address to listen on.
    pub host: String,
    /// Port to listen on; 0 for any that is free.
    pub port: u16,
}

impl Default for Prometheus {
    fn default() -> Self {
        Self { host: DEFAULT_METRICS_HOST.to_owned(), port: DEFAULT_METRICS_PORT }
    }
}

/// Log of the agent, to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Logs {
    /// Least severe level that is written.
    pub level: LogLevel,
    /// How a line is written.
    pub encoding: LogEncoding,
}

/// Level of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For developers.
    Debug,
    /// What happens in normal operation.
    #[default]
    Info,
    /// What may need a look.
    Warn,
    /// What failed.
    Error,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogEncoding {
    /// For people.
    #[default]
    Console,
    /// One JSON object a line.
    Json,
}
