//! Images that leave as one profile.

use std::collections::BTreeMap;
use std::time::Duration;

use ::windows::{GroupBy, Grouping};
use pdata::*;
use proptest::prelude::*;

use super::make::{batch, before, comm, image, key, sample, samples, world};
use super::read::{Capture, attributes, captures, check_tables, key_value, profiles};
use crate::Windows;

const WINDOW: Duration = Duration::from_secs(5);

fn grouping(by: &[GroupBy]) -> Grouping {
    Grouping::new(by, Duration::ZERO)
}

/// The captures of a window of these events, whose requests are checked to be well-formed.
fn window(grouping: Grouping, events: Vec<Event>) -> Vec<Capture> {
    let mut windows = Windows::new(WINDOW, usize::MAX).rolled_up(grouping);
    let requests = windows.push(&batch(events, Watermark::END)).requests;
    let message = |request: &crate::ProfilesRequest| request.message().unwrap();
    requests.iter().map(message).inspect(check_tables).flat_map(|message| captures(&message)).collect()
}

/// The parts of a capture that a roll-up must not change.
fn rest(capture: &Capture) -> (u64, Option<i64>, Vec<String>, Vec<String>, Vec<String>) {
    let others = |texts: &[String], without: &str| {
        texts.iter().filter(|text| !text.starts_with(without)).cloned().collect::<Vec<_>>()
    };
    let Capture { at, value, frames, attributes, profile, .. } = capture;
    let profile =
        others(profile, "profile.group.").into_iter().filter(|text| !text.contains(" + ")).collect();
    (*at, *value, frames.clone(), others(attributes, "thread.id="), profile)
}

#[test]
fn a_thousand_processes_of_one_program_are_one_resource() {
    let events: Vec<_> = (1..=1000)
        .flat_map(|pid| {
            let image = image(pid, "/usr/bin/cc");
            [0, 1].map(|n| {
                let stamped = sample(u64::from(pid) + n * 5000, Some(image.clone()), Vec::new());
                Event::Sample(Sample { tid: Tid(pid), ..stamped })
            })
        })
        .collect();
    let mut windows = Windows::new(WINDOW, usize::MAX).rolled_up(grouping(&[GroupBy::Executable]));
    let requests = windows.push(&batch(events, Watermark::END)).requests;
    let message = requests[0].message().unwrap();
    check_tables(&message);
    let (resource, profile) = profiles(&message).next().unwrap();
    assert_eq!(profiles(&message).count(), 1);
    let resource: Vec<_> = resource.resource.as_ref().unwrap().attributes.iter().map(key_value).collect();
    assert_eq!(
        resource,
        ["service.name=cc", "process.executable.name=cc", "process.executable.path=/usr/bin/cc"]
    );
    let said = attributes(&profile.attribute_indices, message.dictionary.as_ref().unwrap());
    assert_eq!(said.last().unwrap(), "profile.group.processes=IntValue(1000)");
    let [sample] = &profile.samples[..] else { panic!("{:?}", profile.samples) };
    assert_eq!(sample.timestamps_unix_nano.len(), 2000);
    assert_eq!((profile.time_unix_nano, profile.duration_nano), (1_000_001, 6000));
}

#[test]
fn short_lives_alone_are_rolled_up() {
    let [short, long, alive] = [10, 11, 12].map(|pid| image(pid, "/usr/bin/cc"));
    let exit = |image: ImageKey, at| {
        Event::Process(ProcessEvent { at: KTime::from_nanos(at), image, transition: ProcessTransition::Exit })
    };
    let of = |at, image: &std::sync::Arc<Image>| Event::Sample(sample(at, Some(image.clone()), Vec::new()));
    let events = vec![
        of(15, &short),
        of(16, &long),
        of(17, &alive),
        exit(short.key, 20),
        exit(long.key, 500),
        // The process exits, and its memory is still being taken apart.
        of(501, &short),
    ];
    let fold = Grouping::new(&[GroupBy::Executable], Duration::from_nanos(100));
    let mut by_pid = BTreeMap::<_, Vec<u64>>::new();
    for capture in window(fold, events) {
        let pid = capture.resource.iter().find(|text| text.starts_with("process.pid")).cloned();
        by_pid.entry(pid).or_default().push(capture.at - 1_000_000);
    }
    let pid = |pid: u32| Some(format!("process.pid=IntValue({pid})"));
    assert_eq!(by_pid, [(None, vec![15, 501]), (pid(11), vec![16]), (pid(12), vec![17])].into());
}

