//! The sampling timers, one a CPU: they follow the CPUs that come and go, and changes of the rate.

use std::collections::BTreeMap;
use std::time::Duration;

use aya::programs::perf_event::PerfEventLinkId;
use pdata::KTime;
use procfs::clock;

use crate::cpus::{self, CpuFigures};
use crate::error::StartError;
use crate::loader::Programs;
use crate::preflight;
use crate::roster::{CpuTicks, Roster};
use crate::thinning::Thinning;

/// Shortest time between two looks for CPUs that have come or gone. The longest is that between two polls
/// ([`Pace`](crate::pace::Pace)).
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Time between two sums of the samples that CPUs without a timer have missed: the kernel's own figures come in steps
/// of 10 ms.
const SETTLE_EVERY: Duration = Duration::from_secs(1);
/// The same time if every CPU has a timer: the kernel adds up every interrupt of every CPU for a process that reads how
/// long one has worked.
const SETTLE_EVERY_WHEN_CALM: Duration = Duration::from_secs(10);

/// Running timers.
///
/// A timer's period is fixed: a change gives each CPU a new timer. So each sample carries the period of the very timer
/// that took it (`PERF_EVENT_IOC_PERIOD` would leave the kernel's `hw.last_period`, which the program reads, as it
/// was).
#[derive(Debug)]
pub(crate) struct Sampler {
    timers: BTreeMap<u32, PerfEventLinkId>,
    /// The period that the last change asked for, even if the kernel refused.
    wanted: Duration,
    roster: Roster,
    thinning: Thinning,
    figures: CpuFigures,
    looked: KTime,
    settled: KTime,
    /// CPUs whose timer the kernel has refused, which is logged once for each.
    refused: Vec<u32>,
    /// True if the list of CPUs could not be read, which is logged once.
    blind: bool,
    /// Samples that CPUs without a timer should have taken, not yet reported.
    missing: u64,
    /// Samples that the kernel's own limit has kept from being taken, not yet reported.
    thinned: u64,
    /// The kernel's own limit, samples a second and CPU, that was last warned of.
    warned_of: Option<u64>,
}

impl Sampler {
    /// A sampler without timers.
    pub(crate) fn new(period: Duration) -> Self {
        let now = clock::now();
        Self {
            timers: BTreeMap::new(),
            wanted: period,
            roster: Roster::new(now),
            thinning: Thinning::default(),
            figures: CpuFigures::new(),
            looked: now,
            settled: now,
            refused: Vec::new(),
            blind: false,
            missing: 0,
            thinned: 0,
            warned_of: None,
        }
    }

    /// Starts a timer on each CPU that is online. Samples before that are not missing.
    ///
    /// # Errors
    /// [`StartError`] if the kernel's list of CPUs cannot be read, or a CPU that is online gets no timer.
    pub(crate) fn start(&mut self, programs: &mut Programs) -> Result<(), StartError> {
        let now = clock::now();
        (self.roster, self.looked, self.settled) = (Roster::new(now), now, now);
        for cpu in self.roster.plan(&cpus::online()?, &[], self.wanted, now).start {
            match programs.attach_sampler(cpu, self.wanted) {
                Ok(timer) => self.started(cpu, timer),
                // The CPU has gone since, and will be noticed when it is back.
                Err(_gone) if !cpus::online()?.contains(&cpu) => {}
                Err(error) => return Err(error),
            }
        }
        // No timer has ticked yet.
        let ticks: Vec<_> = self.timers.keys().map(|&cpu| CpuTicks { cpu, all: 0, due: 0 }).collect();
        self.settle(&ticks, now);
        Ok(())
    }

