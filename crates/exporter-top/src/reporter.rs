//! Reports made of batches.

use std::collections::HashMap;
use std::sync::Arc;

use componentstatus::{Board, Kind, StageView};
use pdata::Batch;
use procfs::clock;
use profile_seconds::{LostRecords, QueueUse, Report, StageUse, Summarizer};

use crate::cost::{Cost, permille};

/// Makes reports of batches: the seconds that are complete, and the state of the agent.
#[derive(Debug)]
pub struct Reporter {
    summarizer: Summarizer,
    board: Arc<Board>,
    cost: Cost,
    /// Nanoseconds for which each stage had worked until the last report.
    worked: HashMap<(Kind, String), u64>,
}

impl Reporter {
    /// A reporter without any seconds yet, of an agent whose stages are on `board`.
    #[must_use]
    pub fn new(board: Arc<Board>) -> Self {
        Self { summarizer: Summarizer::default(), board, cost: Cost::new(), worked: HashMap::new() }
    }

    /// Adds a batch; returns the seconds that are complete, in order. Reads `/proc`.
    pub fn take(&mut self, batch: &Batch) -> Vec<Report> {
        let seconds = self.summarizer.take(batch);
        if seconds.is_empty() {
            return Vec::new();
        }
        let (agent, passed) = self.cost.measure();
        let now = clock::now();
        let lag = self.summarizer.seen().map(|seen| now.saturating_since(seen)).unwrap_or_default();
        let mut views = self.board.snapshot_at(now);
        // A pipeline is built from its end, so that the last processor is noted first.
        let processors = |views: &&mut [StageView]| views.iter().all(|view| view.kind == Kind::Processor);
        let processors = views.chunk_by_mut(|a, b| a.kind == b.kind).find(processors);
        processors.into_iter().for_each(<[StageView]>::reverse);
        let names = names(&views);
        let stages: Vec<_> =
            views.iter().zip(names).map(|(view, name)| self.stage(view, name, passed)).collect();
        let report = |second| Report {
            second,
            cpus: cpus(),
            lag_ms: millis(lag),
            agent: agent.clone(),
            stages: stages.clone(),
            skipped: 0,
        };
        seconds.into_iter().map(report).collect()
    }

    /// The records that were lost since the last report: no other report will have them.
    #[must_use]
    pub fn into_losses(self) -> Vec<LostRecords> {
        self.summarizer.into_losses()
    }

    fn stage(&mut self, view: &StageView, name: String, passed: u64) -> StageUse {
        let failure = view.last_failure.as_ref().filter(|failure| failure.persists);
        let queue = view
            .queue
            .map(|queue| QueueUse { used_bytes: queue.used_bytes, capacity_bytes: queue.capacity_bytes });
        let busy = view.worked.map(|worked| {
            let nanos = u64::try_from(worked.as_nanos()).unwrap_or(u64::MAX);
            let before = self.worked.insert((view.kind, name.clone()), nanos).unwrap_or(nanos);
            permille(nanos.saturating_sub(before), passed)
        });
        StageUse {
            kind: view.kind.to_string().into(),
            id: name.into(),
            samples: view.samples,
            samples_per_second: rounded(view.samples_per_second),
            lag_ms: view.watermark_lag.map(millis),
            done_lag_ms: view.acked_lag.map(millis),
            queue,
            dropped: view.dropped,
            busy_permille: busy,
            failure: failure.map(|failure| failure.error.as_str().into()),
        }
    }
}

/// The name of each stage: its id, with its pipelines if several stages have that id.
fn names(views: &[StageView]) -> Vec<String> {
    let mut stages: HashMap<_, usize> = HashMap::new();
    views.iter().for_each(|view| *stages.entry((view.kind, &*view.id)).or_default() += 1);
    let name = |view: &StageView| match stages.get(&(view.kind, &*view.id)) {
        Some(2..) => format!("{} ({})", view.id, view.pipelines.join(", ")),
        _ => view.id.to_string(),
    };
    views.iter().map(name).collect()
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a conversion saturates")]
fn rounded(number: f64) -> u64 {
    number.round() as u64
}

fn cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two pipelines may have a processor of the same id: each is a stage with work of its own.
    #[test]
    fn stages_of_one_id_are_distinguished_by_their_pipelines() {
        let board = Arc::<Board>::default();
        let of = |id: &str, pipeline: &str| board.stage(Kind::Processor, id, &[pipeline.to_owned()]);
        let stages =
            [of("procinfo", "profiles/a"), of("procinfo", "profiles/b"), of("symbolizer", "profiles/a")];
        let names: std::collections::BTreeSet<_> =
            names(&board.snapshot_at(clock::now())).into_iter().collect();
        let expected = ["procinfo (profiles/a)", "procinfo (profiles/b)", "symbolizer"];
        assert_eq!(names, expected.map(str::to_owned).into());
        drop(stages);
    }
}
