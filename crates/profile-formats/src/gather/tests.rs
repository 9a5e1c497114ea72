//! Tests of samples gathered into a profile.

use std::path::Path;
use std::sync::Arc;

use pdata::{Stack, *};
use proptest::prelude::*;

use super::*;
use crate::model::Summary;

fn function(name: &str) -> Arc<Lines> {
    let function = Arc::new(pdata::Function { name: name.into(), ..pdata::Function::default() });
    Arc::new(Lines([Line { function, line: 7 }].into()))
}

fn sample(at: u64, pid: u32, frames: Vec<Frame>) -> Sample {
    let process = ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(9) };
    let measure = Measure::OnCpu { period: Duration::from_millis(50) };
    Sample {
        at: KTime::from_nanos(at),
        key: ImageKey { process, exec_count: ExecCount(1) },
        measure,
        tid: Tid(pid),
        comm: Comm(*b"worker\0\0\0\0\0\0\0\0\0\0"),
        stack: Stack { frames: frames.into(), end: StackEnd::Root },
        ..Sample::default()
    }
}

fn gatherer(bounds: Bounds) -> Gatherer {
    Gatherer::new(ClockOffset::default(), GatherSettings { bounds, captures: true, markers: true })
}

fn names(profile: &Profile, key: &SampleKey) -> Vec<String> {
    profile.tables.stack_frames(key.stack).map(|frame| frame.name.into_owned()).collect()
}

#[test]
fn samples_of_one_stack_and_task_are_one_with_their_instants() {
    let mut gatherer = gatherer(Bounds::default());
    let frame = |name| Frame { lines: Some(function(name)), ..Frame::exact(Pc(1), Code::Unknown) };
    for at in [5, 6, 7] {
        gatherer.sample(&sample(at, 1, vec![frame("leaf"), frame("main")]));
    }
    gatherer.sample(&sample(8, 2, vec![frame("main")]));
    let profile = gatherer.finish(KTime::from_nanos(6), KTime::from_nanos(7));
    assert_eq!(
        (profile.start.as_nanos(), profile.end.as_nanos()),
        (5, 9),
        "moved apart to hold late samples"
    );
    let amounts: Vec<_> = profile.samples.iter().map(|(_, amount)| (amount.value, amount.count)).collect();
    assert_eq!(amounts, [(3, 3), (1, 1)]);
    let (key, amount) = profile.samples.iter().next().unwrap();
    assert_eq!(names(&profile, key), ["leaf", "main"]);
    assert_eq!(profile.tables.stacks.len(), 2, "main is shared");
    assert_eq!(profile.captures.len(), 4);
    let quantity = profile.quantity("cpu").unwrap();
    assert_eq!(profile.amount_of(quantity, key, amount), 150_000_000);
    assert_eq!(profile.quantity_name(profile.main_quantity()), ("samples", "count"));
    assert_eq!(profile.summary(), Summary { captured: 4, ..Summary::default() });
}

#[test]
fn a_file_that_is_read_meanwhile_holds_as_read_for_all_samples() {
    let file = Arc::new(MappedFile::at(Path::new("/opt/app")));
    let (start, end) = (Pc(0x5000), Pc(0x6000));
    let mapping =
        || Mapping { start, end, file_offset: FileOffset(0x1000), backing: Backing::File(file.clone()) };
    // Two mappings of one file at different addresses, as two processes would have them.
    let (one, two) =
        (Arc::new(mapping()), Arc::new(Mapping { start: Pc(0x7000), end: Pc(0x8000), ..mapping() }));
    let mut gatherer = gatherer(Bounds::default());
    gatherer.sample(&sample(1, 1, vec![Frame::exact(Pc(0x5010), Code::Mapped(one))]));
    let segment = Segment { file_offset: FileOffset(0x1000), size: 0x1000, address: ElfAddress(0x40_1000) };
    file.facts.set(FileFacts { segments: [segment].into(), ..FileFacts::default() }).unwrap();
    gatherer.sample(&sample(2, 1, vec![Frame::exact(Pc(0x7010), Code::Mapped(two))]));
    let profile = gatherer.finish(KTime::ZERO, KTime::from_nanos(3));
    assert_eq!(profile.samples.len(), 1);
    let (key, amount) = profile.samples.iter().next().unwrap();
    assert_eq!((names(&profile, key), amount.count), (vec!["app+0x401010".to_owned()], 2));
    let (_, mapping) = profile.tables.mappings.iter().next().unwrap();
    assert_eq!((mapping.start, mapping.limit, mapping.file_offset), (0x40_1000, 0x40_2000, 0x1000));
}

