//! Whether the agent does its work.

use std::time::Duration;

use crate::stage::{Kind, StageView};

/// The phase of the agent's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// The agent's components are being started.
    #[default]
    Starting,
    /// The agent samples.
    Running,
    /// The agent delivers the samples that are left.
    Stopping,
}

/// Bounds beyond which the agent is no longer healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Time without a batch after which a receiver has stalled: even on an idle machine it passes a watermark on with
    /// every poll.
    pub stalled_after: Duration,
    /// The most that the watermark of a stage may be behind the clock.
    pub most_lag: Duration,
}

impl Thresholds {
    /// Default of `stalled_after`: six times the slowest poll that can be configured.
    pub const STALLED_AFTER: Duration = Duration::from_secs(30);
    /// Default of `most_lag`: as long as the fan-out waits for an exporter, and the same again.
    pub const MOST_LAG: Duration = Duration::from_secs(60);
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { stalled_after: Self::STALLED_AFTER, most_lag: Self::MOST_LAG }
    }
}

/// Whether the agent does its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The agent does its work.
    Ready,
    /// The agent does not do its work.
    NotReady {
        /// The reason, in one line.
        reason: String,
    },
}

/// The first reason for which the agent is not ready, from the source to the sinks.
pub(crate) fn judge(phase: Phase, stages: &[StageView], thresholds: &Thresholds) -> Readiness {
    let reason = match phase {
        Phase::Starting => Some("the pipelines have not started yet".to_owned()),
        Phase::Stopping => Some("the agent is stopping".to_owned()),
        Phase::Running => {
            stalled(stages, thresholds.stalled_after).or_else(|| behind(stages, thresholds.most_lag))
        }
    };
    reason.map_or(Readiness::Ready, |reason| Readiness::NotReady { reason })
}

/// The first receiver that has passed nothing on for longer than `after`, in words.
pub(crate) fn stalled(stages: &[StageView], after: Duration) -> Option<String> {
    let receivers = stages.iter().filter(|stage| stage.kind == Kind::Receiver);
    let stalled = receivers.into_iter().find(|stage| stage.idle > after)?;
    Some(format!("receiver {} has passed nothing on for {}s", stalled.id, stalled.idle.as_secs()))
}

/// The first stage that is too far behind, in words.
fn behind(stages: &[StageView], most: Duration) -> Option<String> {
    let (stage, lag) =
        stages.iter().filter_map(|stage| Some((stage, stage.watermark_lag?))).find(|(_, lag)| *lag > most)?;
    let failure = stage.last_failure.as_ref().filter(|failure| failure.persists);
    let failure = failure.map(|failure| format!(": {}", failure.error)).unwrap_or_default();
    Some(format!("{} {} is {}s behind{failure}", stage.kind, stage.id, lag.as_secs()))
}