#[test]
fn an_exit_before_the_first_sample_of_a_window_counts() {
    let short = image(10, "/usr/bin/cc");
    let transition = ProcessTransition::Exit;
    let exit = Event::Process(ProcessEvent { at: KTime::from_nanos(20), image: short.key, transition });
    let events = vec![exit, Event::Sample(sample(21, Some(short), Vec::new()))];
    let fold = Grouping::new(&[GroupBy::Executable], Duration::from_nanos(100));
    assert!(!window(fold, events)[0].resource.iter().any(|text| text.starts_with("process.pid")));
}

#[test]
fn threads_of_one_process_keep_their_numbers() {
    let exec = |count, path| {
        let key = ImageKey { exec_count: ExecCount(count), ..key(10) };
        std::sync::Arc::new(Image { key, ..(*image(10, path)).clone() })
    };
    let events = [exec(1, "/bin/sh"), exec(2, "/bin/cc")];
    let events = events.map(|image| Event::Sample(sample(5, Some(image), Vec::new()))).into();
    let captures = window(grouping(&[GroupBy::Process]), events);
    assert_eq!(captures.len(), 2);
    assert!(captures.iter().all(|capture| capture.resource == captures[0].resource));
    assert!(captures[0].resource.iter().any(|text| text == "process.pid=IntValue(10)"));
    assert!(captures.iter().all(|capture| capture.attributes[0] == "thread.id=IntValue(5)"));
}

#[test]
fn what_is_learnt_late_holds_for_the_whole_window() {
    let described = |service: Option<&'static str>| {
        let mut image = (*image(10, "/usr/bin/python3")).clone();
        image.attributes.add(service.iter().map(|name| Attribute::text("service.name", *name)).collect());
        Event::Sample(sample(5, Some(std::sync::Arc::new(image)), Vec::new()))
    };
    let events = vec![described(None), described(Some("cart"))];
    let captures = window(grouping(&[GroupBy::Service]), events);
    assert!(captures.iter().all(|capture| capture.resource[0] == "service.name=cart"), "{captures:?}");
}

proptest! {
    /// However a window is rolled up, each sample is there once, with its instant, stack, value and all of its thread's
    /// attributes but the number; and a group has one profile for each thing that is measured.
    #[test]
    fn nothing_is_added_or_lost(
        samples in samples(1000, 60),
        by in prop::sample::subsequence(
            vec![GroupBy::Executable, GroupBy::Process, GroupBy::Parent, GroupBy::Container], 0..4),
    ) {
        let events: Vec<_> = samples.into_iter().map(Event::Sample).collect();
        let mut plain: Vec<_> = window(Grouping::default(), events.clone()).iter().map(rest).collect();
        let rolled_up = window(grouping(&by), events);
        let mut rest: Vec<_> = rolled_up.iter().map(rest).collect();
        plain.sort();
        rest.sort();
        prop_assert_eq!(plain, rest);
    }
}

#[test]
fn a_group_leaves_once_for_each_thing_that_it_measures() {
    let world = world();
    let off = Measure::OffCpu { blocked: Duration::from_nanos(3), reason: OffCpuReason::Sleep };
    let events = [0, 1].into_iter().flat_map(|which| {
        let on = sample(5, world.images[which].clone(), Vec::new());
        [Event::Sample(on.clone()), Event::Sample(Sample { measure: off, comm: comm("x"), ..on })]
    });
    let mut windows = Windows::new(WINDOW, usize::MAX).rolled_up(grouping(&[GroupBy::Executable]));
    windows.push(&batch(events.collect(), before(10)));
    let requests = windows.push(&batch(Vec::new(), Watermark::END)).requests;
    let message = requests[0].message().unwrap();
    let periods: Vec<_> = profiles(&message).map(|(_, profile)| profile.period).collect();
    assert_eq!(periods, [10_000_000, 1]);
    let resources: Vec<_> = profiles(&message).map(|(resource, _)| resource.resource.clone()).collect();
    assert_eq!(resources[0], resources[1]);
}
