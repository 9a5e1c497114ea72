//! The bytes against the plain way to make the same message.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::profiles::v1development::ResourceProfiles;
use pdata::{
    Batch, BuildId, Event, FileFacts, Frame, LossReason, MappedFile, Mapping, Measure, Sample, Tid, Watermark,
};
use proptest::prelude::*;
use prost::Message;

use super::make::{
    PERIOD, World, batch, before, comm, loss, mapped, mapping, sample, samples, segment, world,
};
use super::model::{self, extract::extract};
use super::read::{captures, check_tables};
use crate::{ProfilesRequest, Windows};

fn message(request: &ProfilesRequest) -> ExportProfilesServiceRequest {
    let message = request.message().unwrap();
    assert_eq!(message.encode_to_vec(), request.bytes, "as prost would write it");
    message
}

/// Batches of samples and losses, in windows of 300 ns, until the end of the stream.
fn batches() -> impl Strategy<Value = Vec<Batch>> {
    let sample = samples(1_000, 40).prop_map(|samples| samples.into_iter().map(Event::Sample).collect());
    let lost = (0..1_000_u64, 0..5_u64, 0..12_usize);
    let lost = lost.prop_map(|(until, count, reason)| loss(until, LossReason::ALL[reason], count));
    let some = (sample, prop::collection::vec(lost, 0..3), prop::bool::weighted(0.3), 1..5_u32);
    let some = some.prop_map(|(mut events, losses, flush, period): (Vec<Event>, _, _, _)| {
        events.extend(losses);
        // A rate that changes while a window is open splits its profiles.
        for event in &mut events {
            if let Event::Sample(Sample { at, measure, .. }) = event
                && at.as_nanos() % 2 == 0
                && let Measure::OnCpu { period: of } = measure
            {
                *of = PERIOD * period;
            }
        }
        (events, flush)
    });
    prop::collection::vec(some, 1..4).prop_map(|list| {
        let last = list.len() - 1;
        let batches = list.into_iter().enumerate().map(|(number, (events, flush))| {
            let end = if number == last { Watermark::END } else { before(400 * (number as u64 + 1)) };
            Batch { flush, ..batch(events, end) }
        });
        batches.collect()
    })
}

/// The resources of a request one by one, each with the entries of the dictionary that it uses.
fn resources(request: &ExportProfilesServiceRequest) -> Vec<ExportProfilesServiceRequest> {
    let one =
        |resource: &ResourceProfiles| extract(vec![resource.clone()], request.dictionary.as_ref().unwrap());
    request.resource_profiles.iter().map(one).collect()
}

proptest! {
    /// The bytes of a window are those of the message made the plain way, from window to window.
    #[test]
    fn a_window_is_told_as_the_plain_way_has_it(batches in batches()) {
        let length = Duration::from_nanos(300);
        let mut windows = Windows::new(length, usize::MAX);
        let requests: Vec<_> = batches.iter().flat_map(|batch| windows.push(batch).requests).collect();
        let mut model = model::requests(length, &batches, |_| {});
        let mut messages: Vec<_> = requests.iter().map(message).collect();
        // The model does not carry losses on; that they are is tested with windows.
        for request in messages.iter_mut().chain(&mut model) {
            for profile in request.resource_profiles.iter_mut().flat_map(|r| &mut r.scope_profiles).flat_map(|s| &mut s.profiles) {
                profile.attribute_indices.clear();
            }
            *request = extract(std::mem::take(&mut request.resource_profiles), request.dictionary.as_ref().unwrap());
        }
        prop_assert_eq!(messages, model);
    }

    /// The bytes of one window with losses are those of the message made the plain way.
    #[test]
    fn losses_are_told_as_the_plain_way_has_it(batches in batches()) {
        let length = Duration::from_secs(1);
        let batches: Vec<_> = batches.into_iter().map(|batch| Batch { flush: false, ..batch }).collect();
        let mut windows = Windows::new(length, usize::MAX);
        let requests: Vec<_> = batches.iter().flat_map(|batch| windows.push(batch).requests).collect();
        let model = model::requests(length, &batches, |_| {});
        prop_assert_eq!(requests.iter().map(message).collect::<Vec<_>>(), model);
        for request in &requests {
            let stamps: usize = super::read::profiles(&message(request)).flat_map(|(_, p)| &p.samples).map(|s| s.timestamps_unix_nano.len()).sum();
            prop_assert_eq!(request.samples, stamps as u64);
        }
    }

    /// Files that are read while a window is open change the window's bytes as they change the plain way's.
    #[test]
    fn files_read_late_are_told_as_the_plain_way_has_it(
        picks in prop::collection::vec((0..3_usize, 0..0x40_u64), 1..40),
        read_after in 0..3_usize,
        kernel_id: bool,
    ) {
        let world = || {
            let new = || {
                let build_id = BuildId::new(&[7]).filter(|_| kernel_id);
                Arc::new(MappedFile { build_id, ..MappedFile::at(std::path::Path::new("/a")) })
            };
            let (read, unread) = (new(), new());
            let mappings = [
                mapping(&read, 0x1_0000, 0x1_1000, 0x1000),
                mapping(&read, 0x2_0000, 0x2_1000, 0x1000),
                mapping(&unread, 0x3_0000, 0x3_1000, 0x1000),
            ];
            let events: Vec<_> = picks.iter().enumerate().map(|(at, &(which, into))| {
                let mapping = Arc::clone(&mappings[which]);
                let frame = mapped(mapping.start.0 + into, &mapping);
                Event::Sample(sample(at as u64, None, vec![frame]))
            }).collect();
            let third = events.len().div_ceil(3);
            let mut batches: Vec<_> = events.chunks(third).map(|events| batch(events.to_vec(), before(1))).collect();
            batches.push(batch(vec![], Watermark::END));
            (read, batches)
        };
        let segments = || FileFacts { segments: [segment(0x1000, 0x20, 0x9000)].into(), ..FileFacts::default() };
        let length = Duration::from_secs(1);
        let (file, batches) = world();
        let mut windows = Windows::new(length, usize::MAX);
        let mut requests = Vec::new();
        for (number, batch) in batches.iter().enumerate() {
            requests.extend(windows.push(batch).requests.iter().map(message));
            if number == read_after {
                file.facts.set(segments()).ok();
            }
        }
        let (file, batches) = world();
        let mut model = model::requests(length, &batches, |number| {
            if number == read_after {
                file.facts.set(segments()).ok();
            }
        });
        // Of samples that become one, the plain way puts the timestamps of one after those of the other.
        for sample in model.iter_mut().flat_map(|r| &mut r.resource_profiles).flat_map(|r| &mut r.scope_profiles)
            .flat_map(|s| &mut s.profiles).flat_map(|p| &mut p.samples) {
            sample.timestamps_unix_nano.sort_unstable();
        }
        prop_assert_eq!(requests, model);
    }

    /// Parts are bounded, full and complete, whatever the events and the bound.
    #[test]
    fn parts_are_bounded_full_and_lose_nothing(batches in batches(), max_bytes in 0..6_000_usize) {
        check_parts(&batches, max_bytes);
    }
}

