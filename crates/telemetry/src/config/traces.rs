//! The section `service::telemetry::traces`: accepted as far as it switches traces off.

use configtypes::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::unsupported::Unsupported;

/// Settings of traces, known from the Collector; the agent makes no traces of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Traces {
    /// The amount of traces; only `none` is valid.
    pub level: TracesLevel,
    /// Known from the Collector, and refused.
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub(crate) processors: Unsupported,
    /// Known from the Collector, and refused.
    #[serde(skip_serializing)]
    #[schemars(skip)]
    pub(crate) propagators: Unsupported,
}

/// The amount of the agent's own work that is traced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TracesLevel {
    /// The agent's work is not traced.
    #[default]
    None,
}

impl Traces {
    pub(super) fn validate(&self) -> Vec<Fault> {
        [("processors", &self.processors), ("propagators", &self.propagators)]
            .into_iter()
            .filter(|(_, value)| value.is_some())
            .map(|(key, _)| {
                Fault::at(
                    ["traces".to_owned(), key.to_string()],
                    "not supported, expected none: the agent makes no traces of itself",
                )
            })
            .collect()
    }
}
