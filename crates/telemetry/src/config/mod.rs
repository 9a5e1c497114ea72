//! The section `service::telemetry`: settings of the agent's reports on itself.

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

/// Settings of the agent's reports on itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Settings of the agent's metrics.
    pub metrics: Metrics,
    /// Settings of the agent's log.
    pub logs: Logs,
    /// Known from the Collector; the agent makes no traces of itself.
    pub traces: Traces,
    /// The agent's description of itself: attributes of its own metrics and, if asked for, log lines.
    pub resource: Resource,
}

impl Telemetry {
    /// Every fault, by its key as it is below `telemetry`: the problem and the value that is expected.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = self.metrics.validate();
        faults.extend(self.logs.validate());
        faults.extend(self.traces.validate());
        faults
    }

    /// The metrics endpoint, if the configuration has one.
    #[must_use]
    pub fn endpoint(&self) -> Option<&Prometheus> {
        let reader = self.metrics.readers.first().filter(|_| self.metrics.level != MetricsLevel::None)?;
        Some(&reader.pull.exporter.prometheus)
    }
}

#[cfg(test)]
mod tests;
