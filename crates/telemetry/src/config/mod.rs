//! `service::telemetry`: how the agent reports on itself.

mod logs;
mod metrics;
mod resource;
mod traces;
mod unsupported;

use configtypes::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use logs::{LogEncoding, LogLevel, Logs, Sampling};
pub use metrics::{MetricReader, Metrics, MetricsLevel, Prometheus, Pull, PullExporter};
pub use resource::Resource;
pub use traces::{Traces, TracesLevel};

/// How the agent reports on itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Metrics of the agent.
    pub metrics: Metrics,
    /// Log of the agent.
    pub logs: Logs,
    /// Known from the Collector; the agent makes no traces of itself.
    pub traces: Traces,
    /// What the agent says it is: attributes of its own metrics and, if asked for, log lines.
    pub resource: Resource,
}

impl Telemetry {
    /// Every fault, by its key: what is wrong, what is expected, with keys as they are below `telemetry`.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = self.metrics.validate();
        faults.extend(self.logs.validate());
        faults.extend(self.traces.validate());
        faults
    }

    /// The metrics endpoint, if there is to be one.
    #[must_use]
    pub fn endpoint(&self) -> Option<&Prometheus> {
        let reader = self.metrics.readers.first().filter(|_| self.metrics.level != MetricsLevel::None)?;
        Some(&reader.pull.exporter.prometheus)
    }
}

#[cfg(test)]
mod tests;
