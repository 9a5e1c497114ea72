//! The roster of CPUs: which of them need a sampling timer, and the samples that those without one should have taken.
//!
//! A pure state machine: reports of the kernel and instants are its input.

use std::collections::BTreeMap;
use std::time::Duration;

use pdata::KTime;

/// The longest silence of a timer before it counts as dead; at least [`SILENT_PERIODS`] periods. A CPU that has been
/// off between two looks, as in a suspend, is online as before, but the kernel has taken its timer away.
const SILENCE: Duration = Duration::from_millis(500);
const SILENT_PERIODS: u32 = 3;
/// The longest silence of a timer that does not tick even though it is new. Such a timer is replaced ever more rarely:
/// the CPU may be one that stands still.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// The ticks of a CPU's timers so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTicks {
    pub cpu: u32,
    /// All ticks.
    pub all: u64,
    /// Ticks at which a sample was due, with the ones that a late timer has skipped.
    pub due: u64,
}

/// The timers to change: first to stop, then to start. A CPU whose timer is dead is in both lists.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub stop: Vec<u32>,
    pub start: Vec<u32>,
}

/// Every CPU that has ever been online.
#[derive(Debug)]
pub(crate) struct Roster {
    cpus: BTreeMap<u32, Cpu>,
    /// The instant of the last call of [`plan`](Self::plan).
    looked: KTime,
    /// True if, at that call, a timer had ticked less than it should have, or one was to be started.
    is_doubtful: bool,
}

#[derive(Debug)]
struct Cpu {
    timer: Option<Timer>,
    ticks: CpuTicks,
    /// True if the CPU had no timer at some instant since `account`.
    unattended: bool,
    /// The CPU's work when it was last known to have a timer that ticks: a tick came later.
    account: Account,
    /// The CPU's work at the last settlement. The CPU's timer may have died before that.
    latest: Account,
}

/// A timer that has been started.
#[derive(Clone, Copy, Debug)]
struct Timer {
    /// The instant at which the timer was last known to tick, or was started.
    ticked: KTime,
    /// The longest time that the timer may be silent.
    patience: Duration,
}

/// The work that a CPU had done by some instant.
#[derive(Clone, Copy, Debug)]
struct Account {
    at: KTime,
    busy: Duration,
    ticks: CpuTicks,
}

impl Roster {
    /// A roster without CPUs, at an instant from which on work without a timer counts.
    pub(crate) fn new(now: KTime) -> Self {
        Self { cpus: BTreeMap::new(), looked: now, is_doubtful: true }
    }

    /// The changes after which every CPU of `online` has a timer, and no other CPU has one. Each CPU in [`Plan::start`]
    /// is asked for again until it is [`started`](Self::started).
    pub(crate) fn plan(&mut self, online: &[u32], ticks: &[CpuTicks], period: Duration, now: KTime) -> Plan {
        let mut plan = Plan::default();
        let last_look = std::mem::replace(&mut self.looked, now);
        self.is_doubtful = false;
        for (&number, cpu) in &mut self.cpus {
            if let Some(&now_at) = ticks.iter().find(|ticks| ticks.cpu == number) {
                self.is_doubtful |=
                    online.contains(&number) && cpu.has_missed_ticks(now_at, period, (last_look, now));
                cpu.see(now_at, now);
            }
            if cpu.timer.is_some() && !online.contains(&number) {
                cpu.timer = None;
                plan.stop.push(number);
            }
        }
        for &number in online {
            let cpu = self.cpus.entry(number).or_insert_with(|| {
                let ticks = ticks.iter().find(|ticks| ticks.cpu == number).copied().unwrap_or_default();
                // The CPU was not there at the last look. Its work before that is not known, nor matters.
                let account = Account { at: last_look, busy: Duration::ZERO, ticks };
                Cpu { timer: None, ticks, unattended: true, account, latest: account }
            });
            if cpu.timer.is_some_and(|timer| timer.is_dead(period, now)) {
                plan.stop.push(number);
                plan.start.push(number);
                cpu.unattended = true;
            } else if cpu.timer.is_none() {
                plan.start.push(number);
                cpu.unattended = true;
            }
        }
        self.is_doubtful |= !plan.start.is_empty();
        plan
    }

