//! Conversion of a profile to the Firefox Profiler's format.

use std::collections::{BTreeMap, HashMap};
use std::io;

use pdata::UnixNanos;

use super::lanes::{Lane, LaneName, Lanes, MACHINE, Numbers};
use super::markers;
use super::output::{Category, Extensions, File, MarkerTable, Meta, NativeSymbols, SampleTable, Thread};
use super::symbols::{CATEGORIES, Libraries, Symbols};
use crate::model::{Amount, Process, ProcessRef, Profile, SampleKey};
use crate::table::Id;

/// The version of the format.
const VERSION: u32 = 55;
/// Milliseconds between samples of a profile whose period is not known.
const INTERVAL: f64 = 1.0;

/// Appends a profile in the Firefox Profiler's format.
///
/// # Errors
/// An error of the JSON encoder; none is expected while memory suffices.
pub fn write(profile: &Profile, out: &mut Vec<u8>) -> io::Result<()> {
    let mut libraries = Libraries::default();
    let mut numbers = Numbers::default();
    let Lanes { lanes, of_sample } = Lanes::of(profile);
    let mut samples = events(profile, &of_sample, lanes.len());
    let mut threads: Vec<Thread> = Vec::new();
    let mut first_of = HashMap::<ProcessRef, usize>::new();
    let mut symbols: Vec<Symbols> = Vec::new();
    for ((lane, name), events) in lanes.iter().zip(&mut samples) {
        let mut own = Symbols::default();
        let table = sample_table(events, lane, profile, &mut own, &mut libraries);
        if let Some(process) = lane.process {
            first_of.entry(process).or_insert(threads.len());
        }
        threads.push(thread(lane.process, name, table, profile, &mut numbers));
        symbols.push(own);
    }
    mark(profile, &first_of, &mut threads, &mut symbols, &mut numbers);
    for (thread, own) in threads.iter_mut().zip(symbols) {
        thread.frame_table = own.frame_table;
        thread.func_table = own.func_table;
        thread.resource_table = own.resource_table;
        thread.stack_table = own.stack_table;
        thread.string_array = own.strings.into_iter().collect();
    }
    let file = File {
        meta: meta(profile),
        libs: libraries.list,
        threads,
        pages: [],
        profiler_overhead: [],
        counters: [],
    };
    serde_json::to_writer(out, &file).map_err(io::Error::other)
}

/// One event of a thread: its instant, its sample, and its value.
type SampleEvent = (UnixNanos, Id<SampleKey>, i64);

/// The events of each lane in order of time. A sample's amount beyond its captures is an event at the profile's start.
fn events(profile: &Profile, of_sample: &[usize], lanes: usize) -> Vec<Vec<SampleEvent>> {
    let mut events = vec![Vec::new(); lanes];
    let mut left: Vec<Amount> = profile.samples.iter().map(|(_, amount)| amount).collect();
    let mut push = |event: SampleEvent| {
        let lane = of_sample.get(event.1.index()).and_then(|&lane| events.get_mut(lane));
        if let Some(lane) = lane {
            lane.push(event);
        }
    };
    for capture in &profile.captures {
        if let Some(rest) = left.get_mut(capture.sample.index()) {
            rest.value = rest.value.saturating_sub(capture.value);
            push((capture.at, capture.sample, capture.value));
        }
    }
    for (number, rest) in left.into_iter().enumerate().filter(|(_, rest)| rest.value != 0) {
        push((profile.start, Id::of_index(number), rest.value));
    }
    events.iter_mut().for_each(|lane: &mut Vec<SampleEvent>| lane.sort_by_key(|&(at, ..)| at));
    events
}

fn sample_table(
    events: &[SampleEvent],
    lane: &Lane,
    profile: &Profile,
    symbols: &mut Symbols,
    libraries: &mut Libraries,
) -> SampleTable {
    let (weight_type, scale) = match profile.tables.text(lane.kind.1) {
        "nanoseconds" => ("tracing-ms", 1e-6),
        "bytes" => ("bytes", 1.0),
        _ => ("samples", 1.0),
    };
    let mut table = SampleTable { weight_type, ..SampleTable::default() };
    let mut before = profile.start;
    for &(at, sample, value) in events {
        let Some((key, _)) = profile.samples.get(sample) else { continue };
        let period = profile.tables.value_types.get(key.value_type).map(|kind| kind.period);
        table.length += 1;
        table.stack.push(symbols.stack(key, profile, libraries));
        table.time_deltas.push(millis_between(before, at));
        table.weight.push(as_f64(value) * scale);
        let is_cpu = weight_type == "samples" && value == 1;
        table
            .thread_cpu_delta
            .push(period.filter(|period| is_cpu && *period > 0).map(|period| period / 1000));
        before = at;
    }
    table
}

