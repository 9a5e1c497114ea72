//! Cost to the server of a page with an hour of a storm in memory: 997 samples a second of each of two CPUs, of
//! processes that live for two samples each. The stacks of one storm are mostly few distinct ones, those of the other a
//! million. Prints the bytes that are held and sent before it measures.
//!
//! `cargo bench -p profile-page --bench hour -- million` measures those whose name has that word; a storm of which
//! nothing is measured is not made.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark may panic, and its main function is made by a macro"
)]

use std::cell::Cell;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use criterion::{Criterion, criterion_group, criterion_main};
use pdata::{BootTime, Pid, ProcessKey};
use profile_page::{Page, router};
use profile_store::{
    FrameFlags, FrameText, Kind, Limits, ProcessText, SampleText, Store, TICKS_PER_SECOND, TaskText, Weight,
};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

const EPOCH: u64 = 1_790_000_000;
const SECONDS: u32 = 3_600;
const HERTZ: u32 = 997;
const CPUS: u32 = 2;
/// Number of distinct functions.
const NAMES: usize = 400;
const EXECUTABLES: usize = 50;

/// A number that looks random and is the same each time.
fn mix(seed: u32) -> usize {
    let mixed = (seed ^ (seed >> 16)).wrapping_mul(0x45d9_f3b3);
    ((mixed ^ (mixed >> 15)).wrapping_mul(0x2c1b_3c6d) >> 8) as usize
}

/// The stacks of a storm.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stacks {
    /// Nineteen of twenty samples are of 300 distinct stacks, the others of 200,000.
    Mixed,
    /// Every sample is of one of a million distinct stacks, an equal number of each executable.
    Million,
}

impl Stacks {
    /// Numbers of the functions of a sample's stack, outermost first.
    fn functions(self, sample: u32, executable: usize) -> Vec<usize> {
        match self {
            Self::Mixed => {
                let seed = if sample.is_multiple_of(20) { mix(sample) % 200_000 } else { mix(sample) % 300 };
                let depth = 6 + seed % 25;
                (0..depth).map(|at| mix(u32::try_from(seed * 3 + at / 4).unwrap()) + at).collect()
            }
            Self::Million => {
                let stack = mix(sample) % (1_000_000 / EXECUTABLES);
                let common = std::iter::once(100 + executable).chain(1..10);
                // The digits of the stack's number, each with its position: no other stack of the executable has all
                // of these frames.
                let digits = [1, 10, 100, 1_000, 10_000].into_iter().zip(0..);
                let own = digits.map(|(place, depth)| 30 + 10 * depth + stack / place % 10);
                common.chain(own).collect()
            }
        }
    }
}

fn storm(max_bytes: usize, stacks: Stacks) -> Store {
    let names: Vec<_> =
        (0..NAMES).map(|number| format!("module_{}::function_{number}", number % 20)).collect();
    let paths: Vec<_> = (0..EXECUTABLES).map(|number| format!("/usr/lib/storm/program-{number}")).collect();
    let frame = |number: usize| FrameText {
        name: &names[number % NAMES],
        module: if number.is_multiple_of(7) { "[kernel]" } else { "/usr/lib/libstorm.so" },
        build_id: "0123456789abcdef0123456789abcdef01234567",
        flags: if number.is_multiple_of(7) { FrameFlags::KERNEL } else { FrameFlags::NONE },
        ..FrameText::default()
    };
    let mut store =
        Store::new(Limits { max_bytes, retention: SECONDS * TICKS_PER_SECOND }, EPOCH * 1_000_000_000);
    store.follow_processes();
    let init = ProcessKey { pid: Pid(1), start_time: BootTime::from_nanos(1) };
    let mut number = 0_u32;
    for second in 0..SECONDS {
        for within in 0..HERTZ * CPUS {
            number += 1;
            let process = number / 2;
            let program = mix(process) % EXECUTABLES;
            let executable = &paths[program];
            let tick = second * TICKS_PER_SECOND + within * TICKS_PER_SECOND / (HERTZ * CPUS);
            // Starts are multiples of no step, so that they are hard to pack.
            let start = u64::from(process) * 1_003_009 + mix(process) as u64 % 1_003_009;
            let key =
                ProcessKey { pid: Pid(process % 4_000_000 + 2), start_time: BootTime::from_nanos(start) };
            if number.is_multiple_of(2) {
                store.know_process(key, executable, Some(init), Some(tick));
            }
            let frames: Vec<_> = stacks.functions(number, program).into_iter().map(frame).collect();
            let task = TaskText {
                process: ProcessText { key, executable },
                tid: key.pid.0,
                thread: "storm",
                container: "/system.slice/storm.service",
            };
            let weight = Weight { kind: Kind::OnCpu, truncated: false, samples: 1, value: 1_003_009 };
            store.add(&SampleText {
                tick,
                cpu: u16::try_from(number % CPUS).unwrap(),
                task,
                weight,
                frames: &frames,
            });
        }
        store.advance((second + 1) * TICKS_PER_SECOND);
    }
    assert!(store.bytes() <= max_bytes + max_bytes / 8, "{} bytes", store.bytes());
    store
}

