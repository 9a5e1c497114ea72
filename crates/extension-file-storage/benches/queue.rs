//! Rate of requests that go through a queue's file: added, durable, read and removed, by the size of a request and by
//! the number of requests under way at a time. The file is where temporary files are: set `TMPDIR` to a disk.

#![allow(missing_docs, reason = "criterion's macros make functions without")]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use extension_file_storage::{Appended, Client, Config, FileStorage};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

/// Bytes of a window of 5 s of a quiet machine, of a busy one, and of the largest request.
const SIZES: [usize; 3] = [16 << 10, 256 << 10, 3_993_600];

fn client(directory: &TempDir, fsync: bool) -> Client {
    let config = Config {
        directory: directory.path().to_owned(),
        fsync,
        // Requests are written at once: those that come while one is written go with the next.
        fsync_interval: Duration::ZERO,
        ..Config::default()
    };
    FileStorage::open(config).expect("the directory is ours").client("bench", |_| {}).expect("a thread")
}

/// Puts `count` requests through the file, up to `at_a_time` of them waiting to be durable; each is then read and
/// removed.
async fn pass(client: &Client, request: &Bytes, count: u64, at_a_time: u64) {
    let (send, mut received) = mpsc::channel(64);
    let (mut asked, mut under_way) = (0, VecDeque::new());
    while asked < count || !under_way.is_empty() {
        while asked < count && (under_way.len() as u64) < at_a_time {
            let send = send.clone();
            under_way.push_back(client.append(request.clone(), 1, move |appended| {
                assert_eq!(appended, Appended::Durably);
                send.try_send(()).expect("there is room for all");
            }));
            asked += 1;
        }
        received.recv().await;
        if let Some(handle) = under_way.pop_front() {
            assert!(client.read(handle).await.expect("the file is sound").is_some());
            client.remove(handle);
        }
    }
}

fn throughput(c: &mut Criterion) {
    let runtime: Runtime = Builder::new_current_thread().build().expect("a runtime");
    for fsync in [true, false] {
        let mut group = c.benchmark_group(if fsync { "fsync" } else { "no_fsync" });
        group.sample_size(10).measurement_time(Duration::from_secs(3));
        for size in SIZES {
            let request = Bytes::from(vec![7; size]);
            group.throughput(Throughput::Bytes(size as u64));
            for at_a_time in [1, 16] {
                let directory = TempDir::new().expect("a temporary directory");
                let client = client(&directory, fsync);
                let id = BenchmarkId::new(format!("{}KiB", size >> 10), at_a_time);
                group.bench_function(id, |bench| {
                    bench.iter_custom(|count| {
                        let start = Instant::now();
                        runtime.block_on(pass(&client, &request, count, at_a_time));
                        start.elapsed()
                    });
                });
            }
        }
    }
}

criterion_group!(benches, throughput);
criterion_main!(benches);
