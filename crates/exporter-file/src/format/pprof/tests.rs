//! A request as pprof.

use proptest::prelude::*;

use super::*;
use crate::format::tests::{any_request, request};

/// The string that an index stands for.
fn string(profile: &proto::Profile, index: i64) -> &str {
    &profile.string_table[usize::try_from(index).unwrap()]
}

#[test]
fn two_processes_are_one_profile_told_apart_by_labels() {
    let profile = profile(&request());
    let types: Vec<_> = profile
        .sample_type
        .iter()
        .map(|kind| (string(&profile, kind.r#type), string(&profile, kind.unit)))
        .collect();
    assert_eq!(types, [("samples", "count"), ("cpu", "nanoseconds")]);
    assert_eq!(string(&profile, profile.default_sample_type), "cpu");
    assert_eq!(profile.period, 50_000_000);
    assert_eq!((profile.time_nanos, profile.duration_nanos), (1_700_000_000_000_000_000, 5_000_000_000));
    let values: Vec<_> = profile.sample.iter().map(|sample| sample.value.clone()).collect();
    assert_eq!(values, [[2, 100_000_000], [1, 50_000_000], [1, 50_000_000], [2, 100_000_000]]);
    let labels = |sample: &proto::Sample| {
        let text = |label: &proto::Label| match label.str {
            0 => format!("{}={}", string(&profile, label.key), label.num),
            text => format!("{}={}", string(&profile, label.key), string(&profile, text)),
        };
        sample.label.iter().map(text).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        labels(&profile.sample[0]),
        "process.pid=1 process.executable.path=/usr/bin/less process.executable.name=less thread.name=app thread.id=77"
    );
    assert!(labels(&profile.sample[2]).starts_with("process.pid=2 process.executable.path=/opt/app "));
}

#[test]
fn the_program_comes_first_with_its_build_id() {
    let profile = profile(&request());
    let files: Vec<_> = profile.mapping.iter().map(|mapping| string(&profile, mapping.filename)).collect();
    assert_eq!(files, ["/opt/app", "/opt/libx.so"]);
    let ids: Vec<_> = profile.mapping.iter().map(|mapping| string(&profile, mapping.build_id)).collect();
    assert_eq!(ids, ["abcd", "1234"]);
    let [app, library] = profile.mapping[..] else { panic!() };
    assert!(app.has_functions && app.has_filenames && app.has_line_numbers && app.has_inline_frames);
    assert!(!library.has_functions && !library.has_inline_frames);
    // Leaf first; in a location the innermost line first.
    let leaf = &profile.location[usize::try_from(profile.sample[0].location_id[0]).unwrap() - 1];
    let names: Vec<_> = leaf
        .line
        .iter()
        .map(|line| profile.function[usize::try_from(line.function_id).unwrap() - 1].name)
        .map(|name| string(&profile, name))
        .collect();
    assert_eq!(names, ["inlined;odd", "outer"]);
}

/// What pprof's own reader checks (`Profile.CheckValid`), and that every index is within its table.
fn check(profile: &proto::Profile) -> Result<(), TestCaseError> {
    prop_assert_eq!(profile.string_table.first().map(String::as_str), Some(""));
    let strings = i64::try_from(profile.string_table.len()).unwrap();
    let is_string = |index: i64| (0..strings).contains(&index);
    let numbered = |ids: Vec<u64>| ids.iter().copied().eq(1..=ids.len() as u64);
    prop_assert!(numbered(profile.mapping.iter().map(|mapping| mapping.id).collect()));
    prop_assert!(numbered(profile.location.iter().map(|location| location.id).collect()));
    prop_assert!(numbered(profile.function.iter().map(|function| function.id).collect()));
    for sample in &profile.sample {
        prop_assert_eq!(sample.value.len(), profile.sample_type.len());
        prop_assert!(sample.location_id.iter().all(|id| (1..=profile.location.len() as u64).contains(id)));
        for label in &sample.label {
            prop_assert!(
                label.key > 0 && is_string(label.key) && is_string(label.str) && is_string(label.num_unit)
            );
            prop_assert!(label.str == 0 || label.num == 0);
        }
    }
    for location in &profile.location {
        prop_assert!(location.mapping_id <= profile.mapping.len() as u64);
        let functions = 1..=profile.function.len() as u64;
        prop_assert!(location.line.iter().all(|line| functions.contains(&line.function_id)));
    }
    for function in &profile.function {
        prop_assert!([function.name, function.system_name, function.filename].into_iter().all(is_string));
    }
    Ok(())
}

proptest! {
    /// Any request, however broken, becomes a profile that pprof's reader takes.
    #[test]
    fn any_request_becomes_a_sound_profile(request in any_request()) {
        let encoded = encode(&request);
        let profile = proto::Profile::decode(encoded.as_slice()).unwrap();
        check(&profile)?;
    }

    /// No sample is lost or counted twice.
    #[test]
    fn values_add_up(times in prop::collection::vec(1..5_usize, 0..6)) {
        let mut request = request();
        let template = request.resource_profiles[0].clone();
        request.resource_profiles.clear();
        for &count in &times {
            let mut resource = template.clone();
            resource.scope_profiles[0].profiles[0].samples[0].timestamps_unix_nano = vec![1; count];
            request.resource_profiles.push(resource);
        }
        let profile = profile(&request);
        let sum = |column: usize| profile.sample.iter().map(|sample| sample.value[column]).sum::<i64>();
        // Each resource has a second stack with one sample.
        let expected = i64::try_from(times.iter().sum::<usize>() + times.len()).unwrap();
        if !times.is_empty() {
            prop_assert_eq!(sum(0), expected);
            prop_assert_eq!(sum(1), expected * 50_000_000);
        }
    }
}
