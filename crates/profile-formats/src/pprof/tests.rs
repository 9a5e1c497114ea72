//! Tests of profiles as pprof.

use std::process::Command;

use proptest::prelude::*;
use prost::Message as _;

use super::write::message;
use super::*;
use crate::fixture::{Fixture, START, any_profile, hostile, profile};

/// The string with this index.
fn string(profile: &proto::Profile, index: i64) -> &str {
    &profile.string_table[usize::try_from(index).unwrap()]
}

#[test]
fn two_processes_are_one_profile_distinguished_by_labels() {
    let profile = message(&profile());
    let types: Vec<_> = profile
        .sample_type
        .iter()
        .map(|kind| (string(&profile, kind.r#type), string(&profile, kind.unit)))
        .collect();
    assert_eq!(types, [("samples", "count"), ("cpu", "nanoseconds")]);
    assert_eq!(string(&profile, profile.default_sample_type), "cpu");
    assert_eq!(profile.period, 50_000_000);
    assert_eq!((profile.time_nanos, profile.duration_nanos), (START.cast_signed(), 5_000_000_000));
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
        "process.pid=1 process.executable.name=less process.executable.path=/usr/bin/less thread.id=77 thread.name=app"
    );
    assert!(labels(&profile.sample[2]).starts_with("process.pid=2 process.executable.name=app "));
}

#[test]
fn the_program_comes_first_with_its_build_id() {
    let profile = message(&profile());
    let files: Vec<_> = profile.mapping.iter().map(|mapping| string(&profile, mapping.filename)).collect();
    assert_eq!(files, ["/opt/app", "/opt/libx.so"]);
    let ids: Vec<_> = profile.mapping.iter().map(|mapping| string(&profile, mapping.build_id)).collect();
    assert_eq!(ids, ["abcd", "1234"]);
    let [app, library] = profile.mapping[..] else { panic!() };
    assert!(app.has_functions && app.has_filenames && app.has_line_numbers && app.has_inline_frames);
    assert!(!library.has_functions && !library.has_inline_frames);
    // Stacks are leaf first; in a location the innermost line is first.
    let leaf = &profile.location[usize::try_from(profile.sample[0].location_id[0]).unwrap() - 1];
    let names: Vec<_> = leaf
        .line
        .iter()
        .map(|line| profile.function[usize::try_from(line.function_id).unwrap() - 1].name)
        .map(|name| string(&profile, name))
        .collect();
    assert_eq!(names, ["inlined;odd", "outer"]);
}

/// Checks a profile as pprof's own reader does (`Profile.CheckValid`), and that every index is within its table.
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
    /// Any profile, however broken, becomes one that pprof's reader accepts.
    #[test]
    fn any_profile_becomes_a_sound_one(profile in any_profile()) {
        let encoded = encode(&profile);
        check(&proto::Profile::decode(encoded.as_slice()).unwrap())?;
    }

    /// No sample is lost or counted twice.
    #[test]
    fn values_add_up(times in prop::collection::vec(1..5_usize, 0..6)) {
        let mut fixture = Fixture::new();
        for (pid, &count) in (1..).zip(&times) {
            let thread = fixture.thread(pid, "/opt/app", None, "app");
            fixture.sample(1, thread, &vec![START; count]);
            fixture.sample(3, thread, &[START]);
        }
        let profile = message(&fixture.profile);
        let sum = |column: usize| profile.sample.iter().map(|sample| sample.value[column]).sum::<i64>();
        let expected = i64::try_from(times.iter().sum::<usize>() + times.len()).unwrap();
        if !times.is_empty() {
            prop_assert_eq!(sum(0), expected);
            prop_assert_eq!(sum(1), expected * 50_000_000);
        }
    }
}

/// The output of `go tool pprof` for a profile with these arguments.
fn go_tool_pprof(profile: &crate::Profile, arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cpu.pb.gz");
    let mut bytes = Vec::new();
    write(profile, &mut bytes).unwrap();
    std::fs::write(&file, bytes).unwrap();
    let mut command = Command::new("go");
    // `go tool pprof` must not look for the program.
    command.args(["tool", "pprof", "-symbolize=none"]).args(arguments).arg(&file);
    let output = command.env("PPROF_TMPDIR", directory.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs Go, see tests/setup.sh"]
fn go_tool_pprof_reads_what_was_sampled() {
    let profile = profile();
    let top = go_tool_pprof(&profile, &["-top"]);
    assert!(
        top.contains("File: app\n") && top.contains("Build ID: abcd\n") && top.contains("Type: cpu\n"),
        "{top}"
    );
    // 3 + 2 + 1 samples of 50 ms.
    assert!(top.contains("Showing nodes accounting for 300ms, 100% of 300ms total"), "{top}");
    let counts = go_tool_pprof(&profile, &["-top", "-sample_index=samples"]);
    assert!(counts.contains("Showing nodes accounting for 6, 100% of 6 total"), "{counts}");
    let one = go_tool_pprof(&profile, &["-top", "-sample_index=samples", "-tagfocus=process.pid=2"]);
    assert!(one.contains("Showing nodes accounting for 3, 50.00% of 6 total"), "{one}");
}

#[test]
#[ignore = "needs Go, see tests/setup.sh"]
fn go_tool_pprof_sees_every_part() {
    let raw = go_tool_pprof(&profile(), &["-raw"]);
    for part in [
        "PeriodType: cpu nanoseconds\nPeriod: 50000000\n",
        "samples/count cpu/nanoseconds[dflt]\n",
        "process.executable.path:[/opt/app]",
        "process.pid:[1]",
        "thread.id:[77]",
        "inlined;odd main.c:7",
        "/opt/libx.so 1234",
    ] {
        assert!(raw.contains(part), "{part:?} in {raw}");
    }
}

#[test]
#[ignore = "needs Go, see tests/setup.sh"]
fn go_tool_pprof_reads_hostile_names_and_losses() {
    let top = go_tool_pprof(&hostile(), &["-top", "-sample_index=samples"]);
    assert!(top.contains(" of 72 total"), "{top}");
    let mut lossy = profile();
    lossy.add_loss("sample_ring_full", crate::Loss { count: 3, samples: true });
    let comments = go_tool_pprof(&lossy, &["-comments"]);
    assert!(comments.contains("profile.window.samples.lost.sample_ring_full=3"), "{comments}");
}
