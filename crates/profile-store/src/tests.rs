//! The store against plain lists of samples.

use std::collections::BTreeMap;

use pdata::{BootTime, Pid, ProcessKey};
use proptest::prelude::*;

use crate::query::Query;
use crate::time::TICKS_PER_SECOND;
use crate::*;

const MANY: Limits = Limits { max_bytes: 64 << 20, retention: 3_600 * TICKS_PER_SECOND };

/// A sample as a plain value.
#[derive(Clone, Debug)]
struct Plain {
    tick: u32,
    pid: u32,
    executable: u8,
    thread: u8,
    cpu: u16,
    value: u64,
    frames: Vec<u8>,
}

fn frame(number: u8) -> FrameText<'static> {
    const NAMES: [&str; 8] = ["main", "read", "", "do_syscall", "inner", "malloc", "", "poll"];
    let flags = if number == 3 {
        FrameFlags::KERNEL
    } else if number == 4 {
        FrameFlags::INLINE
    } else {
        FrameFlags::NONE
    };
    let module = ["/bin/a", "/lib/libc.so"][usize::from(number % 2)];
    FrameText {
        name: NAMES[usize::from(number)],
        module,
        address: u64::from(number),
        flags,
        ..FrameText::default()
    }
}

const EXECUTABLES: [&str; 3] = ["/bin/a", "/bin/b", "[kworker]"];
const THREADS: [&str; 3] = ["main", "worker", "<img src=x onerror=alert(1)>"];

fn key(pid: u32) -> ProcessKey {
    ProcessKey { pid: Pid(pid), start_time: BootTime::from_nanos(u64::from(pid)) }
}

fn add(store: &mut Store, sample: &Plain) {
    let frames: Vec<_> = sample.frames.iter().map(|&number| frame(number)).collect();
    let process =
        ProcessText { key: key(sample.pid), executable: EXECUTABLES[usize::from(sample.executable)] };
    let task =
        TaskText { process, tid: sample.pid, thread: THREADS[usize::from(sample.thread)], container: "" };
    let weight = Weight { kind: Kind::OnCpu, truncated: false, samples: 1, value: sample.value };
    store.add(&SampleText { tick: sample.tick, cpu: sample.cpu, task, weight, frames: &frames });
}

fn plain() -> impl Strategy<Value = Plain> {
    let frames = prop::collection::vec(0u8..8, 0..6);
    (0u32..3_000, 1u32..6, 0u8..3, 0u8..3, 0u16..3, 1u64..1_000, frames).prop_map(
        |(tick, pid, executable, thread, cpu, value, frames)| Plain {
            tick,
            pid,
            executable,
            thread,
            cpu,
            value,
            frames,
        },
    )
}

fn filled(samples: &[Plain]) -> Store {
    let mut store = Store::new(MANY, 0);
    samples.iter().for_each(|sample| add(&mut store, sample));
    store.finish();
    store
}

fn name(number: u8) -> String {
    let text = frame(number);
    crate::frame::label(text.name, text.module, text.address)
}

fn sum<'a>(samples: impl Iterator<Item = &'a Plain>) -> Amount {
    samples
        .fold(Amount::default(), |sum, one| Amount { samples: sum.samples + 1, value: sum.value + one.value })
}

/// The amount that ends in each path of names of a tree.
fn paths(tree: &Tree) -> BTreeMap<Vec<String>, Amount> {
    let (mut path, mut found) = (Vec::new(), BTreeMap::new());
    for node in &tree.nodes {
        path.truncate(node.depth as usize);
        path.push(tree.frames[node.frame as usize].name.clone());
        if node.own.now != Amount::default() {
            found.insert(path[1..].to_vec(), node.own.now);
        }
    }
    found
}

