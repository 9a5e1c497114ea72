//! The receiver against the running kernel.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use pdata::{Batch, Event, Frame, MappingChange, Pid, ProcessTransition, Watermark};
use receiver_ebpf::{Config, Receiver};
use tower::Service;

/// Keeps every batch, and is done with it at once.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Batch>>>);

impl Service<Batch> for Recorder {
    type Response = Watermark;
    type Error = Infallible;
    type Future = Ready<Result<Watermark, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, batch: Batch) -> Self::Future {
        let watermark = batch.watermark;
        self.0.lock().unwrap().push(batch);
        ready(Ok(watermark))
    }
}

/// Runs the receiver at 199 Hz while `work` runs on a thread of its own.
fn record(work: impl FnOnce() + Send + 'static) -> Vec<Batch> {
    let config = Config { samples_per_second: 199, ..Config::default() };
    let recorder = Recorder::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let receiver = Receiver::start(&config).unwrap();
        let work = tokio::task::spawn_blocking(work);
        let stop = async { work.await.unwrap() };
        receiver.run(recorder.clone(), stop).await.unwrap();
    });
    let batches = recorder.0.lock().unwrap();
    batches.clone()
}

fn burn(time: Duration) {
    let start = std::time::Instant::now();
    let mut x = 1u64;
    while start.elapsed() < time {
        x = std::hint::black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
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

#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_short_process_leaves_fork_mappings_exec_exit_and_freed_in_that_order() {
    let child = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&child);
    let batches = record(move || {
        let mut process = Command::new("/usr/bin/env").arg("true").spawn().unwrap();
        *seen.lock().unwrap() = process.id();
        process.wait().unwrap();
        // A grace period or two, so that the kernel lets go of it.
        std::thread::sleep(Duration::from_millis(500));
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
            Event::Mapping(event) if event.pid == pid => match &event.change {
                MappingChange::Cleared => Some("cleared"),
                MappingChange::Mapped(mapping) if mapping.name.starts_with(b"/") => {
                    assert!(mapping.build_id.is_some(), "{mapping:?}");
                    Some("mapped")
                }
                MappingChange::Mapped(_) => None,
            },
            _ => None,
        })
        .collect();
    let mut chapters = story.clone();
    chapters.dedup();
    // `env` execs `true`: each exec throws the old mappings away, maps the program and its loader, and
    // is complete only then; the loader maps libraries.
    let image = ["cleared", "mapped", "exec", "mapped"];
    assert_eq!(chapters, [&["fork"][..], &image, &image, &["exit", "freed"]].concat(), "{story:?}");
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
    let text = events()
        .filter_map(|event| match event {
            Event::Mapping(event) if event.pid == own => match &event.change {
                MappingChange::Mapped(mapping) if *mapping.name == *exe.as_os_str().as_encoded_bytes() => {
                    Some(mapping.start..mapping.end)
                }
                _ => None,
            },
            _ => None,
        })
        .next()
        .unwrap();
    let leaves: Vec<_> = batches
        .iter()
        .flat_map(Batch::samples)
        .filter(|sample| sample.key.process.pid == own)
        .filter_map(|sample| sample.stack.0.first().cloned())
        .collect();
    let ours = leaves.iter().filter(|frame| matches!(frame, Frame::User(pc) if text.contains(pc))).count();
    // Two seconds at 199 Hz are 398 ticks, however the machine shares its CPUs; half is far below any noise.
    assert!(ours > 100, "{ours} of {} samples in our own text", leaves.len());
}
