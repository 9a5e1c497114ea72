//! The table against a model that scans everything.

use pdata::{BootTime, CensusEntry};
use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Op {
    Enter(ProcessKey),
    Exited(ProcessKey),
    Freed(ProcessKey),
    Acknowledge(u64),
    Evict,
}

/// A process by the words of the documentation, without any index.
#[derive(Clone, Debug)]
struct Plain {
    key: ProcessKey,
    began: u64,
    exit: Option<u64>,
    freed: Option<u64>,
}

#[derive(Debug, Default)]
struct Model {
    known: Vec<Plain>,
    forgotten: Vec<ProcessKey>,
    acked: u64,
}

impl Footprint for () {
    fn footprint(&self) -> usize {
        0
    }
}

impl Footprint for &str {
    fn footprint(&self) -> usize {
        self.len()
    }
}

impl Model {
    fn find(&mut self, key: ProcessKey) -> Option<&mut Plain> {
        self.known.iter_mut().find(|process| process.key == key)
    }

    fn enter(&mut self, key: ProcessKey, at: u64) {
        if self.forgotten.contains(&key) || self.find(key).is_some() {
            return;
        }
        let same_pid = self.known.iter_mut().filter(|other| other.key.pid == key.pid);
        let youngest = same_pid.max_by_key(|other| other.key.start_time);
        let (mut exit, mut freed) = (None, None);
        if let Some(other) = youngest {
            if other.key.start_time > key.start_time {
                (exit, freed) = (Some(other.began), Some(other.began));
            } else {
                other.exit.get_or_insert(at);
                other.freed.get_or_insert(at);
            }
        }
        self.known.push(Plain { key, began: at, exit, freed });
    }

    fn forget(&mut self, gone: impl Fn(&Plain) -> bool) {
        let (forgotten, known) = self.known.drain(..).partition::<Vec<_>, _>(gone);
        self.forgotten.extend(forgotten.iter().map(|process| process.key));
        self.known = known;
    }

    fn apply(&mut self, op: Op, now: u64, limits: Limits) {
        match op {
            Op::Enter(key) => self.enter(key, now),
            Op::Exited(key) => {
                if let Some(process) = self.find(key) {
                    process.exit.get_or_insert(now);
                }
            }
            Op::Freed(key) => {
                if let Some(process) = self.find(key) {
                    process.exit.get_or_insert(now);
                    process.freed.get_or_insert(now);
                }
            }
            Op::Acknowledge(lag) => {
                self.acked = self.acked.max(now.saturating_sub(lag));
                let acked = self.acked;
                self.forget(|process| process.freed.is_some_and(|freed| freed <= acked));
            }
            Op::Evict => {
                let age = u64::try_from(limits.age.as_nanos()).unwrap();
                self.forget(|process| process.exit.is_some_and(|exit| exit + age <= now));
                let mut exits: Vec<_> = self.known.iter().filter_map(|p| Some((p.exit?, p.key))).collect();
                exits.sort_unstable();
                let over = exits.len().saturating_sub(limits.processes);
                self.forget(|process| exits[..over].iter().any(|(_, key)| *key == process.key));
            }
        }
    }
}

fn key() -> impl Strategy<Value = ProcessKey> {
    (0..3_u32, 0..6_u64)
        .prop_map(|(pid, start)| ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(start) })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => key().prop_map(Op::Enter),
        3 => key().prop_map(Op::Exited),
        3 => key().prop_map(Op::Freed),
        2 => (0..20_u64).prop_map(Op::Acknowledge),
        1 => Just(Op::Evict),
    ]
}

fn apply(table: &mut Table<()>, acked: &mut Watermark, op: Op, now: u64) {
    let at = KTime::from_nanos(now);
    match op {
        Op::Enter(key) => drop(table.enter(key, at, at, || ())),
        Op::Exited(key) => table.exited(key, at),
        Op::Freed(key) => table.freed(key, at),
        Op::Acknowledge(lag) => {
            let to = Watermark::before(KTime::from_nanos(now.saturating_sub(lag)));
            *acked = to.max(*acked);
            table.release(*acked);
        }
        Op::Evict => {
            table.evict(at, *acked);
        }
    }
}

proptest! {
    /// Whatever happens in whatever order, the table knows, holds and has forgotten the same
    /// processes as the model, and limits hold.
    #[test]
    fn the_table_knows_what_the_model_knows(
        ops in proptest::collection::vec(op(), 0..120),
        processes in 1..4_usize,
        age in 1..40_u64,
    ) {
        let limits = Limits { processes, age: Duration::from_nanos(age) };
        // Nothing forgotten is forgotten again: the model remembers for ever.
        let mut table = Table::new(limits);
        table.forgotten.limit = usize::MAX;
        let (mut model, mut acked) = (Model::default(), Watermark::NONE);
        for (now, op) in (1..).zip(ops) {
            apply(&mut table, &mut acked, op, now);
            model.apply(op, now, limits);
            prop_assert_eq!(table.known(), model.known.len());
            prop_assert_eq!(table.held(), model.known.iter().filter(|p| p.exit.is_some()).count());
            for process in &model.known {
                prop_assert!(table.get(process.key).is_some(), "{:?} at {}", process, now);
                prop_assert_eq!(table.is_running(process.key), process.exit.is_none());
            }
            prop_assert!(model.forgotten.iter().all(|&key| table.has_forgotten(key)));
            if let Op::Evict = op {
                prop_assert!(table.held() <= processes);
            }
        }
        // Everything exited has an end once everything is acknowledged, but for the unreaped.
        table.release(Watermark::END);
        let unreaped = model.known.iter().filter(|p| p.exit.is_some() && p.freed.is_none()).count();
        prop_assert_eq!(table.held(), unreaped);
    }
}

