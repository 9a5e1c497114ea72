//! The `service` section: the components that run together, and the agent's own telemetry.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use configtypes::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use telemetry::config::{
    LogEncoding, LogLevel, Logs, MetricReader, Metrics, MetricsLevel, Prometheus, Pull, PullExporter,
    Telemetry,
};

/// Default of `shutdown_timeout`.
pub(super) const DEFAULT_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// Bounds of `shutdown_timeout`.
const SHUTDOWN_TIMEOUT_BOUNDS: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(600);

/// The components that run, and the settings of the process.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Service {
    /// Extensions to run, in the order they start; they stop in the reverse.
    pub(crate) extensions: Vec<String>,
    /// Pipelines by `profiles` or `profiles/name`.
    pub(crate) pipelines: BTreeMap<String, Pipeline>,
    /// Settings of the agent's own logs and metrics.
    pub(crate) telemetry: Telemetry,
    /// Longest that exporters may take to deliver what is left when the agent stops, or when a reload takes
    /// them out; what is left then is dropped and counted. Not known from the Collector, which has no bound.
    #[serde(with = "configtypes::GoDuration")]
    pub(crate) shutdown_timeout: Duration,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            extensions: Vec::new(),
            pipelines: BTreeMap::new(),
            telemetry: Telemetry::default(),
            shutdown_timeout: DEFAULT_SHUTDOWN_TIMEOUT,
        }
    }
}

/// The components of a pipeline, by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Pipeline {
    /// Ids of the receivers that samples come from.
    pub(crate) receivers: Vec<String>,
    /// Ids of the processors that samples pass through, in this order.
    pub(crate) processors: Vec<String>,
    /// Ids of the exporters, each of which gets all samples.
    pub(crate) exporters: Vec<String>,
}

impl Service {
    /// Every fault of the section, by its key, with the value that was expected.
    #[must_use]
    pub(super) fn validate(&self) -> Vec<Fault> {
        let mut faults: Vec<_> =
            self.telemetry.validate().into_iter().map(|fault| fault.within(["telemetry"])).collect();
        if !SHUTDOWN_TIMEOUT_BOUNDS.contains(&self.shutdown_timeout) {
            let (least, most) = SHUTDOWN_TIMEOUT_BOUNDS.into_inner();
            let found = self.shutdown_timeout;
            faults.push(Fault::at(
                ["shutdown_timeout"],
                format!("is {found:?}, expected {least:?} to {most:?}"),
            ));
        }
        faults
    }
}
