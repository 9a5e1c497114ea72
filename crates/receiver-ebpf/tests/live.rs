//! Tests of the receiver against the running kernel.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use pdata::{
    Backing, Batch, Code, Event, Frame, LossReason, Measure, Pid, ProcessTransition, Sample, Watermark,
};
use receiver_ebpf::Config;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

use support::{
    Ends, PATIENCE, Recorder, burn, done_after, missed_ticks, record_controlled, record_watched, run,
};

/// Runs the receiver at 199 Hz while `work` runs on a thread of its own.
fn record(work: impl FnOnce() + Send + 'static) -> Vec<Batch> {
    record_controlled(|_| work())
}

#[test]
#[ignore = "needs root: loads BPF programs"]
fn batches_are_ordered_and_nothing_comes_behind_the_watermark() {
    let batches = record(|| {
        for _ in 0..300 {
            assert!(Command::new("/bin/true").status().unwrap().success());
        }
        burn(Duration::from_secs(1));
    });
    let mut watermark = Watermark::NONE;
    for batch in &batches {
        assert!(batch.events.is_sorted_by_key(|event| event.at()));
        for event in batch.events.iter() {
            assert!(!watermark.covers(event.at()), "late: {event:?} behind {watermark:?}");
        }
        assert!(batch.watermark >= watermark);
        watermark = batch.watermark;
    }
    assert_eq!(watermark, Watermark::END);
}

/// Counts events, and those that break the promise of an earlier watermark.
#[derive(Clone, Default)]
struct Judge(Arc<Mutex<Verdict>>);

#[derive(Default)]
struct Verdict {
    events: u64,
    late: u64,
    most_late: Duration,
    watermark: Watermark,
    batches: u64,
    lost: u64,
}

impl Judge {
    fn take(&self, batch: &Batch) {
        let mut verdict = self.0.lock().unwrap();
        for event in batch.events.iter() {
            verdict.events += 1;
            if let Event::Loss(loss) = event {
                verdict.lost += loss.count;
            } else if verdict.watermark.covers(event.at()) {
                verdict.late += 1;
                verdict.most_late =
                    verdict.most_late.max(verdict.watermark.at().saturating_since(event.at()));
            }
        }
        verdict.batches += 1;
        verdict.watermark = batch.watermark;
    }
}

/// Every producer works at once, each as fast as it can: processes, and samples of them.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn no_event_of_a_million_comes_behind_the_watermark() {
    const EVENTS: u64 = 1_000_000;
    /// A bound with a margin: an idle machine takes ten seconds.
    const AT_MOST: Duration = Duration::from_secs(600);
    let judge = Judge::default();
    let seen = judge.clone();
    let samples_per_second = *Config::SAMPLES_PER_SECOND_BOUNDS.end();
    let config = Config { samples_per_second, poll_interval: Duration::from_millis(5), ..Config::default() };
    let takes = judge.clone();
    run(config, done_after(move |batch| takes.take(batch)), move |_| {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _ends = Ends(&done);
            scope.spawn(|| storm_of_names(&done));
            scope.spawn(|| burn_until(&done));
            scope.spawn(|| storm_of_processes(&done));
            let start = Instant::now();
            while seen.0.lock().unwrap().events < EVENTS && start.elapsed() < AT_MOST {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
    });
    let verdict = judge.0.lock().unwrap();
    println!(
        "{} events in {} batches, {} lost and counted; late {}, by at most {:?}",
        verdict.events, verdict.batches, verdict.lost, verdict.late, verdict.most_late
    );
    assert_eq!(verdict.late, 0);
    assert!(verdict.events >= EVENTS, "only {} events in {AT_MOST:?}", verdict.events);
}

fn storm_of_names(done: &AtomicBool) {
    let names = [c"storm-a", c"storm-b"];
    for name in names.iter().cycle() {
        rustix::thread::set_name(name).unwrap();
        if done.load(Ordering::Relaxed) {
            return;
        }
    }
}

fn burn_until(done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        burn(Duration::from_millis(1));
    }
}

fn storm_of_processes(done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        assert!(Command::new("/bin/true").status().unwrap().success());
    }
}

