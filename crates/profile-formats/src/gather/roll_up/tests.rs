//! Tests of profiles whose images are rolled up.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pdata::{Attribute, *};
use proptest::prelude::*;
use prost::Message as _;
use windows::{Gather as _, GroupBy};

use super::super::{GatherSettings, Gatherer};
use super::*;
use crate::folded;
use crate::model::{Bounds, Profile, Quantity};
use crate::pprof;

/// An image of a program in a pod; one that is not known has neither.
fn image(pid: u32, program: &str, pod: Option<u8>) -> Arc<Image> {
    let process = ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(u64::from(pid)) };
    let key = ImageKey { process, exec_count: ExecCount(1) };
    let executable = Arc::new(Executable::at(Path::new(program)));
    let kind = ImageKind::User { executable, script: None, loader: None };
    let mut image = Image::new(key, UnixNanos::from_nanos(u64::from(pid)), kind);
    if let Some(pod) = pod {
        let namespace = if pod < 2 { "shop" } else { "bank" };
        let attributes = [("k8s.pod.uid", format!("{pod}")), ("k8s.namespace.name", namespace.to_owned())];
        image.attributes.add(attributes.into_iter().map(|(key, text)| Attribute::text(key, text)).collect());
    }
    Arc::new(image)
}

/// A sample of one frame; of a process of which nothing is known if there is no image.
fn sample(at: u64, pid: u32, image: Option<&Arc<Image>>, pc: u64, cpu: u32) -> Sample {
    let unknown = || self::image(pid, "/", None).key;
    let key = image.map_or_else(unknown, |image| image.key);
    let measure = Measure::OnCpu { period: Duration::from_millis(50) };
    Sample {
        at: KTime::from_nanos(at),
        key,
        image: image.cloned(),
        measure,
        cpu,
        tid: Tid(pid * 10 + cpu),
        comm: Comm(*b"worker\0\0\0\0\0\0\0\0\0\0"),
        stack: pdata::Stack { frames: [Frame::exact(Pc(pc), Code::Unknown)].into(), end: StackEnd::Root },
        ..Sample::default()
    }
}

fn profile(samples: &[Sample], grouping: Grouping, ends: &[ProcessEvent]) -> Profile {
    let settings = GatherSettings { captures: true, ..GatherSettings::default() };
    let mut gatherer = Gatherer::new(ClockOffset::default(), settings).rolled_up(grouping);
    samples.iter().for_each(|sample| gatherer.sample(sample));
    ends.iter().for_each(|event| gatherer.process_for_grouping(event));
    gatherer.finish(KTime::ZERO, KTime::from_nanos(1 << 40))
}

fn by(by: &[GroupBy]) -> Grouping {
    Grouping::new(by, Duration::ZERO)
}

