//! The board of all stages of the agent.

use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use pdata::KTime;

use crate::readiness::{Phase, Readiness, Thresholds, judge, stalled};
use crate::stage::{Kind, Stage, StageView};

/// The stages of all pipelines that run, and the phase of the agent. There is one in a process.
#[derive(Debug, Default)]
pub struct Board {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    stages: Vec<Weak<Stage>>,
}

impl Board {
    /// Makes a stage, part of these pipelines, and shows it for as long as somebody has it.
    pub fn stage(&self, kind: Kind, id: &str, pipelines: &[String]) -> Arc<Stage> {
        let stage = Arc::new(Stage::new(kind, id, pipelines));
        self.add(&stage);
        stage
    }

    /// Shows a stage for as long as somebody has it.
    pub fn add(&self, stage: &Arc<Stage>) {
        let stages = &mut self.state().stages;
        stages.retain(|other| other.strong_count() > 0);
        stages.push(Arc::downgrade(stage));
    }

    /// Removes a stage from the board.
    pub fn remove(&self, stage: &Arc<Stage>) {
        self.state().stages.retain(|other| !ptr::eq(other.as_ptr(), Arc::as_ptr(stage)));
    }

    /// Notes the phase that the agent has entered.
    pub fn enter(&self, phase: Phase) {
        self.state().phase = phase;
    }

    /// The phase the agent is in.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.state().phase
    }

    /// Every stage now: receivers, then processors, then exporters; within each, in the order they were added.
    #[must_use]
    pub fn snapshot(&self) -> Vec<StageView> {
        self.snapshot_at(procfs::clock::now())
    }

    /// Every stage at `now`, in the same order as by [`snapshot`](Self::snapshot).
    #[must_use]
    pub fn snapshot_at(&self, now: KTime) -> Vec<StageView> {
        let mut stages: Vec<_> =
            self.state().stages.iter().filter_map(|stage| Some(stage.upgrade()?.view(now))).collect();
        stages.sort_by_key(|stage| stage.kind);
        stages
    }

    /// Whether the agent does its work, by these thresholds.
    #[must_use]
    pub fn readiness(&self, thresholds: &Thresholds) -> Readiness {
        judge(self.phase(), &self.snapshot(), thresholds)
    }

    /// The receiver that has passed nothing on for longer than `after`, in words: the reason why the watermark does not
    /// advance.
    #[must_use]
    pub fn stalled(&self, after: Duration) -> Option<String> {
        stalled(&self.snapshot(), after)
    }

    /// The failures that persist now, by stage, in words.
    #[must_use]
    pub fn failing(&self) -> Vec<String> {
        let stages = self.snapshot().into_iter();
        let failing = stages.filter_map(|stage| {
            let failure = stage.last_failure.filter(|failure| failure.persists)?;
            Some(format!("{} {}: {}", stage.kind, stage.id, failure.error))
        });
        failing.collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No panic happens while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use pdata::Watermark;

    use super::*;
    use crate::Queue;

    const fn second(number: u64) -> KTime {
        KTime::from_nanos(number * 1_000_000_000)
    }

    fn board() -> (Board, Arc<Stage>, Arc<Stage>) {
        let board = Board::default();
        let pipelines = ["profiles".to_owned()];
        let (exporter, receiver) = (
            Stage::since(Kind::Exporter, "otlp", &pipelines, second(100)),
            Stage::since(Kind::Receiver, "ebpf", &pipelines, second(100)),
        );
        let (exporter, receiver) = (Arc::new(exporter), Arc::new(receiver));
        board.add(&exporter);
        board.add(&receiver);
        (board, receiver, exporter)
    }

    fn reason(board: &Board, now: KTime) -> Option<String> {
        match judge(board.phase(), &board.snapshot_at(now), &Thresholds::default()) {
            Readiness::Ready => None,
            Readiness::NotReady { reason } => Some(reason),
        }
    }

    #[test]
    fn a_snapshot_shows_what_has_passed_and_how_far_behind_it_is() {
        let (board, receiver, exporter) = board();
        receiver.forwarded_at(7, Watermark::before(second(109)), second(109));
        receiver.forwarded_at(3, Watermark::before(second(110)), second(110));
        exporter.acked(Watermark::before(second(105)));
        exporter.queue(Queue { used_bytes: 5, capacity_bytes: 9 });
        exporter.dropped(2);
        exporter.status().failed(&"no route");
        let stages = board.snapshot_at(second(112));
        let [first, last] = stages.as_slice() else { panic!("{stages:?}") };
        assert_eq!((first.kind, &*first.id, first.batches, first.samples), (Kind::Receiver, "ebpf", 2, 10));
        assert_eq!(first.samples_per_second, 10.0 / 3.0);
        assert_eq!((first.idle, first.queue), (Duration::from_secs(2), None));
        assert_eq!((first.watermark_lag, first.acked_lag), (Some(Duration::from_secs(2)), None));
        let lags = (last.watermark_lag, last.acked_lag);
        assert_eq!(
            lags,
            (Some(Duration::from_secs(12)), Some(Duration::from_secs(7))),
            "it has taken nothing yet"
        );
        assert_eq!((last.queue, last.dropped), (Some(Queue { used_bytes: 5, capacity_bytes: 9 }), 2));
        assert_eq!(last.last_failure.as_ref().map(|failure| failure.error.as_str()), Some("no route"));
        board.remove(&exporter);
        assert_eq!(board.snapshot_at(second(112)).len(), 1);
        drop(receiver);
        assert_eq!(board.snapshot_at(second(112)).len(), 0, "nobody has it any more");
    }

    #[test]
    fn ready_is_who_runs_and_neither_stalls_nor_lags() {
        let (board, receiver, exporter) = board();
        assert_eq!(reason(&board, second(101)).as_deref(), Some("the pipelines have not started yet"));
        board.enter(Phase::Running);
        assert_eq!(reason(&board, second(130)), None, "it has just started");
        assert_eq!(
            reason(&board, second(131)).as_deref(),
            Some("receiver ebpf has passed nothing on for 31s")
        );
        receiver.forwarded_at(1, Watermark::before(second(130)), second(131));
        exporter.forwarded_at(1, Watermark::before(second(100)), second(131));
        assert_eq!(reason(&board, second(160)), None);
        receiver.forwarded_at(1, Watermark::before(second(160)), second(161));
        assert_eq!(reason(&board, second(161)).as_deref(), Some("exporter otlp is 61s behind"));
        exporter.status().failed(&"no route");
        assert_eq!(reason(&board, second(161)).as_deref(), Some("exporter otlp is 61s behind: no route"));
        assert_eq!(board.failing(), ["exporter otlp: no route"]);
        exporter.status().succeeded();
        assert_eq!(board.failing(), [""; 0]);
        assert_eq!(reason(&board, second(161)).as_deref(), Some("exporter otlp is 61s behind"));
        exporter.forwarded_at(0, Watermark::END, second(161));
        assert_eq!(reason(&board, second(161)), None, "what has ended is not behind");
        board.enter(Phase::Stopping);
        assert_eq!(reason(&board, second(161)).as_deref(), Some("the agent is stopping"));
    }
}