#[test]
fn processes_have_their_parent_and_their_end_and_markers_say_when() {
    let mut gatherer = gatherer(Bounds::default());
    let key = |pid| sample(0, pid, Vec::new()).key;
    let event = |at, pid, transition| ProcessEvent { at: KTime::from_nanos(at), image: key(pid), transition };
    let executable = Executable {
        path: Path::new("/usr/bin/make").into(),
        own_path: None,
        state: FileState::Linked,
        device: 0,
        inode: 0,
        mount_namespace: 0,
        truncated: false,
    };
    let comm = Comm::default();
    let seen = ProcessTransition::Seen {
        executable: Some(Box::new(executable)),
        comm,
        relatives: Relatives::default(),
    };
    gatherer.process(&event(1, 1, seen));
    gatherer.process(&event(
        2,
        2,
        ProcessTransition::Fork { parent: key(1), relatives: Relatives::default() },
    ));
    gatherer.process(&event(3, 2, ProcessTransition::Exit));
    gatherer.loss(&pdata::Loss {
        from: KTime::ZERO,
        until: KTime::from_nanos(4),
        reason: LossReason::SampleRingFull,
        count: 3,
    });
    let profile = gatherer.finish(KTime::ZERO, KTime::from_nanos(9));
    let child = profile.tables.processes.iter().nth(1).unwrap().1;
    assert_eq!(child.parent.map(|parent| parent.pid), Some(1));
    assert_eq!(child.gone, Some(UnixNanos::from_nanos(3)));
    assert_eq!(profile.tables.text_or_empty(child.name), "make", "it runs its parent's image");
    assert_eq!(profile.markers.len(), 3);
    assert_eq!(profile.samples_lost(), 3);
}

proptest! {
    /// Each sample counts once, in a profile and in the sum of profiles, whatever the bounds are.
    #[test]
    fn every_sample_counts(
        stacks in prop::collection::vec((prop::collection::vec(0..6_u64, 0..6), 1..4_u32), 0..60),
        limits in (1..20_usize, 1..20_usize, 1..4_usize, 1..400_usize),
    ) {
        let (limit, samples, processes, text_bytes) = limits;
        let bounds = Bounds { stacks: limit, samples, processes, text_bytes, captures: 10, markers: 3 };
        let mut sum = Profile::default();
        for window in stacks.chunks(20) {
            let mut gatherer = gatherer(bounds);
            for (at, (frames, pid)) in window.iter().enumerate() {
                let frames = frames.iter().map(|&pc| {
                    let lines = (pc % 2 == 0).then(|| function(&format!("f{pc}")));
                    Frame { lines, ..Frame::exact(Pc(pc), Code::Unknown) }
                });
                gatherer.sample(&sample(at as u64, *pid, frames.collect()));
            }
            let profile = gatherer.finish(KTime::ZERO, KTime::from_nanos(100));
            prop_assert_eq!(profile.samples.captured(), window.len() as u64);
            prop_assert_eq!(profile.captures.len() as u64 + profile.untimed, window.len() as u64);
            prop_assert!(profile.tables.stacks.len() <= limit + 7, "one stack more, and that of others");
            sum.merge(&profile, &bounds);
        }
        prop_assert_eq!(sum.samples.captured(), stacks.len() as u64);
        prop_assert_eq!(sum.captures.len() as u64 + sum.untimed, stacks.len() as u64);
        prop_assert!(sum.samples.len() <= samples + 2);
    }

    /// A merged profile has the same stacks and amounts as the profile that was merged.
    #[test]
    fn merging_keeps_stacks(stacks in prop::collection::vec(prop::collection::vec(0..6_u64, 0..6), 0..30)) {
        let mut gatherer = gatherer(Bounds::default());
        for frames in &stacks {
            let frames = frames.iter().map(|&pc| Frame {
                lines: Some(function(&format!("f{pc}"))), ..Frame::exact(Pc(pc), Code::Unknown)
            });
            gatherer.sample(&sample(1, 1, frames.collect()));
        }
        let profile = gatherer.finish(KTime::ZERO, KTime::from_nanos(100));
        let mut sum = Profile::default();
        sum.merge(&profile, &Bounds::default());
        let lines = |profile: &Profile| -> Vec<_> {
            profile.samples.iter().map(|(key, amount)| (names(profile, key), amount.count)).collect()
        };
        prop_assert_eq!(lines(&sum), lines(&profile));
    }
}
