//! Tests of profiles in the Firefox Profiler's format.

use fxprof_processed_profile as samply;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::Profile;
use crate::fixture::{any_profile, hostile, profile};

fn json(profile: &Profile) -> Value {
    let mut out = Vec::new();
    write(profile, &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().unwrap_or_else(|| panic!("{key} of {value}"))
}

/// Checks that every number in a column is an index below `length`, or null.
fn within(column: &[Value], length: usize) {
    for number in column.iter().filter(|number| !number.is_null() && **number != -1) {
        assert!(number.as_u64().is_some_and(|number| number < length as u64), "{number} of {length}");
    }
}

/// Checks that all columns of a table have its length. Returns that length.
fn columns(table: &Value) -> usize {
    let length = usize::try_from(table["length"].as_u64().unwrap()).unwrap();
    for (key, column) in table.as_object().unwrap().iter().filter(|(_, column)| column.is_array()) {
        assert_eq!(column.as_array().unwrap().len(), length, "{key}");
    }
    length
}

/// Checks a file against the format's documentation. Returns the sum of weights of counted samples.
fn check(file: &Value) -> f64 {
    let libs = list(file, "libs").len();
    let kinds: Vec<_> =
        list(&file["meta"], "markerSchema").iter().map(|kind| kind["name"].as_str().unwrap()).collect();
    let mut seen = std::collections::HashSet::new();
    let mut sum = 0.0;
    for thread in list(file, "threads") {
        assert!(seen.insert((thread["pid"].clone(), thread["tid"].clone())), "{thread}");
        let strings = list(thread, "stringArray").len();
        let [frames, functions, resources, stacks, samples, markers] =
            ["frameTable", "funcTable", "resourceTable", "stackTable", "samples", "markers"]
                .map(|key| &thread[key]);
        let counts = [frames, functions, resources, stacks, samples, markers].map(columns);
        within(list(frames, "func"), counts[1]);
        within(list(frames, "category"), list(&file["meta"], "categories").len());
        within(list(functions, "name"), strings);
        within(list(functions, "fileName"), strings);
        within(list(functions, "resource"), counts[2]);
        within(list(resources, "lib"), libs);
        within(list(resources, "name"), strings);
        within(list(stacks, "frame"), counts[0]);
        for (number, prefix) in list(stacks, "prefix").iter().enumerate() {
            within(std::slice::from_ref(prefix), number);
        }
        within(list(samples, "stack"), counts[3]);
        within(list(markers, "name"), strings);
        for data in list(markers, "data") {
            assert!(kinds.contains(&data["type"].as_str().unwrap()));
        }
        let deltas = list(samples, "timeDeltas").iter().map(|delta| delta.as_f64().unwrap());
        assert!(deltas.skip(1).all(|delta| delta >= 0.0), "samples are in order of time");
        if samples["weightType"] == "samples" {
            sum += list(samples, "weight").iter().map(|weight| weight.as_f64().unwrap()).sum::<f64>();
        }
    }
    sum
}

/// A file that samply's crate wrote, with every part of the format.
fn samplys() -> Value {
    let start = samply::Timestamp::from_millis_since_reference(0.0);
    let reference = samply::ReferenceTimestamp::from_millis_since_unix_epoch(1000.0);
    let mut profile = samply::Profile::new("app", reference, samply::SamplingInterval::from_millis(1));
    let process = profile.add_process("app", 5, start);
    let thread = profile.add_thread(process, 5, start, true);
    let library = profile.add_lib(samply::LibraryInfo {
        name: "libx.so".into(),
        debug_name: "libx.so".into(),
        path: "/opt/libx.so".into(),
        debug_path: "/opt/libx.so".into(),
        debug_id: samply::debugid::DebugId::nil(),
        code_id: Some("1234".into()),
        arch: None,
        symbol_table: None,
    });
    let frame = samply::Frame::RelativeAddressFromInstructionPointer(library, 0x1234);
    let category_pair = samply::CategoryHandle::OTHER.into();
    let frame = samply::FrameInfo { frame, category_pair, flags: samply::FrameFlags::empty() };
    let stack = profile.intern_stack_frames(thread, std::iter::once(frame));
    profile.add_sample(thread, start, stack, samply::CpuDelta::ZERO, 1);
    serde_json::to_value(&profile).unwrap()
}

/// Checks that `ours` has each key of `theirs`, with values of the same type.
fn has_the_shape_of(ours: &Value, theirs: &Value, at: &str) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, value) in theirs {
                let own = ours.get(key).unwrap_or_else(|| panic!("{at} has no {key}"));
                has_the_shape_of(own, value, &format!("{at}.{key}"));
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            if let (Some(ours), Some(theirs)) = (ours.first(), theirs.first()) {
                has_the_shape_of(ours, theirs, &format!("{at}[0]"));
            }
        }
        (_, Value::Null) | (Value::Null, Value::Number(_)) => {}
        _ => assert_eq!(std::mem::discriminant(ours), std::mem::discriminant(theirs), "{at}"),
    }
}

#[test]
fn samples_are_there_to_the_sample_in_the_shape_that_samplys_crate_writes() {
    let file = json(&profile());
    assert_eq!(check(&file), 6.0);
    let theirs = samplys();
    assert_eq!(check(&theirs), 1.0, "the check takes what is sound");
    has_the_shape_of(&file, &theirs, "file");
    assert_eq!(file["meta"]["preprocessedProfileVersion"], theirs["meta"]["preprocessedProfileVersion"]);
}

#[test]
fn a_build_id_is_a_breakpad_id() {
    let file = json(&profile());
    let library = list(&file, "libs").iter().find(|library| library["name"] == "libx.so").unwrap();
    assert_eq!(library["breakpadId"], "000034120000000000000000000000000");
}

#[test]
fn hostile_names_stay_names_and_each_event_is_a_marker() {
    let file = json(&hostile());
    assert_eq!(check(&file), 72.0);
    let markers = list(&file, "threads").iter().map(|thread| thread["markers"]["length"].as_u64().unwrap());
    assert_eq!(markers.sum::<u64>(), 48);
}

proptest! {
    /// Any profile, however broken, becomes a sound file.
    #[test]
    fn any_profile_becomes_a_sound_one(profile in any_profile()) {
        check(&json(&profile));
    }
}
