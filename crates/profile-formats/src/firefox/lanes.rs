//! The threads of the file, each of one thread of a process and one kind of value.

use std::collections::HashMap;

use indexmap::IndexMap;

use crate::model::{Process, ProcessRef, Profile, SampleKey, Start, UNKNOWN};
use crate::table::Id;

/// Key of a thread of the file: samples with the same process, thread and kind of value share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lane {
    pub(super) process: Option<ProcessRef>,
    tid: Option<u32>,
    pub(super) kind: (Id<str>, Id<str>),
}

/// The names of a lane's thread and process.
#[derive(Clone, Debug, Default)]
pub(super) struct LaneName {
    pub(super) thread: String,
    pub(super) process: String,
    pub(super) tid: String,
    pub(super) is_main: bool,
    /// The image of the sample seen last.
    pub(super) image: Option<Id<Process>>,
}

/// The lanes of a profile, and the lane of each sample.
pub(super) struct Lanes {
    pub(super) lanes: IndexMap<Lane, LaneName>,
    pub(super) of_sample: Vec<usize>,
}

impl Lanes {
    pub(super) fn of(profile: &Profile) -> Self {
        let mut lanes = IndexMap::new();
        let mut of_sample = Vec::with_capacity(profile.samples.len());
        for (key, _) in profile.samples.iter() {
            let (lane, name) = lane(key, profile);
            let entry = lanes.entry(lane);
            of_sample.push(entry.index());
            // The name that is written last wins: it is the one that the thread had longest after its exec.
            *entry.or_default() = name;
        }
        Self { lanes, of_sample }
    }
}

fn lane(key: &SampleKey, profile: &Profile) -> (Lane, LaneName) {
    let tables = &profile.tables;
    let thread = key.thread.and_then(|thread| tables.threads.get(thread));
    let image = thread.and_then(|thread| thread.process);
    let process = image.and_then(|image| tables.processes.get(image));
    let reference = process.and_then(|process| process.process);
    let tid = thread.and_then(|thread| thread.tid);
    let kind = tables.value_types.get(key.value_type).map(|kind| (kind.kind, kind.unit));
    let kind = kind.unwrap_or((Id::of_index(usize::MAX), Id::of_index(usize::MAX)));
    let process_name = tables.text_or_empty(process.and_then(|process| process.name));
    let names = [tables.text_or_empty(thread.and_then(|thread| thread.name)), process_name];
    let name = names.into_iter().find(|name| !name.is_empty()).unwrap_or(UNKNOWN);
    let off = match tables.text(kind.0) {
        "samples" | "cpu" | "" => String::new(),
        kind => format!(" ({kind})"),
    };
    let lane_name = LaneName {
        thread: format!("{name}{off}"),
        process: if process_name.is_empty() { UNKNOWN.to_owned() } else { process_name.to_owned() },
        tid: format!("{}{off}", tid.map_or_else(|| "0".to_owned(), |tid| tid.to_string())),
        is_main: off.is_empty() && tid.is_some() && tid == reference.map(|reference| reference.pid),
        image,
    };
    (Lane { process: reference, tid, kind }, lane_name)
}

/// Pids and thread numbers as texts that are each used once: a number that is used again gets a suffix.
#[derive(Default)]
pub(super) struct Numbers {
    pids: HashMap<Option<ProcessRef>, String>,
    used_pids: HashMap<String, u32>,
    used_tids: HashMap<String, u32>,
}

impl Numbers {
    pub(super) fn pid(&mut self, process: Option<ProcessRef>) -> String {
        let used = &mut self.used_pids;
        let pid = || unique(process.map_or(0, |process| process.pid).to_string(), used);
        self.pids.entry(process).or_insert_with(pid).clone()
    }

    pub(super) fn tid(&mut self, tid: &str) -> String {
        unique(tid.to_owned(), &mut self.used_tids)
    }
}

fn unique(number: String, used: &mut HashMap<String, u32>) -> String {
    let uses = used.entry(number.clone()).or_default();
    *uses += 1;
    if *uses == 1 { number } else { format!("{number}.{}", *uses - 1) }
}

/// The process that stands for the whole machine, whose events have no process of their own.
pub(super) const MACHINE: ProcessRef = ProcessRef { pid: u32::MAX, start: Start::Unknown };