/// Puts each marker on the first thread of its process, or on the machine's thread if the process has none.
fn mark(
    profile: &Profile,
    first_of: &HashMap<ProcessRef, usize>,
    threads: &mut Vec<Thread>,
    symbols: &mut Vec<Symbols>,
    numbers: &mut Numbers,
) {
    let mut machine = None;
    for marker in &profile.markers {
        let process = marker.process.and_then(|id| profile.tables.processes.get(id)?.process);
        let own = process.and_then(|process| first_of.get(&process).copied());
        let number = own.or(machine).unwrap_or_else(|| {
            let name = LaneName {
                thread: "Events".to_owned(),
                process: "Machine".to_owned(),
                tid: "events".to_owned(),
                is_main: true,
                image: None,
            };
            let table = SampleTable { weight_type: "samples", ..SampleTable::default() };
            threads.push(thread(Some(MACHINE), &name, table, profile, numbers));
            symbols.push(Symbols::default());
            threads.len() - 1
        });
        if own.is_none() {
            machine = Some(number);
        }
        if let (Some(thread), Some(symbols)) = (threads.get_mut(number), symbols.get_mut(number)) {
            let millis = |at| millis_between(profile.start, at);
            markers::push(&mut thread.markers, marker, profile, symbols, millis);
        }
    }
}

fn thread(
    process: Option<ProcessRef>,
    name: &LaneName,
    samples: SampleTable,
    profile: &Profile,
    numbers: &mut Numbers,
) -> Thread {
    let image: Option<&Process> = name.image.and_then(|id| profile.tables.processes.get(id));
    let created = image.and_then(|image| image.created).map_or(0.0, |at| millis_between(profile.start, at));
    let gone = image.and_then(|image| image.gone).map(|at| millis_between(profile.start, at));
    Thread {
        frame_table: Default::default(),
        func_table: Default::default(),
        markers: MarkerTable::default(),
        name: name.thread.clone(),
        is_main_thread: name.is_main,
        native_symbols: NativeSymbols::default(),
        paused_ranges: [],
        pid: if process == Some(MACHINE) { "machine".to_owned() } else { numbers.pid(process) },
        process_name: name.process.clone(),
        process_shutdown_time: gone,
        process_startup_time: created,
        process_type: "default",
        register_time: created.max(0.0),
        resource_table: Default::default(),
        samples,
        stack_table: Default::default(),
        string_array: Vec::new(),
        tid: numbers.tid(&name.tid),
        unregister_time: gone,
        show_markers_in_timeline: true,
    }
}

fn meta(profile: &Profile) -> Meta {
    let periods = profile.tables.value_types.iter().map(|(_, kind)| kind.period);
    let interval =
        periods.filter(|period| *period > 1).min().map_or(INTERVAL, |period| as_f64(period) * 1e-6);
    let category = |(name, color)| Category { name, color, subcategories: ["Other"] };
    Meta {
        categories: CATEGORIES.into_iter().map(category).collect(),
        debug: false,
        extensions: Extensions { base_url: [], id: [], length: 0, name: [] },
        interval,
        preprocessed_profile_version: VERSION,
        process_type: 0,
        product: "pipeline",
        sample_units: BTreeMap::from([("time", "ms"), ("eventDelay", "ms"), ("threadCPUDelta", "µs")]),
        start_time: millis_between(UnixNanos::from_nanos(0), profile.start),
        symbolicated: true,
        paused_ranges: [],
        version: 24,
        uses_only_one_stack_type: true,
        source_code_is_not_on_searchfox: true,
        marker_schema: markers::schema(),
    }
}

/// Milliseconds from an instant to another, as exact to the nanosecond as a float can be.
fn millis_between(from: UnixNanos, to: UnixNanos) -> f64 {
    let (from, to) = (from.as_nanos(), to.as_nanos());
    let nanos = i64::try_from(to.abs_diff(from)).unwrap_or(i64::MAX);
    let millis = as_f64(nanos) * 1e-6;
    if to < from { -millis } else { millis }
}

#[allow(clippy::cast_precision_loss, reason = "JSON has no other numbers")]
fn as_f64(value: i64) -> f64 {
    value as f64
}