proptest! {
    /// A tree has each stack that is asked for with all of its samples, whatever the range and the filter: the same as
    /// going through a list.
    #[test]
    fn a_tree_is_what_was_added(samples in prop::collection::vec(plain(), 0..120), range in (0u32..3_000, 0u32..3_000), cpu in prop::option::of(0u16..3), executable in prop::option::of(0usize..3)) {
        let store = filled(&samples);
        let span = Span { from: range.0.min(range.1), until: range.0.max(range.1) };
        let filter = Filter { cpu, executable: executable.map(|at| EXECUTABLES[at].to_owned()), ..Filter::default() };
        let query = Query { span, filter, ..Query::default() };
        let asked: Vec<_> = samples.iter().filter(|sample| {
            span.contains(sample.tick) && cpu.is_none_or(|cpu| cpu == sample.cpu) && executable.is_none_or(|at| at == usize::from(sample.executable))
        }).collect();
        let mut expected: BTreeMap<Vec<String>, Amount> = BTreeMap::new();
        for sample in &asked {
            let path = sample.frames.iter().map(|&number| name(number)).collect();
            expected.entry(path).or_default().add(Amount { samples: 1, value: sample.value });
        }
        let tree = tree(&store, &query);
        let whole = sum(asked.iter().copied());
        prop_assert_eq!(tree.nodes.first().map(|root| root.total.now), Some(whole));
        // With so few samples no node is too small to be shown, unless values differ much.
        let found = paths(&tree);
        let others = found.keys().any(|path| path.last().is_some_and(|name| name.starts_with("other (")));
        if !others {
            prop_assert_eq!(found, expected);
        }
    }

    /// The rows' own amounts add up to all samples, and the total of a function counts each sample once.
    #[test]
    fn a_table_counts_each_sample_once(samples in prop::collection::vec(plain(), 0..120)) {
        let store = filled(&samples);
        let query = Query { span: Span::ALL, ..Query::default() };
        let table = top(&store, &query, TopBy::Frame);
        for row in &table.rows {
            let is_named = |&&number: &&u8| name(number) == row.frame.name && frame(number).module == row.frame.module;
            let inside = samples.iter().filter(|sample| sample.frames.iter().any(|number| is_named(&number)));
            let leaf = samples.iter().filter(|sample| sample.frames.last().is_some_and(|number| is_named(&number)));
            prop_assert_eq!((row.own, row.total), (sum(leaf), sum(inside)), "{}", &row.frame.name);
        }
        prop_assert_eq!(table.total, sum(samples.iter()));
        let by_thread = Query { grouping: Grouping::Thread, ..query };
        let table = top(&store, &by_thread, TopBy::Group);
        for row in &table.rows {
            prop_assert_eq!(row.own, sum(samples.iter().filter(|sample| THREADS[usize::from(sample.thread)] == row.frame.name)));
        }
    }

    /// The amounts of a time line, heat, processes, rows and a grouped tree are all the same.
    #[test]
    fn all_answers_have_the_same_sum(samples in prop::collection::vec(plain(), 1..120)) {
        let store = filled(&samples);
        let whole = sum(samples.iter());
        let query = Query { span: store.held(), grouping: Grouping::Process, ..Query::default() };
        prop_assert_eq!(tree(&store, &query).nodes[0].total.now, whole);
        let line = timeline(&store, &query);
        let in_line: u64 = line.series.iter().flat_map(|series| &series.values).sum();
        prop_assert_eq!((line.total, in_line), (whole, whole.value));
        prop_assert_eq!(heat(&store, &query).cells.iter().sum::<u64>(), whole.samples);
        let processes = processes(&store, &query);
        prop_assert_eq!(processes.total, whole);
        let roots = processes.rows.iter().filter(|row| row.depth == 0);
        prop_assert_eq!(roots.map(|row| row.total.samples).sum::<u64>(), whole.samples);
        let mut in_rows = Amount::default();
        rows(&store, &query, |row| if let Row::Sample(sample) = row {
            in_rows.add(Amount { samples: sample.weight.samples, value: sample.weight.value });
        });
        prop_assert_eq!(in_rows, whole);
        prop_assert_eq!(model(&store, &query).ticks.len() as u64, whole.samples);
        prop_assert_eq!(status(&store, &query).total, whole);
    }

    /// A hidden frame's amount is its caller's, and folded neighbours are one frame: a rule loses no sample.
    #[test]
    fn rules_lose_nothing(samples in prop::collection::vec(plain(), 0..80)) {
        let store = filled(&samples);
        let whole = sum(samples.iter());
        let rules = [
            Rules { hide: vec![Rule::Kernel, Rule::Inlines], ..Rules::default() },
            Rules { hide: vec![Rule::Text("libc".to_owned())], fold: vec![Rule::Text("/bin".to_owned())], by_module: false },
            Rules { by_module: true, ..Rules::default() },
        ];
        for rules in rules {
            let query = Query { span: Span::ALL, rules, ..Query::default() };
            let tree = tree(&store, &query);
            let own = tree.nodes.iter().fold(Amount::default(), |mut sum, node| { sum.add(node.own.now); sum });
            prop_assert_eq!((tree.nodes[0].total.now, own), (whole, whole));
            for pair in tree.nodes.windows(2).filter(|_| query.rules.by_module) {
                prop_assert!(pair[1].depth <= pair[0].depth || pair[1].frame != pair[0].frame, "neighbours of a module are one");
            }
        }
    }

    /// A sandwich's callers and callees both begin with all samples that the function is in.
    #[test]
    fn a_sandwich_has_each_sample_once(samples in prop::collection::vec(plain(), 0..80)) {
        let store = filled(&samples);
        let sandwich = sandwich(&store, &Query { span: Span::ALL, ..Query::default() }, "read", None);
        let whole = sum(samples.iter().filter(|sample| sample.frames.contains(&1)));
        let root = |tree: &Tree| tree.nodes.first().map(|root| root.total.now).unwrap_or_default();
        prop_assert_eq!((root(&sandwich.callers), root(&sandwich.callees)), (whole, whole));
        let own = sandwich.callers.nodes.iter().fold(Amount::default(), |mut sum, node| { sum.add(node.own.now); sum });
        prop_assert_eq!(own, whole, "each call comes from somewhere");
    }

    /// Whatever samples come, memory stays within its bound, and the samples that came last are held.
    #[test]
    fn memory_is_bounded(seeds in prop::collection::vec(any::<u64>(), 1..40)) {
        let limits = Limits { max_bytes: 256 << 10, retention: 600 * TICKS_PER_SECOND };
        let mut store = Store::new(limits, 0);
        for (at, seed) in seeds.iter().enumerate() {
            for number in 0..100_u64 {
                let name = format!("function_{}", seed.wrapping_mul(number + 1) % 50_000);
                let frames = [FrameText { name: "main", ..FrameText::default() }, FrameText { name: &name, ..FrameText::default() }];
                let process = ProcessText { key: key(u32::try_from(seed % 1_000).unwrap()), executable: &name };
                let task = TaskText { process, tid: 1, thread: &name, container: "" };
                let weight = Weight { samples: 1, value: *seed, ..Weight::default() };
                store.add(&SampleText { tick: u32::try_from(at).unwrap() * 10, cpu: 0, task, weight, frames: &frames });
                prop_assert!(store.bytes() <= limits.max_bytes, "{}", store.bytes());
            }
            store.advance(u32::try_from(at + 1).unwrap() * 10);
        }
        store.finish();
        let held = status(&store, &Query { span: store.held(), ..Query::default() });
        prop_assert!(held.total.samples <= store.taken());
        let all = status(&store, &Query { span: Span::ALL, ..Query::default() });
        prop_assert_eq!(all.total.samples + all.dropped, store.taken(), "samples that have made room are counted");
        prop_assert!(held.short || held.total.samples == store.taken());
    }
}

