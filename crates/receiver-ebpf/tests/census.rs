//! Processes whose records are lost are forgotten all the same.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::HashSet;
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pdata::{Batch, Event, Pid, ProcessKey, ProcessTransition};
use receiver_ebpf::Config;

use support::{PATIENCE, done_after, run};

/// Processes that end while the ring is full.
const SLEEPERS: usize = 300;

/// A stage behind the receiver that remembers processes, and takes no batch while it is shut.
#[derive(Clone, Default)]
struct Memory(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    shut: bool,
    known: HashSet<ProcessKey>,
    lost: u64,
    reconciled: usize,
}

impl Memory {
    fn shut(&self, shut: bool) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).shut = shut;
        self.0.1.notify_all();
    }

    fn wait_until(&self, what: &str, wanted: impl Fn(&State) -> bool) {
        let start = Instant::now();
        while !wanted(&self.0.0.lock().unwrap()) {
            assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn take(&self, batch: &Batch) {
        let mut state = self.0.1.wait_while(self.0.0.lock().unwrap(), |state| state.shut).unwrap();
        for event in batch.events.iter() {
            match event {
                Event::Process(event) if event.transition == ProcessTransition::Freed => {
                    state.known.remove(&event.image.process);
                }
                Event::Process(event) => drop(state.known.insert(event.image.process)),
                Event::Loss(loss) if !loss.reason.is_sample() => state.lost += loss.count,
                Event::Census(census) => {
                    let there: HashSet<_> = census.processes.iter().map(|entry| entry.process).collect();
                    let before = state.known.len();
                    // Each of these processes was heard of before: none is made while a census is under way.
                    state.known.retain(|key| there.contains(key));
                    state.reconciled += before - state.known.len();
                }
                _ => {}
            }
        }
    }
}

/// A memory that is shut until this is dropped, by a panic too: the receiver would wait for it without end.
struct Shut<'a>(&'a Memory);

impl<'a> Shut<'a> {
    fn new(memory: &'a Memory) -> Self {
        memory.shut(true);
        Self(memory)
    }
}

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        self.0.shut(false);
    }
}

/// Runs twenty-four thousand processes: more than the ring has room for while nobody reads it.
fn storm() {
    const SCRIPT: &str = "i=0; while [ $i -lt 12000 ]; do /bin/true; i=$((i+1)); done";
    let shells: Vec<_> = (0..2).map(|_| Command::new("sh").args(["-c", SCRIPT]).spawn().unwrap()).collect();
    for mut shell in shells {
        assert!(shell.wait().unwrap().success());
    }
}

/// Processes that wait for their end.
fn sleepers() -> Vec<Child> {
    (0..SLEEPERS).map(|_| Command::new("sleep").arg("600").spawn().unwrap()).collect()
}

/// Processes whose exit and free records found the ring full are soon known no longer, and those that run are.
#[test]
#[ignore = "needs root: loads BPF programs; makes 24,000 processes"]
fn processes_whose_end_was_lost_are_reconciled() {
    let memory = Memory::default();
    let seen = memory.clone();
    let next = done_after(move |batch| memory.take(batch));
    run(Config { samples_per_second: 19, ..Config::default() }, next, move |_| {
        let mut sleepers = sleepers();
        let are_known = |state: &State| {
            sleepers.iter().all(|sleeper| state.known.iter().any(|key| key.pid == Pid(sleeper.id())))
        };
        seen.wait_until("the processes to be known", are_known);
        let shut = Shut::new(&seen);
        storm();
        for sleeper in &mut sleepers {
            sleeper.kill().unwrap();
            sleeper.wait().unwrap();
        }
        drop(shut);
        let start = Instant::now();
        let stale = |key: &ProcessKey| !std::path::Path::new(&format!("/proc/{}", key.pid)).exists();
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let state = seen.0.0.lock().unwrap();
            let left = state.known.iter().filter(|key| stale(key)).count();
            if state.reconciled >= SLEEPERS / 2 && left < 20 {
                println!(
                    "{} records lost; {} ends reconciled after {:?}",
                    state.lost,
                    state.reconciled,
                    start.elapsed()
                );
                assert!(state.known.iter().any(|key| key.pid == Pid(std::process::id())));
                assert!(state.known.iter().any(|key| key.pid == Pid(2)));
                break;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{} lost, {left} of {} are over",
                state.lost,
                state.known.len()
            );
        }
    });
}