    /// True if each CPU that is online has a timer that ticks as it should, and no CPU has work to be settled.
    pub(crate) fn is_calm(&self) -> bool {
        !self.is_doubtful && !self.cpus.values().any(|cpu| cpu.unattended && cpu.timer.is_some())
    }

    /// Notes that the CPU has had a timer since `now`.
    pub(crate) fn started(&mut self, cpu: u32, now: KTime) {
        let Some(cpu) = self.cpus.get_mut(&cpu) else { return };
        let patience = cpu.timer.map_or(SILENCE, |dead| (dead.patience * 2).min(LONGEST_SILENCE));
        cpu.timer = Some(Timer { ticked: now, patience });
    }

    /// Settles all CPUs, whose timers are about to be replaced by ones with another period. Returns the samples missing
    /// by the present period, as [`settle`](Self::settle) does. Ticks that the old timers have not made yet are not
    /// expected of the new ones.
    pub(crate) fn renew(&mut self, busy: &BTreeMap<u32, Duration>, period: Duration, now: KTime) -> u64 {
        let missing = self.settle(busy, period, now);
        for (number, cpu) in &mut self.cpus {
            if let Some(&busy) = busy.get(number) {
                cpu.account = Account { at: now, busy, ticks: cpu.ticks };
                cpu.latest = cpu.account;
            }
            if let Some(timer) = &mut cpu.timer {
                timer.ticked = now;
            }
        }
        missing
    }

    /// True if the CPU has had a timer all the while since the last settlement.
    pub(crate) fn is_attended(&self, cpu: u32) -> bool {
        self.cpus.get(&cpu).is_some_and(|cpu| cpu.timer.is_some() && !cpu.unattended)
    }

    /// Returns the number of samples missing of CPUs that had no timer for a while: those that their working time since
    /// the last call asks for, less the ticks that there were.
    ///
    /// `busy` is the time that each CPU has worked so far. Samples missing for any other reason are not counted here,
    /// and a CPU that is not in `busy` is settled once it is there again.
    pub(crate) fn settle(&mut self, busy: &BTreeMap<u32, Duration>, period: Duration, now: KTime) -> u64 {
        let mut missing = 0;
        for (number, cpu) in &mut self.cpus {
            let Some(&busy) = busy.get(number) else { continue };
            let latest = Account { at: now, busy, ticks: cpu.ticks };
            if cpu.unattended {
                missing += cpu.account.missing(&latest, period);
                cpu.account = latest;
            } else if cpu.ticks.all == cpu.latest.ticks.all {
                // The CPU's timer may be dead: if so, that began before `latest`.
                continue;
            } else {
                cpu.account = cpu.latest;
            }
            cpu.latest = latest;
            cpu.unattended = cpu.timer.is_none();
        }
        missing
    }
}

impl Cpu {
    /// True if its timer has ticked less between two looks than it should have: it may have died since. One tick may be
    /// on either side of each look.
    fn has_missed_ticks(&self, now_at: CpuTicks, period: Duration, (last_look, now): (KTime, KTime)) -> bool {
        let Some(timer) = self.timer else { return false };
        let time = now.saturating_since(last_look.max(timer.ticked));
        let ticks = u128::from(now_at.all.saturating_sub(self.ticks.all));
        ticks + 1 < time.as_nanos() / period.as_nanos().max(1)
    }

    fn see(&mut self, ticks: CpuTicks, now: KTime) {
        if ticks.all != self.ticks.all
            && let Some(timer) = &mut self.timer
        {
            *timer = Timer { ticked: now, patience: SILENCE };
        }
        self.ticks = ticks;
    }
}

impl Timer {
    fn is_dead(self, period: Duration, now: KTime) -> bool {
        now.saturating_since(self.ticked) >= self.patience.max(period * SILENT_PERIODS)
    }
}

impl Account {
    fn missing(&self, now: &Self, period: Duration) -> u64 {
        let worked = now.busy.saturating_sub(self.busy).min(now.at.saturating_since(self.at));
        let asked = worked.as_nanos() / period.as_nanos().max(1);
        let due = now.ticks.due.saturating_sub(self.ticks.due);
        u64::try_from(asked).unwrap_or(u64::MAX).saturating_sub(due)
    }
}

#[cfg(test)]
mod tests;
