//! A second, and how the agent fared when it sent it.

use serde::{Deserialize, Serialize};

use crate::second::Second;

/// A second, and how the agent fared when it sent it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The last second that is complete.
    pub second: Second,
    /// CPUs of the machine that are online.
    pub cpus: u32,
    /// Age of the last instant up to which everything is known, in milliseconds.
    pub lag_ms: u64,
    /// What the agent itself costs.
    pub agent: AgentUse,
    /// The stages of the agent's pipelines: receivers, then processors, then exporters.
    pub stages: Vec<StageUse>,
    /// Seconds before this one that whoever reads was not sent, since it did not keep up.
    #[serde(default)]
    pub skipped: u64,
}

/// What the agent itself costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentUse {
    /// CPU time since the report before, in thousandths of one CPU's time.
    pub cpu_permille: u64,
    /// Memory that is resident, in bytes.
    pub memory_bytes: u64,
    /// Its threads, those of one name as one, by name.
    pub threads: Vec<ThreadUse>,
}

/// The threads of the agent that have one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadUse {
    /// Their name.
    pub name: Box<str>,
    /// How many there are.
    pub threads: u64,
    /// CPU time since the report before, in thousandths of one CPU's time.
    pub cpu_permille: u64,
}

/// A stage of the agent's pipelines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageUse {
    /// `receiver`, `processor` or `exporter`.
    pub kind: Box<str>,
    /// Its id in the configuration.
    pub id: Box<str>,
    /// Samples that it has passed on since it started.
    pub samples: u64,
    /// Samples that it passes on in a second.
    pub samples_per_second: u64,
    /// How far the last batch that it took is behind, in milliseconds.
    pub lag_ms: Option<u64>,
    /// How far what it is done with is behind, in milliseconds; only of an exporter.
    pub done_lag_ms: Option<u64>,
    /// Its queue, if it has one.
    pub queue: Option<QueueUse>,
    /// Samples that its queue had no room for.
    pub dropped: u64,
    /// Time that it has worked since the report before, in thousandths; `None` if that is not measured.
    pub busy_permille: Option<u64>,
    /// What goes wrong now.
    pub failure: Option<Box<str>>,
}

/// The queue of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueUse {
    /// Bytes in it.
    pub used_bytes: u64,
    /// Most bytes that fit.
    pub capacity_bytes: u64,
}