    /// Changes the period if `period` is another than before.
    ///
    /// CPU by CPU, the new timer first: should the kernel refuse it, the old one goes on. The new timer ticks for the
    /// first time a whole period after, so no instant is counted by both, but for the microseconds between the two
    /// steps.
    ///
    /// `ticks` reads the number of ticks of each CPU's timers.
    pub(crate) fn apply(
        &mut self,
        programs: &mut Programs,
        period: Duration,
        ticks: impl FnOnce() -> Vec<CpuTicks>,
    ) {
        if self.wanted == period {
            return;
        }
        let (ticks, now) = (ticks(), clock::now());
        self.settle(&ticks, now);
        if let Ok(busy) = self.figures.busy() {
            self.missing += self.roster.renew(&busy, self.wanted, now);
        }
        self.wanted = period;
        // Samples that the new timers are due are counted from here on.
        self.thinning = Thinning::default();
        self.settle(&ticks, now);
        for (&cpu, timer) in &mut self.timers {
            match programs.attach_sampler(cpu, period) {
                Ok(link) => programs.detach_sampler(std::mem::replace(timer, link)),
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(error, cpu, "The sampling rate of a CPU could not be changed.");
                }
            }
        }
        tracing::info!(?period, "Sampling rate changed.");
    }

    /// Starts a timer on each CPU that has come online, and stops those of CPUs that have gone. Does nothing if the
    /// last look was a moment ago.
    ///
    /// `ticks` reads the number of ticks of each CPU's timers.
    pub(crate) fn follow(&mut self, programs: &mut Programs, ticks: impl FnOnce() -> Vec<CpuTicks>) {
        let now = clock::now();
        if now.saturating_since(self.looked) < LOOK_EVERY {
            return;
        }
        self.looked = now;
        let ticks = ticks();
        match self.figures.online() {
            Ok(online) => self.adapt(programs, &online, &ticks, now),
            Err(error) => {
                if !std::mem::replace(&mut self.blind, true) {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(error, "CPUs that come online are not noticed.");
                }
            }
        }
        let settle_every = if self.roster.is_calm() { SETTLE_EVERY_WHEN_CALM } else { SETTLE_EVERY };
        if now.saturating_since(self.settled) >= settle_every {
            self.settle(&ticks, now);
        }
    }

    /// The time within which [`follow`](Self::follow) should be called again.
    pub(crate) fn look_within(&self) -> Duration {
        if self.roster.is_calm() { Duration::MAX } else { LOOK_EVERY }
    }

    fn adapt(&mut self, programs: &mut Programs, online: &[u32], ticks: &[CpuTicks], now: KTime) {
        let plan = self.roster.plan(online, ticks, self.wanted, now);
        for cpu in &plan.stop {
            if let Some(timer) = self.timers.remove(cpu) {
                programs.detach_sampler(timer);
            }
        }
        let mut started = Vec::new();
        for cpu in plan.start {
            match programs.attach_sampler(cpu, self.wanted) {
                Ok(timer) => {
                    self.started(cpu, timer);
                    started.push(cpu);
                }
                Err(error) if !self.refused.contains(&cpu) => {
                    self.refused.push(cpu);
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(
                        error,
                        cpu,
                        "A CPU has no sampling timer: its samples are counted as lost."
                    );
                }
                Err(_known) => {}
            }
        }
        if !plan.stop.is_empty() || !started.is_empty() {
            let cpus = self.timers.len();
            tracing::info!(stopped = ?plan.stop, ?started, cpus, "Sampling timers follow the CPUs that are online.");
        }
    }

    fn started(&mut self, cpu: u32, timer: PerfEventLinkId) {
        self.timers.insert(cpu, timer);
        self.roster.started(cpu, clock::now());
        self.refused.retain(|&refused| refused != cpu);
    }

    /// Adds up the missing samples, once more before the end.
    pub(crate) fn settle_last(&mut self, ticks: &[CpuTicks]) {
        self.settle(ticks, clock::now());
    }

    fn settle(&mut self, ticks: &[CpuTicks], now: KTime) {
        // Without figures no sample is counted now, and all of them once there are some.
        if let Ok(busy) = self.figures.busy() {
            self.settled = now;
            self.missing += self.roster.settle(&busy, self.wanted, now);
            let attended: Vec<_> =
                ticks.iter().copied().filter(|ticks| self.roster.is_attended(ticks.cpu)).collect();
            let is_thinned = self.is_above_limit();
            self.thinned += self.thinning.look(is_thinned, &busy, &attended, self.wanted);
        }
    }

    /// True if the rate is above the kernel's own limit, which is warned of once for each value of the limit.
    fn is_above_limit(&mut self) -> bool {
        let Some(limit) = preflight::limit_below(self.wanted) else { return false };
        if self.warned_of.replace(limit) != Some(limit) {
            tracing::warn!(
                period = ?self.wanted,
                limit,
                setting = preflight::MAX_SAMPLE_RATE,
                "The kernel's limit is below the rate: it thins samples, which are counted as lost. Raise the setting, \
                 or lower the rate."
            );
        }
        true
    }

    /// The number of samples that the kernel's own limit has kept from being taken, since the last call.
    pub(crate) fn take_thinned(&mut self) -> u64 {
        std::mem::take(&mut self.thinned)
    }

    /// The number of samples that CPUs without a timer should have taken, since the last call.
    pub(crate) fn take_missing(&mut self) -> u64 {
        std::mem::take(&mut self.missing)
    }

    /// Stops the timers. Their samples stay in the ring.
    pub(crate) fn detach(&mut self, programs: &mut Programs) {
        for timer in std::mem::take(&mut self.timers).into_values() {
            programs.detach_sampler(timer);
        }
    }
}