/// A resource that is too large alone begins in the room that the resource before has left; parts are full at other
/// bounds, too.
#[test]
fn a_resource_that_is_split_begins_beside_the_one_before() {
    let World { images, mappings, lines, .. } = world();
    let frame = |which: usize, into, named: Option<usize>| {
        let mapping: &Arc<Mapping> = &mappings[which];
        Frame { lines: named.map(|n| Arc::clone(&lines[n])), ..mapped(mapping.start.0 + into, mapping) }
    };
    let one = vec![frame(2, 0, None), frame(2, 0, Some(2)), frame(2, 1, None)];
    let other = [frame(3, 0, None), frame(0, 0, Some(3)), frame(0, 0, None), frame(5, 0, None)];
    let other = other.into_iter().chain([frame(0, 2, Some(3))]).collect();
    let small = Sample { tid: Tid(1), comm: comm(""), ..sample(0, images[0].clone(), Vec::new()) };
    let large = [(413, 1, "gc", one), (367, 2, "worker", other)].map(|(at, tid, name, stack)| Sample {
        tid: Tid(tid),
        comm: comm(name),
        ..sample(at, images[4].clone(), stack)
    });
    let events = [small].into_iter().chain(large).map(Event::Sample);
    let events = events.chain([loss(0, LossReason::SampleRingFull, 1)]).collect();
    let whole = batch(events, Watermark::END);
    let requests = |max_bytes| Windows::new(Duration::from_secs(1), max_bytes).push(&whole).requests;
    let samples: Vec<_> = requests(1_085).iter().map(|request| request.samples).collect();
    assert_eq!(samples, [2, 1], "samples in each request");
    // Each fifth bound, since all of them take seconds.
    for max_bytes in (0..=requests(usize::MAX)[0].bytes.len()).step_by(5) {
        check_parts(std::slice::from_ref(&whole), max_bytes);
    }
}

/// Asserts that parts together have the content of the whole, have clean tables, are within the bound unless they hold
/// a single timestamp, and are as few as taking samples in order allows: no two neighbours would fit in one.
fn check_parts(batches: &[Batch], max_bytes: usize) {
    let run = |max_bytes| {
        let mut windows = Windows::new(Duration::from_secs(1), max_bytes);
        batches.iter().map(|batch| windows.push(batch).requests).collect::<Vec<_>>()
    };
    for (whole, parts) in run(usize::MAX).into_iter().zip(run(max_bytes)) {
        let (whole, parts): (Vec<_>, Vec<_>) =
            (whole.iter().map(message).collect(), parts.iter().map(message).collect());
        for part in &parts {
            check_tables(part);
            assert!(part.encoded_len() <= max_bytes || captures(part).len() == 1, "bound of {max_bytes}");
        }
        let sorted = |requests: &[ExportProfilesServiceRequest]| {
            let mut all: Vec<_> = requests.iter().flat_map(captures).collect();
            all.sort();
            all
        };
        assert_eq!(sorted(&parts), sorted(&whole));
        // A resource stays whole if it fits alone.
        let fitting = whole.iter().flat_map(resources).filter(|one| one.encoded_len() <= max_bytes);
        let kept: Vec<_> = parts.iter().flat_map(resources).collect();
        for resource in fitting {
            assert!(kept.contains(&resource), "a resource that fits in {max_bytes} bytes is split");
        }
        let mut joined = parts.windows(2).map(join);
        let full = whole.len() > 1 || joined.all(|request| request.encoded_len() > max_bytes);
        assert!(full, "two neighbours fit in {max_bytes} bytes");
    }
}

/// Two requests joined to one, the plain way.
fn join(two: &[ExportProfilesServiceRequest]) -> ExportProfilesServiceRequest {
    let requests: Vec<_> = two
        .iter()
        .map(|request| ProfilesRequest {
            bytes: request.encode_to_vec().into(),
            samples: captures(request).len() as u64,
        })
        .collect();
    let mut merged = crate::merge(&requests, usize::MAX);
    assert_eq!(merged.len(), 1);
    message(&merged.remove(0))
}