/// Sends a request as a browser does; returns the number of bytes of the answer.
fn ask(runtime: &Runtime, router: &Router, path: &str) -> usize {
    let request =
        Request::get(path).header("host", "localhost").header("accept-encoding", "gzip").body(Body::empty());
    let router = router.clone();
    runtime.block_on(async move {
        let response = router.oneshot(request.unwrap()).await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        to_bytes(response.into_body(), usize::MAX).await.unwrap().len()
    })
}

/// True if the command line asks for a group of this name, or for all.
fn is_asked(group: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with('-')).peekable();
    words.peek().is_none() || words.any(|word| group.contains(&word))
}

fn hour(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let storms = [
        ("an hour of a storm in 64 MiB", 64 << 20, Stacks::Mixed),
        ("an hour of a storm in 1 GiB", 1 << 30, Stacks::Mixed),
        ("an hour of a million stacks in 64 MiB", 64 << 20, Stacks::Million),
        ("an hour of a million stacks in 1 GiB", 1 << 30, Stacks::Million),
    ];
    for (name, max_bytes, stacks) in storms.into_iter().filter(|(name, ..)| is_asked(name)) {
        let store = storm(max_bytes, stacks);
        let (held, bytes) = (store.held().len() / TICKS_PER_SECOND, store.bytes());
        let router = router(Page::of(store));
        // Each request differs from those before, so that none is answered from the cache.
        let turn = Cell::new(0_u64);
        let range = |seconds: u64| {
            turn.set(turn.get() + 1);
            let until = (EPOCH + u64::from(SECONDS)) * 1_000;
            format!("from={}&until={until}", until - seconds * 1_000 + turn.get() % 900)
        };
        let time_line = |seconds: u64| ask(&runtime, &router, &format!("/api/timeline?{}", range(seconds)));
        // All requests that a page sends when its range changes.
        let shown = |seconds: u64| {
            let range = range(seconds);
            let of = |name: &str| ask(&runtime, &router, &format!("/api/{name}?{range}&group=executable"));
            [of("status"), of("tree"), time_line(u64::from(SECONDS))]
        };
        let page: usize =
            ["/", "/page.js", "/page.css"].map(|path| ask(&runtime, &router, path)).iter().sum();
        let [status, tree, line] = shown(60);
        println!(
            "{name}: {held} s held in {bytes} bytes; sent: page {page}, status {status}, tree {tree}, time line {line}"
        );
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        group.bench_function("first paint: the last minute", |bencher| bencher.iter(|| shown(60)));
        group.bench_function("another range: ten minutes", |bencher| bencher.iter(|| shown(600)));
        group.bench_function("another range: all", |bencher| bencher.iter(|| shown(u64::from(SECONDS))));
        for (what, path) in [
            ("status", "status?"),
            ("tree", "tree?"),
            ("tree by executable", "tree?group=executable&"),
            ("tree by process", "tree?group=process&"),
            ("time line", "timeline?"),
            ("top functions", "top?rows=function&"),
            ("processes", "processes?"),
            ("sandwich", "sandwich?function=module_1::function_1&"),
        ] {
            let asked = || ask(&runtime, &router, &format!("/api/{path}{}", range(u64::from(SECONDS))));
            group.bench_function(format!("all: {what}"), |bencher| bencher.iter(asked));
        }
        group.finish();
    }
}

criterion_group!(benches, hour);
criterion_main!(benches);
