//! Tests of the roster: what each CPU owed, whatever it did.

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