#[test]
fn what_is_older_than_the_retention_is_not_shown_and_goes() {
    let mut store = Store::new(Limits { max_bytes: 64 << 20, retention: 100 * TICKS_PER_SECOND }, 0);
    let sample = |second: u32| Plain {
        tick: second * 50,
        pid: 1,
        executable: 0,
        thread: 0,
        cpu: 0,
        value: 1,
        frames: vec![0, 1],
    };
    let mut most = 0;
    for second in 0..1_000 {
        add(&mut store, &sample(second));
        store.advance((second + 1) * 50);
        most = most.max(store.bytes());
        let held = store.held();
        assert_eq!(held.until, (second + 1) * 50);
        assert_eq!(
            status(&store, &Query { span: held, ..Query::default() }).total.samples,
            u64::from(second + 1).min(100)
        );
    }
    assert!(most < 200 << 10, "{most}");
    assert!(!store.is_short());
}

#[test]
fn two_ranges_are_compared_in_one_tree() {
    let at = |second: u32, leaf: u8| Plain {
        tick: second * 50,
        pid: 1,
        executable: 0,
        thread: 0,
        cpu: 0,
        value: 7,
        frames: vec![0, leaf],
    };
    let samples: Vec<_> =
        (0..10).map(|second| at(second, 1)).chain((10..20).map(|second| at(second, 5))).collect();
    let store = filled(&samples);
    let span = |from: u32, until: u32| Span { from: from * 50, until: until * 50 };
    let query = Query { span: span(10, 20), baseline: Some(span(0, 10)), ..Query::default() };
    let tree = tree(&store, &query);
    let values: Vec<_> = tree
        .nodes
        .iter()
        .map(|node| {
            (tree.frames[node.frame as usize].name.as_str(), node.total.now.samples, node.total.then.samples)
        })
        .collect();
    assert_eq!(values, [("all", 10, 10), ("main", 10, 10), ("malloc", 10, 0), ("read", 0, 10)]);
    let json = serde_json::to_value(&tree).unwrap();
    assert_eq!(json["then_samples"], serde_json::json!([10, 10, 0, 10]));
}

