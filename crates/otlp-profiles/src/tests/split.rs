//! Requests of bounded size.

use opentelemetry_proto::tonic::profiles::v1development::Sample as OtlpSample;
use pdata::{Event, Frame, Pc, Watermark};
use proptest::prelude::*;
use prost::Message;

use super::make::{batch, file, image, mapping, sample, samples, segment};
use super::read::{check_tables, only_request, profiles, told};
use crate::{MIN_REQUEST_BYTES, split};

proptest! {
    /// Parts say together exactly what the whole said, have clean tables, and are within the bound
    /// unless they hold a single timestamp.
    #[test]
    fn parts_are_bounded_and_lose_nothing(samples in samples(1_000, 60), max_bytes in 0..6_000_usize) {
        prop_assume!(!samples.is_empty());
        let events = samples.into_iter().map(Event::Sample).collect();
        let whole = only_request(&[batch(events, Watermark::END)]);
        let parts = split(whole.clone(), max_bytes);
        let mut all = Vec::new();
        for part in &parts {
            check_tables(part);
            let told = told(part);
            prop_assert!(part.encoded_len() <= max_bytes || told.len() == 1);
            all.extend(told);
        }
        all.sort();
        prop_assert_eq!(all, told(&whole));
    }
}

#[test]
fn a_request_within_the_bound_is_left_as_it_is() {
    let sample = sample(1, None, Vec::new());
    let whole = only_request(&[batch(vec![Event::Sample(sample)], Watermark::END)]);
    assert_eq!(split(whole.clone(), whole.encoded_len()), [whole]);
}

#[test]
fn a_single_sample_is_split_by_timestamps() {
    let one = |at| Event::Sample(sample(at, None, Vec::new()));
    let whole = only_request(&[batch((0..1_000).map(one).collect(), Watermark::END)]);
    let parts = split(whole.clone(), 2_000);
    assert!(parts.len() > 4 && parts.iter().all(|part| part.encoded_len() <= 2_000));
    let stamps = |part| -> Vec<u64> {
        profiles(part)
            .flat_map(|(_, p)| &p.samples)
            .flat_map(|s: &OtlpSample| s.timestamps_unix_nano.clone())
            .collect()
    };
    assert_eq!(parts.iter().flat_map(stamps).collect::<Vec<_>>(), stamps(&whole), "in order");
}

#[test]
fn the_largest_single_capture_is_within_the_least_bound() {
    // 127 is PERF_MAX_STACK_DEPTH, 4096 is PATH_MAX.
    let kernel = (0..127).map(|n| Frame::Kernel(Pc(u64::MAX - n)));
    let user = (0..127_u64).map(|n| {
        let path = format!("/{n:04}{}", "x".repeat(4_090));
        let file = file(&path, Some(vec![segment(0, u64::MAX, 1 << 60)]));
        let start = u64::MAX / 2 + n * 0x1000;
        Frame::Mapped(Pc(start + 1), mapping(&file, start, start + 0x1000, 1 << 50))
    });
    let image = image(1, &"/x".repeat(2_047));
    let sample = sample(1, Some(image), kernel.chain(user).collect());
    let request = only_request(&[batch(vec![Event::Sample(sample)], Watermark::END)]);
    let size = request.encoded_len();
    assert!((MIN_REQUEST_BYTES / 4..MIN_REQUEST_BYTES).contains(&size), "{size}");
}
