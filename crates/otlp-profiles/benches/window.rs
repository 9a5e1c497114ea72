//! Samples a second through window building, and requests through the two encoders.
//!
//! One window of 50 images with 20 stacks of 16 frames each, on 4 CPUs: what a busy host shows.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench, like a test, may panic")]
#![allow(missing_docs, reason = "criterion writes the functions")]

use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use otlp_profiles::{Windows, json};
use pdata::*;

const SAMPLES: u64 = 100_000;
const IMAGES: u64 = 50;
const STACKS: u64 = 20;
const FRAMES: u64 = 16;

fn batches() -> Vec<Batch> {
    let programs: Vec<_> = (0..IMAGES).map(program).collect();
    let stacks: Vec<Vec<Stack>> =
        programs.iter().map(|(_, mapping)| (0..STACKS).map(|n| stack(mapping, n)).collect()).collect();
    let samples = (0..SAMPLES).map(|n| {
        // An order without a short cycle, so that neighbours differ.
        let pick = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let (image, stack) = (pick % IMAGES, pick / IMAGES % STACKS);
        let (image, stack) = (usize::try_from(image).unwrap(), usize::try_from(stack).unwrap());
        sample(n, &programs[image].0, stacks[image][stack].clone())
    });
    let events: Vec<_> = samples.map(Event::Sample).collect();
    events.chunks(1_000).map(batch).collect()
}

fn batch(events: &[Event]) -> Batch {
    let until = events.last().map_or(KTime::ZERO, |last| last.at().saturating_add(Duration::from_nanos(1)));
    Batch {
        events: Arc::new(events.to_vec()),
        watermark: Watermark::before(until),
        clock: ClockOffset::default(),
        flush: false,
    }
}

fn program(number: u64) -> (Arc<Image>, Arc<Mapping>) {
    let path: Box<Path> = Path::new(&format!("/usr/bin/program-{number}")).into();
    let segment = Segment { file_offset: FileOffset(0), size: 0x10_0000, address: ElfAddress(0x40_0000) };
    let facts = FileFacts { segments: [segment].into(), ..FileFacts::default() };
    let file = MappedFile {
        path: path.clone(),
        build_id: BuildId::new(&number.to_be_bytes()),
        facts: OnceLock::from(facts),
    };
    let start = 0x5555_0000_0000 + (number << 24);
    let mapping = Mapping {
        start: Pc(start),
        end: Pc(start + 0x10_0000),
        file_offset: FileOffset(0),
        backing: Backing::File(Arc::new(file)),
    };
    let executable = Executable {
        path,
        own_path: None,
        state: FileState::Linked,
        device: 1,
        inode: number,
        mount_namespace: 1,
        truncated: false,
    };
    let kind = ImageKind::User { executable: Arc::new(executable), script: None };
    (Arc::new(Image { key: key(number), created: UnixNanos::default(), kind }), Arc::new(mapping))
}

fn key(number: u64) -> ImageKey {
    let process =
        ProcessKey { pid: Pid(u32::try_from(number).unwrap()), start_time: BootTime::from_nanos(number) };
    ImageKey { process, exec_count: ExecCount(1) }
}

fn stack(mapping: &Arc<Mapping>, number: u64) -> Stack {
    // Callers are shared, leaves are not.
    let pc = |depth: u64| Pc(mapping.start.0 + depth * 0x100 + number * 0x1_0000 / (depth + 1));
    Stack((0..FRAMES).map(|depth| Frame::Mapped(pc(depth), Arc::clone(mapping))).collect())
}

fn sample(number: u64, image: &Arc<Image>, stack: Stack) -> Sample {
    Sample {
        at: KTime::from_nanos(number * 50_000),
        key: image.key,
        period: Duration::from_millis(10),
        tid: Tid(image.key.process.pid.0),
        cpu: u32::try_from(number % 4).unwrap(),
        comm: Comm(*b"program\0\0\0\0\0\0\0\0\0"),
        cgroup: 1,
        in_execve: false,
        kernel_thread: false,
        stack,
        image: Some(Arc::clone(image)),
    }
}

fn window(c: &mut Criterion) {
    let batches = batches();
    let end = Batch { watermark: Watermark::END, ..batch(&[]) };
    let build = || {
        let mut windows = Windows::new(Duration::from_secs(5), 4_000_000);
        for batch in &batches {
            assert!(windows.push(batch).requests.is_empty());
        }
        windows.push(&end).requests
    };
    let messages: Vec<_> = build().iter().map(|request| request.message().unwrap()).collect();
    let mut group = c.benchmark_group("window");
    group.throughput(Throughput::Elements(SAMPLES)).sample_size(20);
    group
        .bench_function("build", |b| b.iter_batched(|| (), |()| black_box(build()), BatchSize::PerIteration));
    group.bench_function("encode_json", |b| {
        b.iter(|| {
            let mut out = Vec::new();
            messages.iter().for_each(|message| json::write_request(message, &mut out));
            out.len()
        });
    });
    group.finish();
}

criterion_group!(benches, window);
criterion_main!(benches);
