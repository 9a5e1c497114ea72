//! Rows of whole files, ours beside gimli's in one run, and single pages as a miss builds them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a benchmark")]

#[path = "../tests/oracle/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests")]
mod oracle;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use unwind::{RuleTable, UnwindFile};

const FILES: [&str; 4] = [
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/aarch64-linux-gnu/libc.so.6",
    "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
    "/usr/bin/python3.11",
];

fn whole(bytes: &[u8], rules: &mut RuleTable) -> u64 {
    let mut file = UnwindFile::open(bytes).unwrap();
    (0..file.pages()).map(|page| file.page(bytes, page, rules).unwrap().rows().len() as u64).sum()
}

fn rows(c: &mut Criterion) {
    for path in FILES {
        let Ok(bytes) = std::fs::read(path) else { continue };
        let mut rules = RuleTable::new();
        let name = path.rsplit('/').next().unwrap();
        let mut group = c.benchmark_group("rows");
        group.throughput(Throughput::Elements(whole(&bytes, &mut rules)));
        group.bench_function(BenchmarkId::new("unwind", name), |b| {
            b.iter(|| whole(black_box(&bytes), &mut rules))
        });
        group.bench_function(BenchmarkId::new("gimli", name), |b| b.iter(|| oracle::rows(black_box(&bytes))));
        group.finish();

        // A file that is opened for the first time, and one page in its middle.
        let mut group = c.benchmark_group("miss");
        group.bench_function(BenchmarkId::new("open", name), |b| {
            b.iter(|| UnwindFile::open(black_box(bytes.as_slice())).unwrap());
        });
        let mut file = UnwindFile::open(bytes.as_slice()).unwrap();
        let page = file.pages() / 2;
        group.bench_function(BenchmarkId::new("page", name), |b| {
            b.iter(|| file.page(bytes.as_slice(), black_box(page), &mut rules).unwrap());
        });
        group.finish();
    }
}

criterion_group!(benches, rows);
criterion_main!(benches);
