//! The loop that turns rings into batches, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use foldhash::HashSet;
use pdata::{Batch, Event, KTime, LossReason, Watermark};
use procfs::clock;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::census::Censuses;
use crate::completion::Completion;
use crate::control::Control;
use crate::counters::Counters;
use crate::decode::{Record, decode};
use crate::environment::Environments;
use crate::error::StartError;
use crate::horizon::Horizon;
use crate::loader::{AnnouncedCgroups, AnnouncedFiles, Programs};
use crate::losses;
use crate::metrics::{Metrics, unwind};
use crate::order::{Lateness, Orderer, Pending};
use crate::pace::Pace;
use crate::rest::{End, Waker, rest};
use crate::ring::Ring;
use crate::sampler::Sampler;
use crate::skipped::Skipped;
use crate::snapshot::{Snapshot, SnapshotError};
use crate::statistics::Statistics;

/// Time between two offers of a batch to a pipeline that is behind.
const SEND_EVERY: Duration = Duration::from_millis(5);

/// All sources that the loop reads from.
pub(crate) struct RingReader {
    pub control: Control,
    pub programs: Programs,
    pub sampler: Sampler,
    pub samples: Ring,
    pub lifecycle: Ring,
    pub announced: AnnouncedFiles,
    /// The stage that adds files and control groups to samples, and the rest of their stacks.
    pub completion: Completion,
    pub announced_cgroups: AnnouncedCgroups,
    pub environments: Environments,
    pub counters: Counters,
    pub skipped: Skipped,
    pub censuses: Censuses,
    pub orderer: Orderer,
    pub horizon: Horizon,
    pub waker: Waker,
    pub wakeups: Ring,
    pub pace: Pace,
    pub metrics: Metrics,
    pub statistics: Statistics,
    /// The instant at which losses were last looked for.
    pub checked: KTime,
    pub most_late: Duration,
}

impl RingReader {
    /// Reads and sends until asked to stop; then stops the sampler, drains the rings, and sends the remaining events
    /// with [`Watermark::END`]. Ends early if nobody takes the batches.
    pub(crate) fn run(mut self, batches: &mpsc::Sender<Batch>, stop: &AtomicBool) {
        loop {
            let last = stop.load(Ordering::Relaxed);
            if last {
                self.follow_cpus();
                self.sampler.settle_last(&self.counters.ticks_by_cpu());
                self.sampler.detach(&mut self.programs);
            } else {
                let counters = &self.counters;
                let ticks = || counters.ticks_by_cpu();
                self.sampler.apply(&mut self.programs, self.control.period(), ticks);
                self.environments.apply(self.control.take_wanted());
                self.metrics.rate(self.control.samples_per_second());
                self.statistics.apply(self.control.program_statistics(), &self.programs);
            }
            let batch = self.poll(last);
            let events = batch.events.len();
            if !self.send(batches, batch) || last {
                return;
            }
            self.rest(events);
        }
    }

    /// Reads the images that run already. Records of the rings are read with them, step by step: however many processes
    /// there are, the rings do not overflow.
    ///
    /// # Errors
    /// [`StartError`] if the kernel has no list of images that run.
    pub(crate) fn read_snapshot(&mut self) -> Result<(), StartError> {
        let mut snapshot = Snapshot::new(self.programs.snapshot()?);
        let mut processes = 0_u64;
        loop {
            let step = snapshot.step(|event| {
                processes += 1;
                self.orderer.push(Pending::Event(event));
            });
            let malformed = self.drain();
            self.account_losses(malformed);
            match step {
                Ok(false) => {}
                Ok(true) => break,
                Err(SnapshotError::Read(error)) => return Err(StartError::Snapshot(error.into())),
                Err(SnapshotError::Malformed(error)) => {
                    tracing::error!(%error, "The snapshot of running processes breaks off.");
                    self.account_losses([
                        (LossReason::LifecycleMalformed, 1),
                        (LossReason::SampleMalformed, 0),
                    ]);
                    break;
                }
            }
        }
        tracing::info!(processes, "Read the snapshot of running processes.");
        Ok(())
    }

    /// Sends a batch; false if nobody takes it any more. Waits when the pipeline is slow: the rings then fill, and the
    /// kernel counts the records that they cannot hold. The metric of the lag grows meanwhile.
    fn send(&mut self, batches: &mpsc::Sender<Batch>, mut batch: Batch) -> bool {
        let watermark = batch.watermark;
        loop {
            if watermark != Watermark::END {
                self.metrics.lag(clock::now().saturating_since(watermark.at()));
            }
            match batches.try_send(batch) {
                Ok(()) => return true,
                Err(TrySendError::Closed(_)) => return false,
                Err(TrySendError::Full(refused)) => batch = refused,
            }
            thread::sleep(SEND_EVERY);
        }
    }