/// Lines of folded stacks.
fn lines(profile: &Profile) -> Vec<String> {
    let mut bytes = Vec::new();
    folded::write(profile, Quantity::Captures, &mut bytes);
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

/// The labels of each sample of a pprof file with its first value, as text.
fn labelled(profile: &Profile) -> Vec<(BTreeMap<String, String>, i64)> {
    let message = pprof::proto::Profile::decode(&*pprof::encode(profile)).unwrap();
    let text = |index: i64| message.string_table[usize::try_from(index).unwrap()].clone();
    let label = |label: &pprof::proto::Label| {
        let value = if label.str == 0 { label.num.to_string() } else { text(label.str) };
        (text(label.key), value)
    };
    message.sample.iter().map(|sample| (sample.label.iter().map(label).collect(), sample.value[0])).collect()
}

#[test]
fn a_group_is_one_process_with_what_its_members_have_in_common() {
    let [cc, again, other] =
        [(1, Some(0)), (2, Some(0)), (3, Some(2))].map(|(pid, pod)| image(pid, "/bin/cc", pod));
    let samples = [
        sample(1, 1, Some(&cc), 7, 0),
        sample(2, 2, Some(&again), 7, 0),
        sample(3, 3, Some(&other), 7, 1),
        sample(4, 4, None, 7, 1),
    ];
    let grouped = profile(&samples, by(&[GroupBy::Namespace, GroupBy::Pod]), &[]);
    assert_eq!(
        lines(&grouped),
        ["-;-;worker;[unknown] 1", "bank;2;worker;[unknown] 1", "shop;0;worker;[unknown] 2"]
    );
    let labelled = labelled(&grouped);
    let shop = labelled.iter().find(|(labels, _)| labels.get("k8s.pod.uid").is_some_and(|uid| uid == "0"));
    let (labels, value) = shop.unwrap();
    let shown: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(
        shown,
        [
            "cpu.logical_number=0",
            "k8s.namespace.name=shop",
            "k8s.pod.uid=0",
            "profile.group.processes=2",
            "service.name=cc",
            "thread.name=worker"
        ]
    );
    assert_eq!(*value, 2);
    assert_eq!(grouped.captures.len(), 4);
}

#[test]
fn a_group_of_one_process_keeps_its_number_and_those_of_its_threads() {
    let first = image(1, "/bin/sh", None);
    let mut second = (*image(1, "/bin/cc", None)).clone();
    second.key.exec_count = ExecCount(2);
    let second = Arc::new(second);
    let samples = [sample(1, 1, Some(&first), 7, 0), sample(2, 1, Some(&second), 7, 0)];
    let labelled = labelled(&profile(&samples, by(&[GroupBy::Process]), &[]));
    assert_eq!(labelled.len(), 1);
    let (labels, value) = &labelled[0];
    assert_eq!((&*labels["process.pid"], &*labels["thread.id"], *value), ("1", "10", 2));
    assert!(!labels.contains_key("process.executable.name"), "it ran two");
}

#[test]
fn short_lives_alone_are_put_together() {
    let images = [1, 2, 3].map(|pid| image(pid, "/bin/cc", None));
    let samples: Vec<_> =
        images.iter().map(|image| sample(5, image.key.process.pid.0, Some(image), 7, 0)).collect();
    let end = |image: &Arc<Image>| ProcessEvent {
        at: KTime::from_nanos(50),
        image: image.key,
        transition: ProcessTransition::Exit,
    };
    let grouping = Grouping::new(&[GroupBy::Executable], Duration::from_nanos(100));
    let grouped = profile(&samples, grouping, &[end(&images[0]), end(&images[1])]);
    assert_eq!(lines(&grouped), ["/bin/cc;worker;[unknown] 2", "worker;[unknown] 1"]);
    assert_eq!(grouped.tables.processes.len(), 2);
}

/// Windows that are added up have one process for each group.
#[test]
fn groups_of_several_profiles_are_one() {
    let images = [1, 2].map(|pid| image(pid, "/bin/cc", Some(1)));
    let of = |image: &Arc<Image>| {
        let samples = [sample(1, image.key.process.pid.0, Some(image), 7, 0)];
        profile(&samples, by(&[GroupBy::Pod, GroupBy::Executable]), &[])
    };
    let mut sum = Profile::default();
    images.iter().for_each(|image| sum.merge(&of(image), &Bounds::default()));
    assert_eq!(sum.tables.processes.len(), 1);
    assert_eq!(lines(&sum), ["1;/bin/cc;worker;[unknown] 2"]);
}

proptest! {
    /// Whatever is sampled, and by whatever it is grouped: the sums of groups are those of their members, to the
    /// sample, in each stack, on each CPU and at each instant; and there are as many processes as groups.
    #[test]
    fn grouped_sums_equal_ungrouped_ones(
        samples in prop::collection::vec((1..6_u32, 0..3_usize, prop::option::of(0..3_u8), any::<bool>(), 0..3_u64, 0..2_u32), 0..60),
        keys in prop::sample::subsequence(vec![GroupBy::Executable, GroupBy::Process, GroupBy::Pod, GroupBy::Namespace], 1..4),
    ) {
        // A process runs one program in one pod; what is known of it is known from the start.
        let mut known: BTreeMap<u32, Option<Arc<Image>>> = BTreeMap::new();
        let samples: Vec<Sample> = samples.iter().enumerate().map(|(at, &(pid, program, pod, is_known, pc, cpu))| {
            let program = ["/bin/a", "/bin/b", "/sbin/a"][program];
            let image = known.entry(pid).or_insert_with(|| is_known.then(|| image(pid, program, pod)));
            sample(at as u64, pid, image.as_ref(), pc, cpu)
        }).collect();
        let grouped = profile(&samples, by(&keys), &[]);
        prop_assert_eq!(grouped.samples.captured(), samples.len() as u64);
        prop_assert_eq!(grouped.beyond_bounds, 0);
        // The group of each sample, as the grouping itself has it.
        let mut expected: BTreeMap<(String, u64, u32), u64> = BTreeMap::new();
        let mut groups = by(&keys).groups();
        for sample in &samples {
            let thread_name = sample.thread_name();
            let member = Member { key: sample.key, image: sample.image.as_deref(), thread_name: &thread_name };
            let group = groups.add(&member);
            let label = groups.all()[group].labels().join(";");
            let Frame { pc, .. } = sample.stack.frames[0];
            *expected.entry((label, pc.0, sample.cpu)).or_default() += 1;
        }
        let tables = &grouped.tables;
        let mut found: BTreeMap<(String, u64, u32), u64> = BTreeMap::new();
        for (key, amount) in grouped.samples.iter() {
            let thread = tables.threads.get(key.thread.unwrap()).unwrap();
            let names = tables.process_of(thread).unwrap().group.iter().map(|name| tables.text(*name));
            let address = tables.stack(key.stack).next().unwrap().1.address;
            let label = names.collect::<Vec<_>>().join(";");
            *found.entry((label, address, key.cpu.unwrap())).or_default() += amount.count;
        }
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(tables.processes.len(), groups.all().len());
        let instants = |profile: &Profile| profile.captures.iter().map(|capture| capture.at).collect::<Vec<_>>();
        let alone = profile(&samples, Grouping::default(), &[]);
        prop_assert_eq!(instants(&grouped), instants(&alone));
        // What leaves in each format adds up to the same.
        let sum = |profile: &Profile| lines(profile).iter().map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum::<u64>();
        prop_assert_eq!(sum(&grouped), samples.len() as u64);
        let value = |profile: &Profile| labelled(profile).iter().map(|(_, value)| value).sum::<i64>();
        prop_assert_eq!(value(&grouped), value(&alone));
    }
}