const AT: fn(u64) -> KTime = KTime::from_nanos;

fn process(pid: u32, start: u64) -> ProcessKey {
    ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(start) }
}

fn table(processes: usize) -> Table<&'static str> {
    Table::new(Limits { processes, age: Duration::from_nanos(100) })
}

#[test]
fn a_process_is_forgotten_exactly_when_the_acknowledged_watermark_reaches_its_end() {
    let mut table = table(9);
    let key = process(1, 1);
    table.enter(key, AT(1), AT(1), || "a").unwrap();
    table.exited(key, AT(10));
    table.release(Watermark::before(AT(50)));
    assert!(table.get(key).is_some(), "it may still be sampled until it is freed");
    table.freed(key, AT(60));
    table.release(Watermark::before(AT(59)));
    assert!(table.get(key).is_some());
    table.release(Watermark::before(AT(60)));
    assert!(table.get(key).is_none());
    assert!(table.enter(key, AT(1), AT(70), || "b").is_none(), "once forgotten, always forgotten");
}

#[test]
fn limits_evict_the_oldest_exit_first_and_say_why() {
    let mut table = table(2);
    for pid in 1..=4 {
        table.enter(process(pid, 1), AT(1), AT(1), || "x").unwrap();
        table.exited(process(pid, 1), AT(10 * u64::from(pid)));
    }
    let acked = Watermark::before(AT(15));
    assert_eq!(table.evict(AT(50), acked), Evicted { processes: 2, ..Evicted::default() });
    assert!(table.get(process(2, 1)).is_none() && table.get(process(3, 1)).is_some());
    let acked = Watermark::before(AT(35));
    assert_eq!(table.evict(AT(140), acked), Evicted { unreaped: 1, age: 1, ..Evicted::default() });
    assert_eq!(table.held(), 0);
}

#[test]
fn a_pid_in_use_again_proves_the_exit_of_its_last_owner() {
    let mut table = table(9);
    table.enter(process(7, 1), AT(1), AT(1), || "old").unwrap();
    assert!(table.enter(process(7, 2), AT(20), AT(20), || "new").unwrap().lost_exit);
    assert!(!table.is_running(process(7, 1)) && table.is_running(process(7, 2)));
    table.release(Watermark::before(AT(20)));
    assert!(table.get(process(7, 1)).is_none());
}

fn census(began: u64, at: u64, processes: &[(ProcessKey, bool)]) -> Census {
    let entry = |&(process, exited): &(ProcessKey, bool)| CensusEntry { process, exited };
    let processes = processes.iter().map(entry).collect();
    let unidentified = [Pid(101)].into();
    Census { at: AT(at), began: AT(began), processes, unidentified }
}

#[test]
fn a_look_at_the_processes_ends_those_that_are_not_there_and_no_others() {
    let mut table = table(9);
    let [running, zombie, gone, exited, other, newer] = [1, 2, 3, 4, 101, 5].map(|pid| process(pid, 1));
    for key in [running, zombie, gone, exited, other] {
        table.enter(key, AT(1), AT(20), || "").unwrap();
    }
    table.exited(exited, AT(15));
    table.enter(newer, AT(21), AT(21), || "").unwrap();
    // Pid 3 is in use again, by a process that nobody has heard of.
    let look = census(20, 30, &[(running, false), (zombie, true), (process(3, 9), false)]);
    assert_eq!(table.reconcile(&look), 3);
    let runs = [running, zombie, gone, exited, other, newer].map(|key| table.is_running(key));
    assert_eq!(runs, [true, false, false, false, true, true]);
    table.release(Watermark::before(AT(29)));
    assert_eq!(table.known(), 6, "still asked about by samples before the look");
    table.release(Watermark::before(AT(30)));
    assert!(table.has_forgotten(gone) && table.has_forgotten(exited));
    assert!(table.get(zombie).is_some(), "its parent may reap it yet");
    assert_eq!(table.reconcile(&look), 0, "nothing is found twice");
}

/// A process with long paths takes the room of several: the bound is one of memory.
#[test]
fn what_a_process_holds_counts() {
    let mut table = table(4);
    let long: &'static str = Box::leak("x".repeat(6000).into_boxed_str());
    let at = KTime::from_nanos;
    for (pid, held) in [(1, long), (2, "short"), (3, "short")] {
        let key = ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(1) };
        table.enter(key, KTime::ZERO, at(1), || held);
        table.exited(key, at(u64::from(pid)));
    }
    let evicted = table.evict(at(5), Watermark::NONE);
    assert_eq!((evicted.processes, table.held()), (1, 2), "3 + 1 + 1 are more than 4");
}
