//! Samples a second through windows to requests, requests through `merge`, and through the JSON encoder.
//!
//! `window/64cpu_60s`: 72,960 samples of the host in `host`, a window's worth at 19 Hz on 64 CPUs, from batches to the
//! bytes of the requests. The windows are kept from turn to turn, as the agent keeps them.

#![allow(clippy::unwrap_used, reason = "a bench, like a test, may panic")]
#![allow(missing_docs, reason = "criterion writes the functions")]

mod host;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use otlp_profiles::{DEFAULT_REQUEST_BYTES, ProfilesRequest, Windows, json, merge};

use host::Host;

/// Name, CPUs and seconds of a window.
const WINDOWS: [(&str, u64, u64); 2] = [("8cpu_5s", 8, 5), ("64cpu_60s", 64, 60)];

fn window(c: &mut Criterion) {
    for (name, cpus, seconds) in WINDOWS {
        let samples = cpus * seconds * 19;
        let batches = Host::new(cpus).batches(samples);
        let mut windows = Windows::new(Duration::from_secs(600), DEFAULT_REQUEST_BYTES);
        // Flushed instead of ended: a stream goes on.
        let mut flush = host::batch(&batches.last().unwrap().events);
        flush.events = std::sync::Arc::default();
        flush.flush = true;
        let mut build = || -> Vec<ProfilesRequest> {
            for batch in &batches {
                assert!(windows.push(batch).requests.is_empty());
            }
            windows.push(&flush).requests
        };
        let requests = build();
        let messages: Vec<_> = requests.iter().map(|request| request.message().unwrap()).collect();
        let mut group = c.benchmark_group("window");
        group.throughput(Throughput::Elements(samples)).sample_size(20);
        group.bench_function(name, |b| b.iter(|| black_box(build())));
        group.bench_function(format!("{name}_encode_json"), |b| {
            b.iter(|| {
                let mut out = Vec::new();
                messages.iter().for_each(|message| json::write_request(message, &mut out));
                out.len()
            });
        });
        let both = [requests.as_slice(), &requests].concat();
        group.throughput(Throughput::Elements(2 * samples));
        group.bench_function(format!("{name}_merge_two"), |b| b.iter(|| merge(&both, DEFAULT_REQUEST_BYTES)));
        group.finish();
    }
}

criterion_group!(benches, window);
criterion_main!(benches);