#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_short_process_leaves_fork_exec_exit_and_freed_in_that_order() {
    let child = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&child);
    let batches = record_watched(move |_, recorder| {
        let mut process = Command::new("/usr/bin/env").arg("true").spawn().unwrap();
        *seen.lock().unwrap() = process.id();
        process.wait().unwrap();
        let pid = Pid(process.id());
        let is_freed = |event: &Event| match event {
            Event::Process(event) => {
                event.image.process.pid == pid && event.transition == ProcessTransition::Freed
            }
            _ => false,
        };
        // The kernel lets go of the process after a grace period or two.
        recorder.wait_until("the process to be freed", |batches| {
            batches.iter().flat_map(|batch| batch.events.iter()).any(is_freed)
        });
    });
    let pid = Pid(*child.lock().unwrap());
    let story: Vec<&str> = batches
        .iter()
        .flat_map(|batch| batch.events.iter())
        .filter_map(|event| match event {
            Event::Process(event) if event.image.process.pid == pid => match &event.transition {
                ProcessTransition::Fork { .. } => Some("fork"),
                ProcessTransition::Exec { executable, .. } => {
                    assert!(executable.path.starts_with("/usr/bin"), "{executable:?}");
                    Some("exec")
                }
                ProcessTransition::Exit => Some("exit"),
                ProcessTransition::Freed => Some("freed"),
                ProcessTransition::Seen { .. } | ProcessTransition::Rename { .. } => None,
            },
            _ => None,
        })
        .collect();
    let chapters = story.clone();
    // `env` execs `true`.
    assert_eq!(chapters, ["fork", "exec", "exec", "exit", "freed"], "{story:?}");
}

