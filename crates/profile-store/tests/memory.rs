//! Memory of a store of a million stacks, and of the making of its answers, measured by counting allocations.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, reason = "a test may panic, in what it calls too")]

use allocation_counter::measure;
use pdata::{BootTime, Pid, ProcessKey};
use profile_store::{
    FrameText, Grouping, Kind, Limits, ProcessText, Query, Span, Store, TICKS_PER_SECOND, TaskText, TopBy,
    Weight, heat, processes, sandwich, status, timeline, top, tree,
};

const MAX_BYTES: usize = 64 << 20;
const STACKS: u32 = 1_000_000;
const SAMPLES_PER_TICK: u32 = 40;
/// Frames at the leaf end of a stack that no other stack has, below those that many have.
const OWN_FRAMES: u32 = 6;
/// Functions that stacks are made of.
const FUNCTIONS: u32 = 2_000;

/// Numbers of the functions' frames in the store's open generation.
fn functions(store: &mut Store) -> Vec<u32> {
    let frame = |number: u32| {
        let name = format!("a_module::of_some_program::function_{number}");
        store.frame(&FrameText { name: &name, module: "/usr/lib/libprogram.so", ..FrameText::default() })
    };
    (0..FUNCTIONS).map(frame).collect()
}

/// A sample of each of a million stacks, of half as many processes.
fn fill(store: &mut Store) {
    store.follow_processes();
    let mut known = (store.number(), functions(store));
    for stack in 0..STACKS {
        if known.0 != store.number() {
            known = (store.number(), functions(store));
        }
        let frame = |number: u32| *known.1.get((number % FUNCTIONS) as usize).unwrap();
        let common = (0..10).map(|depth| frame(depth + stack % 3 * (depth / 5)));
        // The digits of the stack's number, each with its position: no other stack has all of these frames.
        let own = (0..OWN_FRAMES).map(|depth| frame(100 * depth + 7 + stack / 10_u32.pow(depth) % 10));
        let leaf = common.chain(own).fold(0, |leaf, frame| store.push(leaf, frame));
        let process = ProcessKey {
            pid: Pid(stack / 2 + 1),
            start_time: BootTime::from_nanos(u64::from(stack / 2) * 1_003_009),
        };
        let tick = stack / SAMPLES_PER_TICK;
        store.know_process(process, "/usr/bin/program", None, Some(tick));
        let process = ProcessText { key: process, executable: "/usr/bin/program" };
        let task = TaskText { process, tid: process.key.pid.0, thread: "worker", container: "" };
        let weight = Weight { kind: Kind::OnCpu, truncated: false, samples: 1, value: 1_003_009 };
        store.record(tick, 0, &task, leaf, weight);
        assert!(store.bytes() <= MAX_BYTES, "{} bytes after {stack} stacks", store.bytes());
        if stack % (SAMPLES_PER_TICK * TICKS_PER_SECOND) == 0 {
            store.advance(tick);
        }
    }
    store.finish();
}

/// A million stacks that no two samples share stay within the store's bound, by the bytes that were really allocated;
/// and no answer takes more than three quarters of that bound while it is made.
#[test]
fn a_million_stacks_are_held_and_answered_from_in_bounded_memory() {
    let limits = Limits { max_bytes: MAX_BYTES, retention: 3_600 * TICKS_PER_SECOND };
    let mut store = Store::new(limits, 0);
    let filled = measure(|| fill(&mut store));
    let (held, counted) = (store.bytes(), usize::try_from(filled.bytes_current).unwrap());
    println!("held {held}, allocated {counted}, at most {}", filled.bytes_max);
    assert!(counted <= held + held / 20, "what is counted is what is allocated: {counted} of {held}");
    assert!(usize::try_from(filled.bytes_max).unwrap() <= MAX_BYTES + MAX_BYTES / 4);
    let all = Query { span: Span::ALL, ..Query::default() };
    let found = status(&store, &all);
    println!("{} samples of {STACKS}, {} dropped", found.total.samples, found.dropped);
    assert_eq!(found.total.samples + found.dropped, STACKS.into());
    let by = |grouping: Grouping| Query { grouping, ..all.clone() };
    let whole = found.total.samples;
    let answers: [(&str, &dyn Fn() -> u64); 9] = [
        ("status", &|| status(&store, &all).total.samples),
        ("tree", &|| tree(&store, &all).nodes[0].total.now.samples),
        ("by executable", &|| tree(&store, &by(Grouping::Executable)).nodes[0].total.now.samples),
        ("by process", &|| tree(&store, &by(Grouping::Process)).nodes[0].total.now.samples),
        ("functions", &|| top(&store, &all, TopBy::Frame).total.samples),
        ("sandwich", &|| {
            let of = sandwich(&store, &all, "a_module::of_some_program::function_1", None);
            of.callees.nodes[0].total.now.samples
        }),
        ("time line", &|| timeline(&store, &all).total.samples),
        ("heat", &|| heat(&store, &all).cells.iter().sum::<u64>().max(whole)),
        ("processes", &|| processes(&store, &all).total.samples),
    ];
    for (name, answer) in answers {
        let mut samples = 0;
        let taken = measure(|| samples = answer());
        println!("{name}: at most {} bytes", taken.bytes_max);
        assert_eq!((samples, taken.bytes_current), (whole, 0), "{name}");
        assert!(usize::try_from(taken.bytes_max).unwrap() <= MAX_BYTES / 4 * 3, "{name}");
    }
}
