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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PERIOD: Duration = Duration::from_millis(10);

    fn at(millis: u64) -> KTime {
        KTime::from_nanos(millis * 1_000_000)
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn ticks(cpu: u32, all: u64) -> CpuTicks {
        CpuTicks { cpu, all, due: all }
    }

    /// A roster of two CPUs with timers since 1,000 ms, settled then.
    fn running() -> Roster {
        let mut roster = Roster::new(at(1_000));
        let plan = roster.plan(&[0, 1], &[], PERIOD, at(1_000));
        assert_eq!(plan, Plan { stop: vec![], start: vec![0, 1] });
        roster.started(0, at(1_000));
        roster.started(1, at(1_000));
        let busy = [(0, millis(70)), (1, millis(90))].into();
        assert_eq!(roster.settle(&busy, PERIOD, at(1_000)), 0);
        roster
    }

    #[test]
    fn a_cpu_that_goes_loses_its_timer_and_gets_a_new_one_when_it_is_back() {
        let mut roster = running();
        assert_eq!(roster.plan(&[0], &[], PERIOD, at(1_100)), Plan { stop: vec![1], start: vec![] });
        assert_eq!(roster.plan(&[0], &[], PERIOD, at(1_200)), Plan::default());
        let back = Plan { stop: vec![], start: vec![1] };
        assert_eq!(roster.plan(&[0, 1], &[], PERIOD, at(1_300)), back);
        assert_eq!(roster.plan(&[0, 1], &[], PERIOD, at(1_400)), back, "the kernel refused it");
        roster.started(1, at(1_400));
        assert_eq!(roster.plan(&[0, 1], &[], PERIOD, at(1_410)), Plan::default());
    }

    #[test]
    fn a_timer_that_has_fallen_silent_is_replaced_and_a_cpu_that_never_ticks_ever_more_rarely() {
        let mut roster = running();
        let mut replaced = Vec::new();
        for now in (1_000..10_000).step_by(100) {
            // CPU 0 ticks all the time, CPU 1 until 1,500 ms.
            let seen = [ticks(0, now), ticks(1, now.min(1_500))];
            let plan = roster.plan(&[0, 1], &seen, PERIOD, at(now));
            assert_eq!(plan.stop, plan.start);
            for cpu in plan.start {
                replaced.push((cpu, now));
                roster.started(cpu, at(now));
            }
        }
        assert_eq!(replaced, [(1, 2_000), (1, 3_000), (1, 5_000), (1, 9_000)]);
    }

    #[test]
    fn a_look_is_due_soon_where_a_timer_may_be_dead_and_where_there_is_something_to_settle() {
        let mut roster = running();
        assert!(!roster.is_calm(), "the timers are new");
        let busy = |now| [(0, millis(now)), (1, millis(now))].into();
        let mut look = |online: &[u32], now: u64, counts: [u64; 2]| {
            let plan = roster.plan(online, &[ticks(0, counts[0]), ticks(1, counts[1])], PERIOD, at(now));
            plan.start.into_iter().for_each(|cpu| roster.started(cpu, at(now)));
            let before = roster.is_calm();
            roster.settle(&busy(now), PERIOD, at(now));
            (before, roster.is_calm())
        };
        assert_eq!(look(&[0, 1], 1_900, [90, 90]), (true, true));
        assert_eq!(look(&[0, 1], 2_800, [180, 179]), (true, true), "one tick is late");
        // CPU 1 is off and on again at 2,900 ms.
        assert_eq!(look(&[0, 1], 3_700, [270, 189]), (false, false));
        assert_eq!(look(&[0, 1], 3_900, [290, 189]), (false, false));
        assert_eq!(look(&[0, 1], 4_200, [320, 189]), (false, false), "a new timer");
        assert_eq!(look(&[0, 1], 4_400, [340, 208]), (true, true));
        assert_eq!(look(&[0], 5_300, [430, 208]), (true, true), "one that is off has no timer to look after");
        assert_eq!(look(&[0, 1], 6_200, [520, 208]), (false, false), "back");
        assert_eq!(look(&[0, 1], 6_400, [540, 228]), (true, true));
    }

    #[test]
    fn a_slow_timer_is_not_taken_for_a_dead_one() {
        let mut roster = running();
        let second = Duration::from_secs(1);
        assert_eq!(roster.plan(&[0, 1], &[], second, at(3_900)), Plan::default());
        assert_eq!(roster.plan(&[0, 1], &[], second, at(4_000)).start, [0, 1]);
    }

    #[test]
    fn a_change_of_period_neither_kills_slow_timers_nor_asks_them_for_more() {
        let mut roster = running();
        let second = Duration::from_secs(1);
        roster.plan(&[0, 1], &[], second, at(1_900));
        assert_eq!(roster.renew(&[(0, millis(970)), (1, millis(990))].into(), second, at(1_900)), 0);
        assert_eq!(roster.plan(&[0, 1], &[], PERIOD, at(2_300)), Plan::default());
        // CPU 1 goes, and comes back: only what it did since the change is missing.
        roster.plan(&[0], &[], PERIOD, at(2_390));
        roster.plan(&[0, 1], &[], PERIOD, at(2_400));
        assert_eq!(roster.settle(&[(1, millis(1_490))].into(), PERIOD, at(2_400)), 50);
    }

    #[test]
    fn work_without_a_timer_is_counted_and_neither_idle_time_nor_what_was_sampled() {
        let mut roster = running();
        // Both work for 500 ms, of which CPU 1 is off for the last 250.
        let seen = [ticks(0, 25), ticks(1, 25)];
        roster.plan(&[0], &seen, PERIOD, at(1_260));
        assert_eq!(roster.settle(&[(0, millis(320))].into(), PERIOD, at(1_260)), 0);
        // CPU 1 is back, works for 400 ms, and has its timer for the second half.
        roster.plan(&[0, 1], &seen, PERIOD, at(1_700));
        roster.started(1, at(1_700));
        roster.plan(&[0, 1], &[ticks(0, 90), ticks(1, 45)], PERIOD, at(1_900));
        let busy = [(0, millis(970)), (1, millis(90 + 250 + 400))].into();
        assert_eq!(roster.settle(&busy, PERIOD, at(1_900)), 20);
        assert_eq!(roster.settle(&busy, PERIOD, at(2_000)), 0, "once");
    }

    #[test]
    fn a_dead_timer_costs_what_the_cpu_did_since_its_last_tick() {
        let mut roster = running();
        // CPU 1 is off and on between two looks at 1,100 ms, and busy all the time.
        let seen = |now: u64| [ticks(0, now), ticks(1, 10)];
        let busy = |now: u64| [(0, millis(now)), (1, millis(90 + now - 1_000))].into();
        for now in (1_100..1_600).step_by(100) {
            assert_eq!(roster.plan(&[0, 1], &seen(now), PERIOD, at(now)), Plan::default(), "{now}");
            assert_eq!(roster.settle(&busy(now), PERIOD, at(now)), 0);
        }
        let plan = roster.plan(&[0, 1], &seen(1_600), PERIOD, at(1_600));
        assert_eq!((plan.stop, plan.start), (vec![1], vec![1]));
        roster.started(1, at(1_600));
        assert_eq!(roster.settle(&busy(1_600), PERIOD, at(1_600)), 50);
    }

    /// The settlement sees that there were ticks, and not that there are none any more.
    #[test]
    fn what_a_cpu_did_between_the_death_of_its_timer_and_a_settlement_is_not_forgotten() {
        let mut roster = running();
        let busy = |now: u64| [(0, millis(now)), (1, millis(90 + now - 1_000))].into();
        let seen = |now: u64| [ticks(0, now), ticks(1, (now - 1_000).min(600) / 10)];
        for now in (1_200..=2_200).step_by(200) {
            roster.plan(&[0, 1], &seen(now), PERIOD, at(now));
            if now == 1_800 {
                assert_eq!(roster.settle(&busy(now), PERIOD, at(now)), 0);
            }
        }
        roster.started(1, at(2_200));
        assert_eq!(roster.settle(&busy(2_200), PERIOD, at(2_200)), 60);
    }

    #[test]
    fn a_cpu_that_comes_for_the_first_time_owes_no_more_than_the_time_since_the_last_look() {
        let mut roster = running();
        roster.plan(&[0, 1], &[ticks(0, 1), ticks(1, 1)], PERIOD, at(1_100));
        roster.plan(&[0, 1, 2], &[ticks(0, 2), ticks(1, 2)], PERIOD, at(1_150));
        // It had worked for an hour before it was taken offline.
        let busy = [(2, Duration::from_secs(3600))].into();
        assert_eq!(roster.settle(&busy, PERIOD, at(1_150)), 5);
    }

    proptest! {
        /// Whatever CPUs come and go: the timers that run are those of the CPUs that are online, and no more samples
        /// are missing than time has passed.
        #[test]
        fn timers_follow_the_cpus(looks in proptest::collection::vec((any::<[bool; 4]>(), 0u64..2_000), 1..40)) {
            let mut roster = Roster::new(at(0));
            let (mut timers, mut now, mut missing) = ([false; 4], 0, 0);
            for (up, step) in looks {
                now += step;
                let online: Vec<u32> = (0..4).filter(|&cpu| up[cpu as usize]).collect();
                let seen: Vec<_> = (0..4).map(|cpu| ticks(cpu, now)).collect();
                let plan = roster.plan(&online, &seen, PERIOD, at(now));
                for cpu in plan.stop {
                    prop_assert!(std::mem::replace(&mut timers[cpu as usize], false));
                }
                for cpu in plan.start {
                    prop_assert!(!std::mem::replace(&mut timers[cpu as usize], true));
                    roster.started(cpu, at(now));
                }
                prop_assert_eq!(timers, up);
                let busy = online.iter().map(|&cpu| (cpu, millis(now))).collect();
                missing += roster.settle(&busy, PERIOD, at(now));
                prop_assert!(missing <= 4 * now / 10);
            }
        }
    }
}
