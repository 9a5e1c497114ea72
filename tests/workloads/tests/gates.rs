//! Every gate fires on the fault it is for, and on no other.

use std::sync::Arc;

use workloads::gates;
use workloads::profiles::{Profiles, Resource, Sample, Window};
use workloads::score::{Score, score};
use workloads::truth::{Clocks, Image, Inherited, Process, State, Storm, Truth};

const MS: u64 = 1_000_000;
const HZ: f64 = 1_000.0;
/// Nanoseconds by which the wall clock is ahead of the kernel's.
const AHEAD: u64 = 1_700_000_000_000_000_000;

/// A process that burns from its first ms to its last but one, 10 ms in all.
fn process(mode: &str, number: u64) -> Process {
    let born = 100 * MS + number * 20 * MS;
    let image = Image {
        path: format!("/storm/programs/{mode}-{number}"),
        own_path: None,
        states: vec![State::Linked],
        script: None,
        comm: mode.to_owned(),
        enter: born + MS,
        leave: born + 9 * MS,
        cpu_ns: 8 * MS,
        observed: None,
    };
    Process {
        mode: mode.to_owned(),
        variant: None,
        pid: 1_000 + u32::try_from(number).unwrap_or_default(),
        born,
        exec_at: Some(born + MS / 2),
        counted_from: born,
        reaped: born + 10 * MS,
        cpu_ns: 10 * MS,
        inherited: Inherited { path: "/storm/launch".into(), comm: "launch".into() },
        images: vec![image],
        rename: None,
    }
}

fn truth(mode: &str, pid_reuse: bool) -> Truth {
    let storm = Storm {
        seed: 1,
        pid_reuse,
        begin: Clocks { monotonic: 0, unix: AHEAD },
        end: Clocks { monotonic: 3_000 * MS, unix: AHEAD + 3_000 * MS },
    };
    Truth { storm, processes: (0..100).map(|number| process(mode, number)).collect() }
}

/// The profiles of a perfect profiler: a sample in the middle of each ms, of the parent's image in the first half ms.
fn perfect(truth: &Truth) -> Profiles {
    let mut profiles = Profiles::default();
    for process in &truth.processes {
        let resource = Arc::new(Resource {
            pid: Some(process.pid),
            path: process.images.first().map(|image| image.path.clone()),
            ..Resource::default()
        });
        profiles.samples.extend((0..10).map(|ms| Sample {
            resource: Arc::clone(&resource),
            comm: Some(process.mode.as_str().into()),
            tid: i64::from(process.pid),
            cpu: 0,
            at: AHEAD + process.born + ms * MS + MS / 2,
        }));
    }
    profiles
}

/// Changes the resources of the first `count` samples.
fn change(profiles: &mut Profiles, count: usize, change: impl Fn(&mut Resource)) {
    for sample in profiles.samples.iter_mut().take(count) {
        let mut resource = (*sample.resource).clone();
        change(&mut resource);
        sample.resource = Arc::new(resource);
    }
}

fn failures(truth: &Truth, profiles: &Profiles) -> (Score, Vec<String>) {
    let score = score(truth, profiles, HZ);
    let failures = gates::failures(&score);
    (score, failures)
}

#[track_caller]
fn fails(truth: &Truth, profiles: &Profiles, part: &str) {
    let (_, failures) = failures(truth, profiles);
    assert!(failures.iter().any(|line| line.contains(part)), "{part:?} is not in {failures:?}");
}

#[track_caller]
fn passes(truth: &Truth, profiles: &Profiles) {
    let (score, failures) = failures(truth, profiles);
    assert_eq!((failures, score.all.samples > 0), (Vec::<String>::new(), true));
}

#[test]
fn a_perfect_profiler_passes() {
    let truth = truth("chain", true);
    passes(&truth, &perfect(&truth));
    let (score, _) = failures(&truth, &perfect(&truth));
    assert_eq!((score.all.samples, score.all.right, score.all.comm_right), (1_000, 1_000, 1_000));
    assert_eq!(score.all.in_exec, 100, "half a millisecond after birth an exec is in progress");
}

#[test]
fn coverage_below_95_or_above_107_percent_fails() {
    let truth = truth("spawn", false);
    let mut few = perfect(&truth);
    few.samples.truncate(949);
    fails(&truth, &few, "spawn: 949 samples of 1000 expected");
    few.samples.push(perfect(&truth).samples.remove(949));
    passes(&truth, &few);

    let mut many = perfect(&truth);
    let mut extra: Vec<Sample> = many.samples.iter().take(71).cloned().collect();
    extra.iter_mut().for_each(|sample| sample.at += 1);
    many.samples.extend_from_slice(&extra[..70]);
    passes(&truth, &many);
    many.samples.push(extra[70].clone());
    fails(&truth, &many, "spawn: 1071 samples of 1000 expected");
}

#[test]
fn few_expected_samples_say_nothing_about_coverage() {
    let mut truth = truth("spawn", false);
    truth.processes.truncate(29);
    let mut profiles = perfect(&truth);
    profiles.samples.truncate(100);
    passes(&truth, &profiles);
}

