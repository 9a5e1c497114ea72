//! The cost of an exec, by the kernel's own measure of the program that reports it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pdata::{Batch, Event, ProcessEvent, ProcessTransition};
use receiver_ebpf::{Config, Control, Wanted};
use support::{PATIENCE, done_after, run};

const EXECS: u32 = 1500;
const NAMES: [&str; 2] = ["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"];
/// Variables besides those two: as many as a login shell has.
const OTHERS: usize = 33;

/// Number and time of the runs of our `on_exec`: other agents on this machine may have one, too.
fn runs() -> (u64, Duration) {
    let own: BTreeSet<u32> = fs::read_dir("/proc/self/fdinfo")
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok())
        .filter_map(|text| text.lines().find_map(|line| line.strip_prefix("prog_id:"))?.trim().parse().ok())
        .collect();
    let programs = aya::programs::loaded_programs().flatten();
    let program =
        programs.filter(|program| own.contains(&program.id())).find(|program| program.name() == b"on_exec");
    let program = program.expect("the receiver has loaded it");
    (program.run_count(), program.run_time())
}

/// Nanoseconds of `on_exec` per exec, over many execs.
fn measure() -> u64 {
    let before = runs();
    for _ in 0..EXECS {
        let mut command = Command::new("/bin/true");
        command.env_clear();
        command.envs((0..OTHERS).map(|number| (format!("VARIABLE_{number:02}"), "x".repeat(number * 2))));
        command
            .env(NAMES[0], "cart")
            .env(NAMES[1], "service.namespace=shop,deployment.environment.name=test");
        assert!(command.status().unwrap().success());
    }
    let after = runs();
    assert!(after.0 - before.0 >= EXECS.into());
    u64::try_from((after.1 - before.1).as_nanos()).unwrap() / (after.0 - before.0)
}

/// True if the arguments of the process that made the last known exec were read.
#[derive(Clone, Default)]
struct Last(Arc<Mutex<Option<bool>>>);

impl Last {
    /// Makes processes until their arguments are read or not as `reads` asks: the kernel side learns of the request
    /// some time later.
    fn wait_until_asked(&self, reads: bool) {
        *self.0.lock().unwrap() = None;
        let start = Instant::now();
        while *self.0.lock().unwrap() != Some(reads) {
            assert!(
                start.elapsed() < PATIENCE,
                "waited {PATIENCE:?} for arguments to be read, or not: {reads}"
            );
            assert!(Command::new("/bin/true").status().unwrap().success());
        }
    }

    fn take(&self, batch: &Batch) {
        let mut execs = batch.events.iter().filter_map(|event| match event {
            Event::Process(ProcessEvent {
                transition: ProcessTransition::Exec { arguments, .. }, ..
            }) => Some(!arguments.is_empty()),
            _ => None,
        });
        if let Some(reads) = execs.next_back() {
            *self.0.lock().unwrap() = Some(reads);
        }
    }
}

fn measured(control: &Control, seen: &Last) {
    control.set_program_statistics(true);
    let start = Instant::now();
    while runs().0 == 0 {
        assert!(start.elapsed() < PATIENCE, "the kernel measures");
        assert!(Command::new("/bin/true").status().unwrap().success());
    }
    let mut costs = Vec::new();
    for _round in 0..3 {
        for names in [&[][..], &NAMES] {
            control.set_wanted(Wanted {
                variables: names.iter().map(|name| (*name).to_owned()).collect(),
                argument_bytes: if names.is_empty() { 0 } else { 1024 },
            });
            seen.wait_until_asked(!names.is_empty());
            costs.push(measure());
        }
    }
    eprintln!("ns of an exec without and with the environment, by turns: {costs:?}");
    let best = |of: usize| costs.iter().skip(of).step_by(2).min().copied().unwrap();
    let (without, with) = (best(0), best(1));
    // A microsecond is the goal; a machine that is slow, or busy with other things, is not to fail the test.
    assert!(with < without + without.max(3000), "{without} ns without the environment, {with} ns with it");
}

#[test]
#[ignore = "needs root: loads BPF programs; prints what it measures with --nocapture"]
fn reading_an_environment_costs_little() {
    let last = Last::default();
    let seen = last.clone();
    let next = done_after(move |batch| last.take(batch));
    run(Config { samples_per_second: 1, ..Config::default() }, next, move |control| measured(control, &seen));
}
