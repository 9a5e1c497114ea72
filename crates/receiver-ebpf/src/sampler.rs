//! The sampling timers, one a CPU, and how their rate changes.

use std::time::Duration;

use aya::programs::perf_event::PerfEventLinkId;

use crate::error::StartError;
use crate::loader::Programs;

/// Running timers.
///
/// A timer's period is fixed: a change gives each CPU a new timer. So each sample carries the period of the very timer that took it
/// (`PERF_EVENT_IOC_PERIOD` leaves the kernel's `hw.last_period`, which the program reads, as it was).
#[derive(Debug)]
pub(crate) struct Sampler {
    timers: Vec<Timer>,
    /// What the last change asked for, even if the kernel refused.
    wanted: Duration,
}

#[derive(Debug)]
struct Timer {
    cpu: u32,
    link: PerfEventLinkId,
}

impl Sampler {
    /// Starts a timer on each CPU.
    pub(crate) fn attach(
        programs: &mut Programs,
        cpus: Vec<u32>,
        period: Duration,
    ) -> Result<Self, StartError> {
        let timers = cpus
            .into_iter()
            .map(|cpu| Ok(Timer { cpu, link: programs.attach_sampler(cpu, period)? }))
            .collect::<Result<_, _>>()?;
        Ok(Self { timers, wanted: period })
    }

    /// Changes the period if it is another than before.
    ///
    /// CPU by CPU, the new timer first: should the kernel refuse it, the old one goes on. The new one ticks for the first
    /// time a whole period after, so no instant is counted by both, but for the microseconds between the two steps.
    pub(crate) fn obey(&mut self, programs: &mut Programs, period: Duration) {
        if std::mem::replace(&mut self.wanted, period) == period {
            return;
        }
        for timer in &mut self.timers {
            match programs.attach_sampler(timer.cpu, period) {
                Ok(link) => programs.detach_sampler(std::mem::replace(&mut timer.link, link)),
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(
                        error,
                        cpu = timer.cpu,
                        "the sampling rate of a CPU could not be changed"
                    );
                }
            }
        }
        tracing::info!(?period, "sampling rate changed");
    }

    /// Stops the timers. What they have sampled stays in the ring.
    pub(crate) fn detach(&mut self, programs: &mut Programs) {
        for timer in self.timers.drain(..) {
            programs.detach_sampler(timer.link);
        }
    }
}