#[test]
#[ignore = "needs root: loads BPF programs"]
fn the_sampler_sees_our_own_stacks_and_the_snapshot_our_own_executable() {
    let batches = record(|| burn(Duration::from_secs(2)));
    let own = Pid(std::process::id());
    let exe = std::fs::read_link("/proc/self/exe").unwrap();
    let events = || batches.iter().flat_map(|batch| batch.events.iter());
    let seen = events().find_map(|event| match event {
        Event::Process(event) if event.image.process.pid == own => match &event.transition {
            ProcessTransition::Seen { executable: Some(executable), .. } => Some(&executable.path),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(seen.map(|path| &**path), Some(&*exe));
    let leaves: Vec<_> = batches
        .iter()
        .flat_map(Batch::samples)
        .filter(|sample| sample.key.process.pid == own)
        .filter_map(|sample| sample.stack.frames.first().cloned())
        .collect();
    let is_own = |frame: &&Frame| match &frame.code {
        Code::Mapped(mapping) => matches!(&mapping.backing, Backing::File(file) if *file.path == *exe),
        _ => false,
    };
    let ours = leaves.iter().filter(is_own).count();
    let missed: u64 = events().map(missed_ticks).sum();
    // Two seconds of CPU time at 199 Hz are 398 ticks, however the machine shares its CPUs, if it has them itself.
    assert!(
        u64::try_from(ours).unwrap() + missed > 300,
        "{ours} of {} samples in our own text, {missed} missed: {leaves:?}",
        leaves.len()
    );
}

/// Starts a copy of `sleep` whose path is longer than the kernel side holds, with a name's border exactly at its limit.
fn sleep_far_down(root: &std::path::Path) -> std::process::Child {
    const SCRIPT: &str =
        "for _ in $(seq 17); do mkdir $0; cd -P $0; done; cp $(command -v sleep) $1; exec ./$1 600";
    let (directory, program) = ("d".repeat(255), "s".repeat(255));
    let mut command = Command::new("sh");
    let child = command.args(["-ec", SCRIPT, &directory, &program]).current_dir(root).spawn().unwrap();
    let name = format!("/proc/{}/comm", child.id());
    let start = Instant::now();
    while !std::fs::read_to_string(&name).unwrap().starts_with("sss") {
        assert!(start.elapsed() < PATIENCE, "the program was not started");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

/// A user who may make directories cannot keep the agent from starting.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_path_longer_than_the_kernel_side_holds_is_told_by_its_tail() {
    let root = tempfile::tempdir().unwrap();
    let mut child = sleep_far_down(root.path());
    let batches = record(|| ());
    child.kill().unwrap();
    child.wait().unwrap();
    let pid = Pid(child.id());
    let executable = batches
        .iter()
        .flat_map(|batch| batch.events.iter())
        .find_map(|event| match event {
            Event::Process(event) if event.image.process.pid == pid => match &event.transition {
                ProcessTransition::Seen { executable, .. } => executable.clone(),
                _ => None,
            },
            _ => None,
        })
        .unwrap();
    assert!(executable.truncated, "{executable:?}");
    let tail = format!("{}/{}", "d".repeat(255), "s".repeat(255));
    assert!(executable.path.ends_with(tail), "{executable:?}");
    // Records that are merely lost are not the program's fault: other tests, which run beside this one, may fill the
    // ring.
    let refused = batches.iter().flat_map(|batch| batch.events.iter()).any(|event| match event {
        Event::Loss(loss) => {
            matches!(loss.reason, LossReason::LifecycleMalformed | LossReason::SampleMalformed)
        }
        _ => false,
    });
    assert!(!refused, "no record was malformed");
}

/// Keeps a CPU from idling until asked to stop.
fn occupy(cpu: usize, done: &AtomicBool) {
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).unwrap();
    while !done.load(Ordering::Relaxed) {
        burn(Duration::from_millis(1));
    }
}

/// On a CPU that never idles every tick is a sample: so the samples' periods add up to the time that has passed.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn after_a_change_of_rate_samples_say_the_new_period_and_still_add_up_to_the_time_used() {
    /// Samples of each period on each CPU, with none of another period among them.
    const EACH: usize = 30;
    let cpus: Vec<usize> = {
        let online = sched_getaffinity(None).unwrap();
        (0..CpuSet::MAX_CPU).filter(|&cpu| online.is_set(cpu)).collect()
    };
    let sampled = cpus.clone();
    let expected = [199, 199 / 4, 997 / 4, 997].map(|rate| Duration::from_secs(1) / rate);
    let batches = record_watched(move |control, recorder| {
        let done = AtomicBool::new(false);
        let wait_for = |expected: Duration| {
            recorder.wait_until("samples of that period alone on every CPU", |batches| {
                let last = |cpu| samples_of_cpu(batches, cpu).into_iter().rev().take(EACH);
                let count = |cpu| last(cpu).filter(|sample| period(sample) == expected).count();
                cpus.iter().all(|&cpu| count(cpu) == EACH)
            });
        };
        std::thread::scope(|scope| {
            let _ends = Ends(&done);
            for &cpu in &cpus {
                let done = &done;
                scope.spawn(move || occupy(cpu, done));
            }
            wait_for(expected[0]);
            control.set_divisor(4);
            wait_for(expected[1]);
            control.set_samples_per_second(997);
            wait_for(expected[2]);
            control.set_divisor(1);
            wait_for(expected[3]);
        });
    });
    let missed: u64 = batches.iter().flat_map(|batch| batch.events.iter()).map(missed_ticks).sum();
    for cpu in sampled {
        let samples = samples_of_cpu(&batches, cpu);
        // Periods alternate only while a timer takes over from another: for a moment both tick.
        let mut periods: Vec<Duration> = Vec::new();
        for period in samples.iter().copied().map(period) {
            if !periods.contains(&period) {
                periods.push(period);
            }
        }
        assert_eq!(periods, expected, "CPU {cpu}");
        let both: Duration = expected.windows(2).map(|pair| overlap(&samples, pair[0], pair[1])).sum();
        let elapsed = samples[samples.len() - 1].at.saturating_since(samples[0].at);
        let told: Duration = samples[1..].iter().copied().map(period).sum();
        println!("CPU {cpu}: {} samples tell {told:?} of {elapsed:?}; {missed} ticks missed", samples.len());
        // The first tick of a timer may have been late by up to its period.
        let late = expected.iter().sum::<Duration>() * 2;
        assert!(told <= elapsed + late + both, "{told:?} of {elapsed:?}, {both:?} of it twice");
        // The differences that each change may cost, that were counted, and that a machine without time for this test
        // may cost.
        let counted = expected[1] * u32::try_from(missed).unwrap();
        let changes: Duration = expected[..3].iter().sum();
        assert!(told + changes + counted + elapsed / 4 >= elapsed, "{told:?} of {elapsed:?}");
    }
}

/// The samples that the timers of a CPU have taken, in order.
fn samples_of_cpu(batches: &[Batch], cpu: usize) -> Vec<&Sample> {
    let is_tick = |sample: &&Sample| sample.cpu as usize == cpu && period(sample) > Duration::ZERO;
    batches.iter().flat_map(Batch::samples).filter(is_tick).collect()
}

/// The time from the first sample of the new period to the last of the old one; zero if that came before.
fn overlap(samples: &[&Sample], old: Duration, new: Duration) -> Duration {
    let last_old = samples.iter().rfind(|sample| period(sample) == old).unwrap().at;
    let first_new = samples.iter().find(|sample| period(sample) == new).unwrap().at;
    last_old.saturating_since(first_new)
}

fn period(sample: &Sample) -> Duration {
    match sample.measure {
        Measure::OnCpu { period } => period,
        Measure::OffCpu { .. } => panic!("no one measures that: {sample:?}"),
    }
}

#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_flush_is_told_at_once_by_one_batch_whose_watermark_is_later() {
    let config = Config { poll_interval: *Config::POLL_INTERVAL_BOUNDS.end(), ..Config::default() };
    let recorder = Recorder::default();
    let seen = recorder.clone();
    let asked = Arc::new(Mutex::new(None));
    let asked_at = Arc::clone(&asked);
    run(config, recorder.clone(), move |control| {
        // The first batch has been sent: the reader rests.
        seen.wait_until("the first batch", |batches| !batches.is_empty());
        let (start, now) = (Instant::now(), clock_gettime(ClockId::Monotonic));
        *asked_at.lock().unwrap() = Some(Duration::try_from(now).unwrap());
        control.flush();
        while !seen.0.lock().unwrap().iter().any(|batch| batch.flush) {
            assert!(start.elapsed() < most_of_a_poll(), "the flush waits for the next poll");
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let batches = recorder.0.lock().unwrap();
    let flushes: Vec<_> = batches.iter().filter(|batch| batch.flush).collect();
    assert_eq!(flushes.len(), 1);
    // The watermark allows the clocks of kernel and user space to differ by 1 ms.
    let asked = asked.lock().unwrap().unwrap().saturating_sub(Duration::from_millis(1));
    let watermark = Duration::from_nanos(flushes[0].watermark.at().as_nanos());
    assert!(watermark >= asked, "{watermark:?} {asked:?}");
}

/// The flush may wait a second for stacks, and for the kernel's grace period.
fn most_of_a_poll() -> Duration {
    *Config::POLL_INTERVAL_BOUNDS.end() * 9 / 10
}

#[test]
#[ignore = "needs root: loads BPF programs"]
fn runs_of_each_program_are_told_once_they_are_asked_for() {
    const PROGRAMS: [&str; 4] = ["sample_cpu", "on_exec", "on_fork", "on_exit"];
    let recorder = DebuggingRecorder::new();
    let metrics = recorder.snapshotter();
    // The reader has a thread of its own, so the recorder has to be the process's; no other test here asks for runs.
    recorder.install().unwrap();
    let told = move || -> Vec<(String, DebugValue)> {
        let all = metrics.snapshot().into_vec().into_iter();
        let of_programs = all.filter(|(key, ..)| key.key().name().contains("ebpf_program_run"));
        of_programs.map(|(key, _, _, value)| (key.key().to_string(), value)).collect()
    };
    let before = Arc::new(Mutex::new(Vec::new()));
    let (seen, look) = (Arc::clone(&before), told);
    record_controlled(move |control| {
        burn(Duration::from_millis(300));
        *seen.lock().unwrap() = look();
        control.set_program_statistics(true);
        // Each snapshot takes the counts since the last, so programs that have been seen are remembered.
        let (start, mut missing) = (Instant::now(), PROGRAMS.to_vec());
        while !missing.is_empty() {
            assert!(start.elapsed() < PATIENCE, "no runs of {missing:?}: {:?}", look());
            burn(Duration::from_millis(100));
            assert!(Command::new("/bin/true").status().unwrap().success());
            let seen = look();
            missing.retain(|program| !has_run(&seen, program));
        }
    });
    assert!(before.lock().unwrap().is_empty(), "nobody asked");
}

/// True if runs of the program are counted, and the time that they took.
fn has_run(seen: &[(String, DebugValue)], program: &str) -> bool {
    let of = |name: &str| {
        let key = |key: &str| key.contains(name) && key.contains(program);
        seen.iter().find(|(text, _)| key(text)).map(|(_, value)| value)
    };
    let seconds = of("run_seconds_total");
    matches!(of("runs_total"), Some(DebugValue::Counter(1..)))
        && matches!(seconds, Some(DebugValue::Gauge(time)) if time.0 > 0.0)
}
