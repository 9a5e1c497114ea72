//! The loop that turns rings into batches, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pdata::{Batch, Event, KTime, Loss, LossReason, ProcessTransition, Watermark};
use tokio::sync::mpsc;

use crate::census::Censuses;
use crate::clock;
use crate::control::Control;
use crate::counters::Counters;
use crate::decode::decode;
use crate::horizon::Horizon;
use crate::loader::Programs;
use crate::metrics::{self, Metrics};
use crate::order::{Lateness, Orderer};
use crate::ring::Ring;
use crate::sampler::{self, Sampler};
use crate::sideband::Sideband;
use crate::skipped::Skipped;
use crate::statistics::Statistics;

/// Everything the loop reads from.
pub(crate) struct Reader {
    pub control: Control,
    pub programs: Programs,
    pub sampler: Sampler,
    pub samples: Ring,
    pub lifecycle: Ring,
    pub sideband: Sideband,
    pub counters: Counters,
    pub skipped: Skipped,
    pub censuses: Censuses,
    pub orderer: Orderer,
    pub horizon: Horizon,
    pub poll_interval: Duration,
    pub metrics: Metrics,
    pub statistics: Statistics,
    /// When losses were last looked for.
    pub checked: KTime,
    pub most_late: Duration,
}

impl Reader {
    /// Reads and sends until told to stop; then stops the sampler, drains, and sends what is left with
    /// [`Watermark::END`]. Ends early if nobody takes the batches.
    pub(crate) fn run(mut self, batches: &mpsc::Sender<Batch>, stop: &AtomicBool) {
        loop {
            let last = stop.load(Ordering::Relaxed);
            if last {
                self.follow_cpus();
                self.sampler.detach(&mut self.programs);
            } else {
                self.sampler.obey(&mut self.programs, self.control.period());
                self.metrics.rate(self.control.samples_per_second());
                self.statistics.obey(self.control.program_statistics(), &self.programs);
            }
            let batch = self.poll(last);
            // Waits when the pipeline is slow: the rings then fill, and the kernel counts what they cannot hold.
            if batches.blocking_send(batch).is_err() || last {
                return;
            }
            self.rest();
        }
    }

    /// Waits for the next poll, or until somebody wakes the thread, and looks after the CPUs meanwhile.
    fn rest(&mut self) {
        let mut left = self.poll_interval;
        while !left.is_zero() {
            let step = left.min(sampler::LOOK_EVERY);
            let before = Instant::now();
            thread::park_timeout(step);
            if before.elapsed() < step {
                return;
            }
            self.follow_cpus();
            left -= step;
        }
    }

    fn follow_cpus(&mut self) {
        let counters = &mut self.counters;
        self.sampler.follow(&mut self.programs, || counters.ticks_by_cpu());
    }

    fn poll(&mut self, last: bool) -> Batch {
        // Before the clock is read, so that the watermark is later than the request.
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
        self.account_lateness();
        self.metrics.batch(clock::now().saturating_since(horizon));
        Batch { events: events.into(), watermark, clock: clock::offset(), flush }
    }

    /// Takes everything the rings hold. Returns what could not be decoded.
    fn drain(&mut self) -> [(LossReason, u64); 3] {
        let (mut samples, mut forks) = (0, 0);
        let (mut malformed_samples, mut malformed_lifecycle) = (0, 0);
        let orderer = &mut self.orderer;
        self.lifecycle.drain(|record| match decode(record) {
            Ok(event) => {
                forks += u64::from(is_fork(&event));
                orderer.push(event);
            }
            Err(error) => {
                malformed_lifecycle += 1;
                tracing::debug!(%error, "lifecycle record refused");
            }
        });
        self.samples.drain(|record| match decode(record) {
            Ok(event) => {
                samples += 1;
                orderer.push(event);
            }
            Err(error) => {
                malformed_samples += 1;
                tracing::debug!(%error, "sample refused");
            }
        });
        let sideband = self.sideband.drain(|event| orderer.push(event));
        self.metrics.forks(forks, sideband.forks);
        self.metrics.accepted(samples);
        [
            (LossReason::SampleMalformed, malformed_samples),
            (LossReason::LifecycleMalformed, malformed_lifecycle),
            (LossReason::SidebandMalformed, sideband.malformed),
        ]
    }

    /// Puts what was lost since the last look into the stream, so that the profile of that time says so.
    fn account_losses(&mut self, malformed: [(LossReason, u64); 3]) {
        let (from, until) = (self.checked, clock::now());
        self.checked = until;
        self.metrics.ticks(self.counters.ticks());
        let unattended = (LossReason::SampleCpuUnattended, self.sampler.take_missing());
        for (reason, count) in self
            .counters
            .losses()
            .into_iter()
            .chain(self.skipped.losses(&self.programs))
            .chain(malformed)
            .chain([unattended])
        {
            if count > 0 {
                metrics::lost(reason, count);
                if !reason.is_sample() {
                    self.censuses.records_lost();
                }
                self.orderer.push(Event::Loss(Loss { from, until, reason, count }));
            }
        }
    }

    fn look_at_processes(&mut self) {
        let programs = &mut self.programs;
        if let Some(census) = self.censuses.step(|| programs.census()) {
            self.orderer.push(Event::Census(Arc::new(census)));
        }
    }

    fn account_lateness(&mut self) {
        let Lateness { events, most_nanos } = self.orderer.take_lateness();
        self.most_late = self.most_late.max(Duration::from_nanos(most_nanos));
        self.metrics.late(events, self.most_late);
    }
}

fn is_fork(event: &Event) -> bool {
    matches!(event, Event::Process(event) if matches!(event.transition, ProcessTransition::Fork { .. }))
}