#[test]
fn a_family_of_ten_thousand_reads_as_one() {
    let mut store = Store::new(MANY, 0);
    store.follow_processes();
    store.know_process(key(1), "/bin/init", None, None);
    store.know_process(key(2), "/usr/bin/make", Some(key(1)), None);
    for pid in 3..10_003 {
        store.know_process(key(pid), "/usr/bin/cc1", Some(key(2)), Some(pid));
        let process = ProcessText { key: key(pid), executable: "/usr/bin/cc1" };
        let task = TaskText { process, tid: pid, thread: "cc1", container: "" };
        let weight = Weight { samples: 1, value: 1, ..Weight::default() };
        store.add(&SampleText { tick: pid, task, weight, ..SampleText::default() });
    }
    store.finish();
    let query = Query { span: store.held(), ..Query::default() };
    let found = processes(&store, &query);
    let rows: Vec<_> = found
        .rows
        .iter()
        .map(|row| (row.depth, row.executable.as_str(), row.count, row.total.samples, row.gone))
        .collect();
    assert_eq!(
        rows,
        [
            (0, "/bin/init", 10_002, 10_000, Some(false)),
            (1, "/usr/bin/make", 10_001, 10_000, Some(false)),
            (2, "other (10000)", 10_000, 10_000, None),
        ]
    );
    assert_eq!((found.sampled, found.gone), (10_000, 10_000));
    let family = Filter { ancestor: Some(ProcessSet { pid: 2, start: Some(2) }), ..Filter::default() };
    let query = Query { filter: family, ..query };
    assert_eq!(status(&store, &query).total.samples, 10_000);
}

#[test]
fn what_is_small_becomes_other_and_the_sum_stays() {
    let mut store = Store::new(MANY, 0);
    for number in 0..5_000_u32 {
        let name = format!("f{}", if number % 2 == 0 { 0 } else { number });
        let frames = [FrameText { name: &name, ..FrameText::default() }];
        let weight = Weight { samples: 1, value: 1, ..Weight::default() };
        store.add(&SampleText { tick: 0, weight, frames: &frames, ..SampleText::default() });
    }
    store.finish();
    let tree = tree(&store, &Query { span: store.held(), ..Query::default() });
    let names: Vec<_> = tree
        .nodes
        .iter()
        .map(|node| (tree.frames[node.frame as usize].name.as_str(), node.total.now.samples))
        .collect();
    assert_eq!(names, [("all", 5_000), ("other (2500)", 2_500), ("f0", 2_500)]);
}

/// A group that has a tenth of all samples is shown, however many groups there are.
#[test]
fn a_large_group_is_shown_among_many_small_ones() {
    let mut store = Store::new(MANY, 0);
    let weight = Weight { samples: 1, value: 1, ..Weight::default() };
    let mut run = |tick: u32, executable: &str, pid: u32| {
        let process = ProcessText { key: key(pid), executable };
        let task = TaskText { process, tid: pid, thread: "", container: "" };
        store.add(&SampleText { tick, task, weight, ..SampleText::default() });
    };
    for number in 0..30_000 {
        run(number / 100, &format!("/bin/program-{number}"), 10 + number);
        if number % 9 == 0 {
            run(number / 100, "/bin/large", 1);
        }
    }
    store.finish();
    let span = store.held();
    for grouping in [Grouping::Executable, Grouping::Process] {
        let tree = tree(&store, &Query { span, grouping, ..Query::default() });
        let nodes =
            tree.nodes.iter().map(|node| (&*tree.frames[node.frame as usize].name, node.total.now.samples));
        let large: Vec<_> = nodes.filter(|(name, _)| name.contains("large")).collect();
        assert!(matches!(large[..], [(_, 3_334)]), "{grouping:?}: {large:?}");
    }
    let line = timeline(&store, &Query { span, ..Query::default() });
    let sums: Vec<u64> = line.series.iter().map(|series| series.values.iter().sum()).collect();
    assert_eq!((&*line.series[0].name, &*line.series[8].name), ("/bin/large", "other (29993)"));
    assert_eq!((sums[0], sums.iter().sum::<u64>(), line.total.samples), (3_334, 33_334, 33_334));
}
