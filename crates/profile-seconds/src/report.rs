//! Reports: a second, and the agent's state when it sent it.

use serde::{Deserialize, Serialize};

use crate::second::Second;

/// A second, and the agent's state when it sent it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The last second that is complete.
    pub second: Second,
    /// CPUs of the machine that are online.
    pub cpus: u32,
    /// Age of the watermark before which all events have come, in milliseconds.
    pub lag_ms: u64,
    /// CPU time and memory of the agent itself.
    pub agent: AgentUse,
    /// The stages of the agent's pipelines: receivers, then processors, then exporters.
    pub stages: Vec<StageUse>,
    /// Seconds before this one that the watcher was not sent, since it did not keep up.
    #[serde(default)]
    pub skipped: u64,
}

/// CPU time and memory of the agent itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentUse {
    /// CPU time since the report before, in thousandths of one CPU's time.
    pub cpu_permille: u64,
    /// Resident memory of the agent, in bytes.
    pub memory_bytes: u64,
    /// Threads of the agent, added up and ordered by name.
    pub threads: Vec<ThreadUse>,
}

/// The threads of the agent with the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadUse {
    /// Name of the threads.
    pub name: Box<str>,
    /// Number of the threads.
    pub threads: u64,
    /// CPU time of the threads since the report before, in thousandths of one CPU's time.
    pub cpu_permille: u64,
}

/// A stage of the agent's pipelines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageUse {
    /// Kind of the stage: `receiver`, `processor` or `exporter`.
    pub kind: Box<str>,
    /// The stage's id in the configuration.
    pub id: Box<str>,
    /// Number of samples that the stage has forwarded since it started.
    pub samples: u64,
    /// Samples that the stage forwards in a second.
    pub samples_per_second: u64,
    /// Age of the watermark of the last batch that the stage took, in milliseconds.
    pub lag_ms: Option<u64>,
    /// Age of the watermark that the stage has acked, in milliseconds; only of an exporter.
    pub done_lag_ms: Option<u64>,
    /// The stage's queue, if it has one.
    pub queue: Option<QueueUse>,
    /// Number of samples that the queue had no room for.
    pub dropped: u64,
    /// Time that the stage has worked since the report before, in thousandths; `None` if that is not measured.
    pub busy_permille: Option<u64>,
    /// The error that the stage reports now.
    pub failure: Option<Box<str>>,
}

/// The queue of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueUse {
    /// Bytes in the queue.
    pub used_bytes: u64,
    /// Most bytes that the queue holds.
    pub capacity_bytes: u64,
}
