//! Conversion of facts to processes.

use otlp_profiles::attributes as key;
use pdata::{FileState, UnixNanos};

use crate::facts::{EXIT_TIME, PARENT_PID};
use crate::model::{Attribute, Bounds, Process, ProcessIdentity, ProcessRef, Script, Start, Tables, Value};
use crate::read::full::FactRoom;
use crate::table::Id;

/// The process that facts describe: a resource's, and a sample's if its source puts them there. `None` if there are no
/// facts, or if the process is beyond the bounds.
pub(super) fn process(facts: &[Attribute], tables: &mut Tables, room: &mut FactRoom) -> Option<Id<Process>> {
    if facts.is_empty() {
        return None;
    }
    let (mut process, mut others) = (Process::default(), Vec::new());
    let (mut pid, mut interpreter) = (None, None);
    for fact in facts {
        let text = if let Value::Text(text) = fact.value { Some(text) } else { None };
        let number = if let Value::Int(number) = fact.value { u32::try_from(number).ok() } else { None };
        let time = || text.and_then(|text| time(tables.text(text)));
        match tables.text(fact.key) {
            key::SERVICE_NAME => process.service = text,
            key::PROCESS_PID => pid = number,
            key::PROCESS_CREATION_TIME => process.created = time(),
            key::EXEC_COUNT => process.exec_count = number,
            key::PROCESS_EXECUTABLE_NAME => process.name = text,
            key::PROCESS_EXECUTABLE_PATH => process.path = text,
            key::EXECUTABLE_OWN_PATH => process.own_path = text,
            key::EXECUTABLE_STATE => process.file = state(text.map_or("", |text| tables.text(text))),
            key::EXECUTABLE_PATH_TRUNCATED => process.path_truncated = true,
            key::SCRIPT_PATH => process.script = text.map(|path| Script { path, interpreter: None }),
            key::SCRIPT_INTERPRETER => interpreter = text,
            key::UNRESOLVED => process.unresolved = true,
            PARENT_PID => process.parent = number.map(|pid| ProcessRef { pid, start: Start::Unknown }),
            EXIT_TIME => process.gone = time(),
            _ => others.push(*fact),
        }
    }
    if let Some(script) = &mut process.script {
        script.interpreter = interpreter;
    }
    // Readers know a process by its name; some sources only name the service.
    process.name = process.name.or(process.service);
    process.kernel = process.path.is_none() && tables.text_or_empty(process.service) == "[kernel]";
    let start = process.created.map_or(Start::Unknown, Start::Unix);
    process.process = pid.map(|pid| ProcessRef { pid, start });
    let identity = ProcessIdentity {
        process: process.process,
        exec_count: process.exec_count.unwrap_or_default(),
        resolved: !process.unresolved,
        // A process without a number is identified by its facts.
        facts: if pid.is_none() { facts.into() } else { Box::default() },
    };
    let (known, of_identity) = (tables.processes.len(), identity.facts.len());
    let is_room = known < Bounds::default().processes && room.has(of_identity);
    let id = tables.processes.intern_within(identity, is_room, Process::default)?;
    if tables.processes.len() > known {
        room.take(of_identity);
    }
    // A later request replaces the description: it may know that the process has ended.
    if let Some(known) = tables.processes.get_mut(id) {
        process.attributes = room.keep(others, known.attributes.len());
        *known = process;
    }
    Some(id)
}

fn state(text: &str) -> FileState {
    match text {
        "deleted" => FileState::Deleted,
        "memfd" => FileState::Memfd,
        _ => FileState::Linked,
    }
}

fn time(text: &str) -> Option<UnixNanos> {
    let at: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(at.as_nanosecond()).ok().map(UnixNanos::from_nanos)
}

/// Finds the starts of parents of which only the number is known: of the processes with that number, the parent is the
/// one that started last before the child.
pub(super) fn find_parents(tables: &mut Tables) {
    let mut known: Vec<(u32, u64, Start)> = Vec::new();
    for (_, process) in tables.processes.iter() {
        if let Some(ProcessRef { pid, start: start @ Start::Unix(at) }) = process.process {
            known.push((pid, at.as_nanos(), start));
        }
    }
    known.sort_unstable_by_key(|&(pid, at, _)| (pid, at));
    for process in tables.processes.iter_mut() {
        let Some(Start::Unix(born)) = process.process.map(|process| process.start) else { continue };
        let Some(parent) = process.parent.as_mut().filter(|parent| parent.start == Start::Unknown) else {
            continue;
        };
        let after = known.partition_point(|&(pid, at, _)| (pid, at) <= (parent.pid, born.as_nanos()));
        let before = after.checked_sub(1).and_then(|before| known.get(before));
        if let Some((_, _, start)) = before.filter(|(pid, ..)| *pid == parent.pid) {
            parent.start = *start;
        }
    }
}