    /// Waits for the next poll, or until somebody wakes the thread, and looks after the CPUs meanwhile.
    fn rest(&mut self, events: usize) {
        let (mut shortest, mut left) = (self.pace.shortest(), self.pace.after(events));
        if self.completion.is_waiting() {
            left = shortest;
        }
        loop {
            let step = left.min(self.sampler.look_within());
            let end = rest(&self.waker, &self.wakeups, shortest.min(step), step);
            self.follow_cpus();
            if end == End::Record {
                self.wakeups.drain(|_wakeup| {});
            }
            left -= step;
            shortest = shortest.saturating_sub(step);
            if end != End::Time || left.is_zero() {
                return;
            }
        }
    }

    fn follow_cpus(&mut self) {
        let counters = &self.counters;
        self.sampler.follow(&mut self.programs, || counters.ticks_by_cpu());
    }

    fn poll(&mut self, last: bool) -> Batch {
        // The request is taken before the clock is read, so that the watermark is later than the request.
        let flush = self.control.take_flush();
        let horizon = self.horizon.pass();
        let malformed = self.drain();
        self.account_losses(malformed);
        if !last {
            self.look_at_processes();
        }
        let (events, watermark) = if last {
            (self.orderer.finish(), Watermark::END)
        } else {
            let watermark = Watermark::before(horizon);
            (self.orderer.release(watermark), watermark)
        };
        let released = self.completion.take(events, watermark, flush || last, &self.metrics);
        self.announced.forget(self.completion.files.take_forgotten());
        self.metrics.unknown_files(self.completion.files.take_unknown());
        self.announced_cgroups.forget(self.completion.cgroups.take_forgotten());
        self.metrics.unknown_cgroups(self.completion.cgroups.take_unknown());
        self.account_lateness();
        self.metrics.batch();
        let (events, watermark) = (Arc::new(released.events.into()), released.watermark);
        Batch { events, watermark, clock: clock::offset(), flush, ..Batch::default() }
    }

    /// Takes all records that the rings hold. Returns the numbers of those that could not be decoded.
    ///
    /// A file takes effect at once, ahead of its time: its number never means another file. Samples wait for their
    /// turn, and the files that they refer to have been announced by then.
    fn drain(&mut self) -> [(LossReason, u64); 2] {
        let Self { orderer, completion, metrics, .. } = self;
        let mut unread = HashSet::default();
        let mut malformed = [(LossReason::LifecycleMalformed, 0), (LossReason::SampleMalformed, 0)];
        let mut samples = 0;
        for (ring, (reason, refused)) in
            [&mut self.lifecycle, &mut self.samples].into_iter().zip(&mut malformed)
        {
            ring.drain(|record| match decode(record) {
                Ok(Record::Event(event)) => orderer.push(Pending::Event(event)),
                Ok(Record::Sample(mut sample)) => {
                    samples += 1;
                    completion.prepare(&mut sample, &mut unread, metrics);
                    orderer.push(Pending::Sample(sample));
                }
                Ok(Record::File(file)) => completion.announce(*file),
                Ok(Record::Cgroup(cgroup)) => completion.cgroups.announce(*cgroup),
                Err(error) => {
                    *refused += 1;
                    tracing::debug!(%error, reason = reason.as_str(), "Refused a record of the kernel side.");
                }
            });
        }
        completion.wake();
        metrics.accepted(samples);
        malformed
    }

    /// Puts the losses since the last look into the stream, so that the profile of that time reports them.
    fn account_losses(&mut self, malformed: [(LossReason, u64); 2]) {
        let (from, until) = (self.checked, clock::now());
        self.checked = until;
        self.metrics.ticks(self.counters.ticks());
        self.metrics.frames(self.counters.frames());
        self.metrics.stacks(self.counters.stacks());
        self.metrics.asks_lost(self.counters.asks_lost());
        unwind::stacks("over_budget", self.counters.raw_over_budget());
        let unattended = (LossReason::SampleCpuUnattended, self.sampler.take_missing());
        let thinned = (LossReason::SampleThinned, self.sampler.take_thinned());
        let counted = self.counters.losses();
        let losses = counted.chain(self.skipped.losses()).chain(malformed).chain([unattended, thinned]);
        if losses::account(losses, (from, until), &mut self.orderer) > 0 {
            self.censuses.records_lost();
        }
    }

    fn look_at_processes(&mut self) {
        let programs = &mut self.programs;
        if let Some(census) = self.censuses.step(|| programs.census()) {
            self.orderer.push(Pending::Event(Event::Census(Arc::new(census))));
        }
    }

    fn account_lateness(&mut self) {
        let Lateness { events, most_nanos } = self.orderer.take_lateness();
        self.most_late = self.most_late.max(Duration::from_nanos(most_nanos));
        self.metrics.late(events, self.most_late);
    }
}
