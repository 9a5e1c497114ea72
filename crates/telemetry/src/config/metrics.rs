//! The section `service::telemetry::metrics`.

use configtypes::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::unsupported::Unsupported;

/// Host of the Prometheus endpoint.
const DEFAULT_HOST: &str = "localhost";
/// Port of the Prometheus endpoint, as in the Collector.
const DEFAULT_PORT: u16 = 8888;

/// Settings of the agent's metrics.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// The level from which on metrics are exposed.
    pub level: MetricsLevel,
    /// Endpoints at which metrics can be read; at most one.
    pub readers: Vec<MetricReader>,
    /// Known from the Collector, and refused: the level decides what is exposed.
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub(crate) views: Unsupported,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { level: MetricsLevel::default(), readers: vec![MetricReader::default()], views: None }
    }
}

/// The amount of metrics that the agent exposes. Each level has the metrics of the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MetricsLevel {
    /// No metrics: no endpoint is opened.
    None,
    /// Metrics that show whether the agent works, and what it costs.
    Basic,
    /// Metrics that are useful day by day.
    #[default]
    Normal,
    /// Histograms too, and the run time of each BPF program, which the kernel then measures for every BPF program
    /// of the machine.
    Detailed,
}

/// A reader of metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MetricReader {
    /// Settings of a reader that fetches.
    pub pull: Pull,
    /// Known from the Collector, and refused: the agent does not send its metrics.
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub(crate) periodic: Unsupported,
}

/// Settings of a reader that fetches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pull {
    /// The endpoint that the reader fetches from.
    pub exporter: PullExporter,
}

/// The endpoint that a reader fetches from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PullExporter {
    /// An endpoint for Prometheus.
    pub prometheus: Prometheus,
}

/// An endpoint for Prometheus, at `/metrics`: in its text format, or as OpenMetrics if the client asks for that.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prometheus {
    /// Host name or address to listen on.
    pub host: String,
    /// Port to listen on; 0 for any that is free.
    pub port: u16,
    /// Whether series lack the labels `otel_scope_name` and `otel_scope_version`.
    pub without_scope_info: bool,
    /// Whether names that a Collector has are exactly those, without `_total`, and of no type.
    pub without_type_suffix: bool,
    /// Whether names that a Collector has stay without their unit, `_seconds` or `_bytes`.
    pub without_units: bool,
    /// Known from the Collector, and refused: attributes of the resource are labels of `target_info` only.
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub(crate) with_resource_constant_labels: Unsupported,
}

impl Default for Prometheus {
    fn default() -> Self {
        Self {
            host: DEFAULT_HOST.to_owned(),
            port: DEFAULT_PORT,
            without_scope_info: true,
            without_type_suffix: true,
            without_units: true,
            with_resource_constant_labels: None,
        }
    }
}

impl Metrics {
    pub(super) fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.level != MetricsLevel::None && self.readers.is_empty() {
            faults.push(Fault::at(
                ["metrics", "readers"],
                "collector telemetry metrics reader should exist when metric level is not none",
            ));
        }
        if self.readers.len() > 1 {
            faults.push(Fault::at(["metrics", "readers"], "only one reader is supported"));
        }
        if self.views.is_some() {
            faults.push(Fault::at(
                ["metrics", "views"],
                "not supported, expected metrics::level to choose what is exposed",
            ));
        }
        for (at, reader) in self.readers.iter().enumerate() {
            faults.extend(
                reader
                    .validate()
                    .into_iter()
                    .map(|fault| fault.within(["metrics".to_owned(), "readers".to_owned(), at.to_string()])),
            );
        }
        faults
    }
}

impl MetricReader {
    fn validate(&self) -> Vec<Fault> {
        let prometheus = &self.pull.exporter.prometheus;
        let mut faults = Vec::new();
        if self.periodic.is_some() {
            faults.push(Fault::at(
                ["periodic"],
                "not supported, expected pull: the agent does not send its metrics",
            ));
        }
        if prometheus.host.is_empty() {
            faults.push(Fault::at(
                ["pull", "exporter", "prometheus", "host"],
                "must not be empty, expected a host name or an address such as \
                 0.0.0.0",
            ));
        }
        if prometheus.with_resource_constant_labels.is_some() {
            faults.push(Fault::at(
                ["pull", "exporter", "prometheus", "with_resource_constant_labels"],
                "not supported, expected queries to join \
                 target_info",
            ));
        }
        faults
    }
}