#[test]
fn samples_that_the_profiler_counts_as_lost_are_forgiven_and_no_more() {
    let truth = truth("spawn", false);
    let mut profiles = perfect(&truth);
    profiles.samples.truncate(800);
    let window = |lost| Window { expected: 1_000, lost, ..Window::default() };
    profiles.windows.insert((0, 1), window(149));
    fails(&truth, &profiles, "149 counted as lost");
    profiles.windows.insert((0, 1), window(150));
    passes(&truth, &profiles);
    // Whatever the reason.
    let reasons = [("profile.window.samples.lost.sample_timer_missed".to_owned(), 150)].into();
    profiles.windows.insert((0, 1), Window { reasons, ..window(150) });
    passes(&truth, &profiles);
}

#[test]
fn a_sample_without_a_path_fails() {
    let truth = truth("spawn", false);
    let mut profiles = perfect(&truth);
    change(&mut profiles, 1, |resource| resource.path = None);
    fails(&truth, &profiles, "spawn: 1 of 1000 samples have no path");
    let mut profiles = perfect(&truth);
    change(&mut profiles, 1, |resource| resource.path = Some("spawn-0".into()));
    fails(&truth, &profiles, "spawn: 1 of 1000 samples have no path");
}

#[test]
fn more_than_one_wrong_path_in_a_thousand_fails() {
    let truth = truth("spawn", false);
    let wrong = |resource: &mut Resource| resource.path = Some("/bin/sh".into());
    let mut profiles = perfect(&truth);
    change(&mut profiles, 1, wrong);
    passes(&truth, &profiles);
    change(&mut profiles, 2, wrong);
    fails(&truth, &profiles, "spawn: 998 of 1000 samples have the right path");
}

#[test]
fn a_single_wrong_path_fails_where_none_is_allowed() {
    let wrong = |resource: &mut Resource| resource.path = Some("/bin/sh".into());
    for (mode, pid_reuse) in
        [("chain", false), ("leader_exits", false), ("memfd", false), ("unlink_self", false), ("spawn", true)]
    {
        let truth = truth(mode, pid_reuse);
        let mut profiles = perfect(&truth);
        change(&mut profiles, 1, wrong);
        fails(&truth, &profiles, &format!("{mode}: 1 samples have a wrong path"));
    }
}

#[test]
fn the_path_of_another_image_is_right_only_while_an_exec_is_in_progress() {
    let truth = truth("chain", false);
    let parent = |resource: &mut Resource| resource.path = Some("/storm/launch".into());
    let mut profiles = perfect(&truth);
    change(&mut profiles, 1, parent);
    passes(&truth, &profiles);
    change(&mut profiles, 2, parent);
    fails(&truth, &profiles, "chain: 1 samples have a wrong path");
}

#[test]
fn a_path_of_the_storm_under_a_foreign_pid_fails() {
    let truth = truth("spawn", false);
    let mut profiles = perfect(&truth);
    let mut stray = profiles.samples[500].clone();
    stray.resource = Arc::new(Resource { pid: Some(1), ..(*stray.resource).clone() });
    stray.tid = 1;
    profiles.samples.push(stray);
    fails(&truth, &profiles, "1 samples name the storm's files");
}

#[test]
fn a_sample_that_is_there_twice_fails() {
    let truth = truth("spawn", false);
    let mut profiles = perfect(&truth);
    profiles.samples.push(profiles.samples[0].clone());
    fails(&truth, &profiles, "1 samples are there twice");
}

#[test]
fn names_states_own_paths_and_scripts_are_counted() {
    let mut truth = truth("chroot", false);
    for process in &mut truth.processes {
        process.images[0].own_path = Some("/inner".into());
        process.images[0].script = Some("/script".into());
        process.images[0].states = vec![State::Deleted];
    }
    let mut profiles = perfect(&truth);
    let right = |resource: &mut Resource| {
        resource.own_path = Some("/inner".into());
        resource.script = Some("/script".into());
        resource.state = Some("deleted".into());
    };
    let (score, _) = failures(&truth, &profiles);
    let counts = |score: &Score| (score.all.own_right, score.all.script_right, score.all.state_right);
    assert_eq!(counts(&score), (0, 0, 0));
    change(&mut profiles, 600, right);
    profiles.samples[700].comm = Some("other".into());
    let (score, _) = failures(&truth, &profiles);
    assert_eq!(counts(&score), (600, 600, 600));
    assert_eq!(score.all.comm_right, 999);
}

#[test]
fn what_an_older_process_did_before_the_storm_does_not_count() {
    let mut truth = truth("older", false);
    for process in &mut truth.processes {
        process.counted_from = process.born + 5 * MS;
        process.cpu_ns = 5 * MS;
    }
    let (score, failures) = failures(&truth, &perfect(&truth));
    assert_eq!((score.all.samples, failures), (500, Vec::new()));
}
