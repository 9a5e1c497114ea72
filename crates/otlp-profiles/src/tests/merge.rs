//! Requests merged.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, any_value::Value};
use opentelemetry_proto::tonic::profiles::v1development::Line;
use opentelemetry_proto::tonic::resource::v1::Resource;
use pdata::{Event, Sample, Watermark};
use proptest::prelude::*;
use prost::Message as _;

use super::make::{batch, sample, samples};
use super::read::{Capture, captures, check_tables};
use crate::{ProfilesRequest, Windows, merge};

/// Windows of 100 ns encoded in requests of at most `max_bytes`.
fn requests(samples: Vec<Sample>, max_bytes: usize) -> Vec<ProfilesRequest> {
    let mut windows = Windows::new(Duration::from_nanos(100), max_bytes);
    windows.push(&batch(samples.into_iter().map(Event::Sample).collect(), Watermark::END)).requests
}

fn all(requests: &[ProfilesRequest]) -> Vec<Capture> {
    let mut all: Vec<_> = requests.iter().flat_map(|request| captures(&request.message().unwrap())).collect();
    all.sort();
    all
}

proptest! {
    /// Every capture that goes in comes out once, in clean tables and within the bound.
    #[test]
    fn merged_requests_say_the_same(
        one in samples(1_000, 40), two in samples(1_000, 40),
        before in prop::sample::select(vec![1_500, usize::MAX]), max_bytes in 0..20_000_usize,
    ) {
        let requests: Vec<_> = requests(one, before).into_iter().chain(requests(two, before)).collect();
        let merged = merge(&requests, max_bytes);
        prop_assert_eq!(all(&merged), all(&requests));
        for request in &merged {
            let message = request.message().unwrap();
            check_tables(&message);
            prop_assert_eq!(message.encode_to_vec(), request.bytes.to_vec());
            prop_assert_eq!(captures(&message).len() as u64, request.samples);
            prop_assert!(request.bytes.len() <= max_bytes || request.samples == 1);
        }
        let whole = merge(&requests, usize::MAX);
        prop_assert!(whole.len() <= 1);
        prop_assert!(whole.is_empty() || whole[0].bytes.len() <= requests.iter().map(|r| r.bytes.len()).sum());
    }

    /// Whatever a queue's file has become, nothing panics, and requests that are not understood are
    /// passed on.
    #[test]
    fn what_is_not_understood_is_passed_on(
        samples in samples(300, 20), at in any::<prop::sample::Index>(), byte: u8, junk in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let good = requests(samples, usize::MAX);
        let mut broken = good.clone();
        for request in &mut broken {
            let mut bytes = request.bytes.to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            request.bytes = bytes.into();
        }
        broken.push(ProfilesRequest { bytes: junk.into(), samples: 7 });
        broken.extend(good);
        let count = |requests: &[ProfilesRequest]| requests.iter().map(|request| request.samples).sum::<u64>();
        prop_assert_eq!(count(&merge(&broken, usize::MAX)), count(&broken));
    }
}

fn resource(message: &mut ExportProfilesServiceRequest) -> &mut Resource {
    message.resource_profiles[0].resource.as_mut().unwrap()
}

/// A value that refers to a string of the dictionary.
fn reference() -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValueStrindex(1)) })
}

#[test]
fn what_windows_never_make_is_passed_on_as_it_is() {
    let plain = requests(vec![sample(1, None, Vec::new())], usize::MAX).remove(0);
    let changed = |change: &dyn Fn(&mut ExportProfilesServiceRequest)| {
        let mut message = plain.message().unwrap();
        change(&mut message);
        ProfilesRequest { bytes: message.encode_to_vec().into(), samples: 1 }
    };
    let foreign = [
        changed(&|m| m.resource_profiles[0].scope_profiles[0].profiles[0].samples[0].values.extend([3, 4])),
        changed(&|m| m.resource_profiles[0].scope_profiles[0].profiles[0].profile_id = vec![1; 16]),
        changed(&|m| m.resource_profiles[0].scope_profiles[0].profiles.clear()),
        changed(&|m| m.resource_profiles[0].scope_profiles.clear()),
        changed(&|m| m.resource_profiles[0].resource = None),
        changed(&|m| m.dictionary.as_mut().unwrap().stack_table[1].location_indices.push(77)),
        changed(&|m| m.dictionary = None),
        changed(&|m| resource(m).attributes[0].key_strindex = 1),
        changed(&|m| resource(m).attributes[0].value = reference()),
        changed(&|m| {
            let values = vec![reference().unwrap()];
            let array = AnyValue { value: Some(Value::ArrayValue(ArrayValue { values })) };
            m.dictionary.as_mut().unwrap().attribute_table[1].value = Some(array);
        }),
        ProfilesRequest { bytes: plain.bytes.slice(..plain.bytes.len() - 1), samples: 1 },
        ProfilesRequest { samples: 2, ..plain.clone() },
    ];
    for (number, foreign) in foreign.into_iter().enumerate() {
        let merged = merge(&[foreign.clone(), plain.clone()], usize::MAX);
        assert_eq!(merged, [plain.clone(), foreign], "{number}");
    }
}

#[test]
fn lines_and_columns_of_others_are_kept() {
    let plain = requests(vec![sample(1, None, Vec::new())], usize::MAX).remove(0);
    let mut message = plain.message().unwrap();
    let location = &mut message.dictionary.as_mut().unwrap().location_table[1];
    location.lines[0] = Line { function_index: 1, line: 9, column: 3 };
    location.lines.push(Line { function_index: 0, line: -1, column: 0 });
    location.lines.push(Line::default());
    let lines = location.lines.clone();
    let foreign = ProfilesRequest { bytes: message.encode_to_vec().into(), samples: 1 };
    let merged = merge(&[foreign, plain], usize::MAX);
    assert_eq!(merged.len(), 1);
    let merged = merged[0].message().unwrap();
    let table = &merged.dictionary.as_ref().unwrap().location_table;
    assert_eq!((table.len(), &table[1].lines), (3, &lines));
}

#[test]
fn one_request_within_the_bound_stays_as_it_is_and_none_makes_none() {
    let plain = requests(vec![sample(1, None, Vec::new())], usize::MAX);
    assert_eq!(merge(&plain, plain[0].bytes.len()), plain);
    assert_eq!(merge(&[], 10), []);
}

#[test]
fn equal_windows_share_all_but_their_profiles() {
    let window = |at| requests(vec![sample(at, None, Vec::new())], usize::MAX).remove(0);
    let merged = merge(&[window(1), window(1)], usize::MAX).remove(0).message().unwrap();
    assert_eq!(merged.resource_profiles.len(), 2);
    assert_eq!(merged.dictionary, window(1).message().unwrap().dictionary);
}
