//! Cost to the server of a page with an hour of a storm in memory: 997 samples a second of each of two CPUs, of
//! processes that live for two samples each. Prints the bytes that are held and sent before it measures.

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

fn storm(max_bytes: usize) -> Store {
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
            let executable = &paths[mix(process) % EXECUTABLES];
            let tick = second * TICKS_PER_SECOND + within * TICKS_PER_SECOND / (HERTZ * CPUS);
            // Starts are multiples of no step, so that they are hard to pack.
            let start = u64::from(process) * 1_003_009 + mix(process) as u64 % 1_003_009;
            let key =
                ProcessKey { pid: Pid(process % 4_000_000 + 2), start_time: BootTime::from_nanos(start) };
            if number.is_multiple_of(2) {
                store.know_process(key, executable, Some(init), Some(tick));
            }
            // Most samples are of few distinct stacks, and some of very many.
            let seed = if number.is_multiple_of(20) { mix(number) % 200_000 } else { mix(number) % 300 };
            let depth = 6 + seed % 25;
            let frames: Vec<_> =
                (0..depth).map(|at| frame(mix(u32::try_from(seed * 3 + at / 4).unwrap()) + at)).collect();
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

fn hour(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    for (name, max_bytes) in [("64MiB", 64 << 20), ("1GiB", 1 << 30)] {
        let store = storm(max_bytes);
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
        let mut group = criterion.benchmark_group(format!("an hour of a storm in {name}"));
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
