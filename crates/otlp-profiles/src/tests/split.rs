//! Splitting at its edges. `wire_form` tests that parts are bounded, full and complete.

use std::time::Duration;

use opentelemetry_proto::tonic::profiles::v1development::Sample as OtlpSample;
use pdata::*;

use super::make::{batch, file, image, kernel, mapped, mapping, sample, segment};
use super::read::{only_request, profiles};
use crate::{MIN_REQUEST_BYTES, ProfilesRequest, Windows};

fn requests(events: Vec<Event>, max_bytes: usize) -> Vec<ProfilesRequest> {
    Windows::new(Duration::from_secs(5), max_bytes).push(&batch(events, Watermark::END)).requests
}

#[test]
fn a_request_of_just_the_bound_is_left_as_it_is() {
    let events: Vec<_> = (0..9).map(|at| Event::Sample(sample(at, None, Vec::new()))).collect();
    let whole = requests(events.clone(), usize::MAX);
    let size = whole[0].bytes.len();
    assert_eq!(requests(events.clone(), size), whole);
    assert_eq!(requests(events, size - 1).len(), 2);
}

#[test]
fn a_single_sample_is_split_by_timestamps() {
    let one = |at| Event::Sample(sample(at, None, Vec::new()));
    let events: Vec<_> = (0..1_000).map(one).collect();
    let parts = requests(events.clone(), 2_000);
    assert!(parts.len() > 4 && parts.iter().all(|part| part.bytes.len() <= 2_000));
    let full = parts.split_last().unwrap().1;
    assert!(full.iter().all(|part| part.bytes.len() > 2_000 - 8 - 4), "one more would not fit");
    let stamps = |part: &ProfilesRequest| -> Vec<u64> {
        profiles(&part.message().unwrap())
            .flat_map(|(_, p)| &p.samples)
            .flat_map(|s: &OtlpSample| s.timestamps_unix_nano.clone())
            .collect()
    };
    let whole = requests(events, usize::MAX);
    assert_eq!(parts.iter().flat_map(stamps).collect::<Vec<_>>(), stamps(&whole[0]), "in order");
}

#[test]
fn the_largest_single_capture_is_within_the_least_bound() {
    // 127 is PERF_MAX_STACK_DEPTH, 4096 is PATH_MAX.
    let kernel = (0..127).map(|n| kernel(u64::MAX - n));
    let user = (0..127_u64).map(|n| {
        let path = format!("/{n:04}{}", "x".repeat(4_090));
        let file = file(&path, Some(vec![segment(0, u64::MAX, 1 << 60)]));
        let start = u64::MAX / 2 + n * 0x1000;
        mapped(start + 1, &mapping(&file, start, start + 0x1000, 1 << 50))
    });
    let image = image(1, &"/x".repeat(2_047));
    let sample = sample(1, Some(image), kernel.chain(user).collect());
    let request = only_request(&[batch(vec![Event::Sample(sample)], Watermark::END)]);
    let size = prost::Message::encoded_len(&request);
    assert!((MIN_REQUEST_BYTES / 4..MIN_REQUEST_BYTES).contains(&size), "{size}");
}
