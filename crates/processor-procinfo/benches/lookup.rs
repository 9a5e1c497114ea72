//! The cost of attributing samples and of following processes, with few and with many processes.
//!
//! `cargo bench -p processor-procinfo`. All events go through the layer, as in the agent.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pdata::{
    Backing, Batch, BootTime, Code, Comm, Event, ExecCount, Executable, FileOffset, Frame, ImageKey, KTime,
    MappedFile, Mapping, Pc, Pid, ProcessEvent, ProcessKey, ProcessTransition, Relatives, Running, Sample,
    Tid, Watermark,
};
use processor_procinfo::{Config, ProcInfoLayer};
use tower::{Layer, Service};

/// Number of executable mappings of a process: a program and its libraries.
const MAPPINGS: u64 = 12;
const FRAMES: u64 = 16;
/// Number of frames in a row that are in the same mapping: callers are mostly in the file of their
/// callee.
const RUN: u64 = 4;
const BATCH: usize = 1000;
/// The first pid, beyond any pid there is, so that nothing is read while the clock runs.
const FIRST_PID: u32 = 1 << 23;

fn image(index: u64) -> ImageKey {
    let pid = Pid(FIRST_PID + u32::try_from(index).unwrap_or_default());
    ImageKey {
        process: ProcessKey { pid, start_time: BootTime::from_nanos(index) },
        exec_count: ExecCount(1),
    }
}

fn process_event(at: u64, image: ImageKey, transition: ProcessTransition) -> Event {
    Event::Process(ProcessEvent { at: KTime::from_nanos(at), image, transition })
}

fn exec() -> ProcessTransition {
    let executable = Executable::at(std::path::Path::new("/usr/bin/program"));
    let (filename, comm) = (Box::from(*b"program"), Comm::default());
    ProcessTransition::Exec {
        executable: Box::new(executable),
        comm,
        filename,
        interpreter: None,
        environment: None,
        arguments: Box::default(),
        relatives: Relatives::default(),
    }
}

/// Mappings of files that have been read, as nearly all have.
fn mappings() -> Vec<Arc<Mapping>> {
    let mapping = |place: u64| {
        let file = MappedFile::at(format!("/nowhere/lib{place}.so").as_ref());
        let _ = file.facts.set(pdata::FileFacts::default());
        Arc::new(Mapping {
            start: Pc(place << 20),
            end: Pc((place << 20) + 0x8_0000),
            file_offset: FileOffset(0x1000),
            backing: Backing::File(Arc::new(file)),
        })
    };
    (0..MAPPINGS).map(mapping).collect()
}

/// All events of a process's start, as they come from the kernel.
fn started(at: u64, index: u64, parent: u64) -> impl Iterator<Item = Event> {
    let (key, parent) = (image(index), ImageKey { exec_count: ExecCount(0), ..image(parent) });
    let forked = ImageKey { exec_count: ExecCount(0), ..key };
    let fork = process_event(at, forked, ProcessTransition::Fork { parent, relatives: Relatives::default() });
    [fork, process_event(at, key, exec())].into_iter()
}

/// Samples of live processes, picked by a fixed pseudo-random sequence.
fn samples(at: u64, processes: u64) -> Vec<Event> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mappings = mappings();
    let samples = (0..BATCH).map(|_| {
        let key = image(next() % processes);
        let mut places = (0..FRAMES / RUN).map(|_| next() % MAPPINGS).collect::<Vec<_>>().into_iter();
        let mut place = 0;
        let frames = (0..FRAMES).map(|frame| {
            place = if frame % RUN == 0 { places.next().unwrap_or_default() } else { place };
            let pc = Pc((place << 20) + next() % 0x8_0000);
            let mapping = mappings.get(usize::try_from(place).unwrap_or_default());
            Frame::exact(pc, mapping.map_or(Code::Unknown, |mapping| Code::Mapped(Arc::clone(mapping))))
        });
        Event::Sample(Sample {
            at: KTime::from_nanos(at),
            key,
            tid: Tid(key.process.pid.0),
            cpu: 0,
            comm: Comm::default(),
            context: pdata::Context::default(),
            running: Running::Program,
            stack: frames.collect(),
            ..Sample::default()
        })
    });
    samples.collect()
}

/// The component, in front of an exporter that acks every batch at once.
struct Agent<S>(S);

impl<S: Service<Batch, Response = Watermark, Error = Infallible>> Agent<S> {
    fn send(&mut self, events: Vec<Event>, watermark: u64) {
        let batch = Batch {
            events: Arc::new(events.into()),
            watermark: Watermark::before(KTime::from_nanos(watermark)),
            ..Batch::default()
        };
        let mut cx = Context::from_waker(Waker::noop());
        assert!(self.0.poll_ready(&mut cx).is_ready());
        let call = std::pin::pin!(self.0.call(batch));
        assert!(matches!(call.poll(&mut cx), Poll::Ready(Ok(_))));
    }
}

fn agent(processes: u64) -> Agent<impl Service<Batch, Response = Watermark, Error = Infallible>> {
    let done = tower::service_fn(|batch: Batch| {
        std::hint::black_box(&batch);
        ready(Ok::<_, Infallible>(batch.watermark))
    });
    let mut agent = Agent(ProcInfoLayer::new(&Config::default()).layer(done));
    for index in 0..processes {
        agent.send(started(index + 1, index, 0).collect(), index + 2);
    }
    agent
}

fn enrich(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("enrich");
    group.throughput(Throughput::Elements(BATCH as u64));
    for processes in [100, 10_000] {
        let mut agent = agent(processes);
        let at = processes + 10;
        let events = samples(at, processes);
        group.bench_function(BenchmarkId::new("samples", processes), |bencher| {
            bencher.iter_batched(|| events.clone(), |events| agent.send(events, at), BatchSize::LargeInput);
        });
    }
    group.finish();
}

/// Whole lives of processes while others live: fork, exec, exit, and release by the kernel.
fn lifecycle(criterion: &mut Criterion) {
    const LIVES: u64 = 100;
    let mut group = criterion.benchmark_group("lifecycle");
    group.throughput(Throughput::Elements(LIVES * 4));
    for processes in [100, 10_000] {
        let mut agent = agent(processes);
        let (mut at, mut index) = (processes + 10, processes);
        group.bench_function(BenchmarkId::new("events", processes), |bencher| {
            let mut lives = || {
                let mut events = Vec::new();
                for _ in 0..LIVES {
                    (at, index) = (at + 1, index + 1);
                    events.extend(started(at, index, 0));
                    events.push(process_event(at, image(index), ProcessTransition::Exit));
                    events.push(process_event(at, image(index), ProcessTransition::Freed));
                }
                (events, at + 1)
            };
            bencher.iter_batched(
                &mut lives,
                |(events, watermark)| agent.send(events, watermark),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, enrich, lifecycle);
criterion_main!(benches);
