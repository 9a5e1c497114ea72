//! Ring bytes to ordered events: samples a second on one core.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark, and criterion's macros generate public items"
)]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pdata::{KTime, Watermark};
use receiver_ebpf::internals::{Orderer, Pending, Record, decode};

const SAMPLES: u64 = 10_000;
const FRAMES: u16 = 16;

/// A sample record as `ebpf/include/abi.h` lays it out, `FRAMES` user frames deep.
fn record(at: u64) -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>();
    let long = |long: u64| long.to_ne_bytes().to_vec();
    let header = [
        words(&[1, 0]),
        long(at),
        words(&[42, 42]),
        long(7),
        words(&[3, 0]),
        b"benchmark\0\0\0\0\0\0\0".to_vec(),
    ];
    let body = [long(1), [0u16, FRAMES].iter().flat_map(|n| n.to_ne_bytes()).collect(), words(&[0, 0, 0])];
    let frames = (0..u64::from(FRAMES)).flat_map(|depth| (0x40_0000 + depth * 64).to_ne_bytes());
    header.concat().into_iter().chain(body.concat()).chain(frames).collect()
}

/// Two CPUs' samples, nearly in order, as they meet in one ring.
fn records() -> Vec<Vec<u8>> {
    (0..SAMPLES).map(|i| record(1_000_000 + (i ^ 1) * 100)).collect()
}

fn benches(criterion: &mut Criterion) {
    let records = records();
    let mut group = criterion.benchmark_group("receiver");
    group.throughput(Throughput::Elements(SAMPLES));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            for record in &records {
                black_box(decode(record).unwrap());
            }
        });
    });
    let pending = |record: &Vec<u8>| match decode(record).unwrap() {
        Record::Event(event) => Pending::Event(event),
        Record::Sample(sample) => Pending::Sample(sample),
        Record::File(file) => panic!("{file:?} was not asked for"),
        Record::Cgroup(group) => panic!("{group:?} was not asked for"),
    };
    let decoded = || records.iter().map(pending).collect::<Vec<_>>();
    group.bench_function("order", |bencher| {
        bencher.iter_batched(
            decoded,
            |events| {
                let mut orderer = Orderer::default();
                events.into_iter().for_each(|event| orderer.push(event));
                orderer.release(Watermark::before(KTime::MAX))
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(decode_order, benches);
criterion_main!(decode_order);
