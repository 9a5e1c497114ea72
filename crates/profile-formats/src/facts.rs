//! The facts of tasks and samples under their names of OpenTelemetry or our own: a format writes them as attributes or
//! labels.

use std::borrow::Cow;

use otlp_profiles::attributes;
use pdata::{FileState, UnixNanos, rfc3339};

use crate::model::{Attribute, Process, SampleKey, Tables, Value};

/// OpenTelemetry's name of the pid of the process that started a process.
pub(crate) const PARENT_PID: &str = "process.parent_pid";
/// OpenTelemetry's name of the instant at which a process ended.
pub(crate) const EXIT_TIME: &str = "process.exit.time";

/// A fact of a task or a sample: a key and its value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fact<'a> {
    pub(crate) key: &'a str,
    pub(crate) value: FactValue<'a>,
    /// Unit of a number; empty for a fact without a unit.
    pub(crate) unit: &'a str,
}

/// The value of a fact.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FactValue<'a> {
    Text(Cow<'a, str>),
    Int(i64),
    Bool(bool),
}

/// The facts of a process, in the order in which OTLP attributes are written.
pub(crate) fn of_process<'a>(process: &Process, tables: &'a Tables) -> Vec<Fact<'a>> {
    let mut facts = Facts { list: Vec::new(), tables };
    facts.text(attributes::SERVICE_NAME, process.service);
    facts.int(attributes::PROCESS_PID, process.process.map(|process| process.pid));
    facts.time(attributes::PROCESS_CREATION_TIME, process.created);
    facts.int(attributes::EXEC_COUNT, process.exec_count);
    facts.text(attributes::PROCESS_EXECUTABLE_NAME, process.name);
    facts.text(attributes::PROCESS_EXECUTABLE_PATH, process.path);
    facts.text(attributes::EXECUTABLE_OWN_PATH, process.own_path);
    facts.state(process.file);
    facts.flag(attributes::EXECUTABLE_PATH_TRUNCATED, process.path_truncated);
    facts.text(attributes::SCRIPT_PATH, process.script.map(|script| script.path));
    facts.text(attributes::SCRIPT_INTERPRETER, process.script.and_then(|script| script.interpreter));
    facts.flag(attributes::UNRESOLVED, process.unresolved);
    facts.int(PARENT_PID, process.parent.map(|parent| parent.pid));
    facts.time(EXIT_TIME, process.gone);
    facts.free(&process.attributes);
    facts.list
}

/// The facts of a sample apart from its stack and its process.
pub(crate) fn of_sample<'a>(key: &SampleKey, tables: &'a Tables) -> Vec<Fact<'a>> {
    let mut facts = Facts { list: Vec::new(), tables };
    let thread = key.thread.and_then(|thread| tables.threads.get(thread));
    facts.int(attributes::THREAD_ID, thread.and_then(|thread| thread.tid));
    facts.text(attributes::THREAD_NAME, thread.and_then(|thread| thread.name));
    facts.int(attributes::CPU_LOGICAL_NUMBER, key.cpu);
    facts.text(attributes::STACK_TRUNCATED, key.cut);
    let free = key.attributes.and_then(|list| tables.attributes.get(list));
    facts.free(free.map_or(&[], |list| list));
    facts.list
}

struct Facts<'a> {
    list: Vec<Fact<'a>>,
    tables: &'a Tables,
}

impl<'a> Facts<'a> {
    fn push(&mut self, key: &'a str, value: FactValue<'a>) {
        self.list.push(Fact { key, value, unit: "" });
    }

    fn text(&mut self, key: &'a str, text: Option<crate::Id<str>>) {
        if let Some(text) = text {
            self.push(key, FactValue::Text(Cow::Borrowed(self.tables.text(text))));
        }
    }

    fn int(&mut self, key: &'a str, number: Option<u32>) {
        if let Some(number) = number {
            self.push(key, FactValue::Int(number.into()));
        }
    }

    fn time(&mut self, key: &'a str, at: Option<UnixNanos>) {
        if let Some(at) = at {
            self.push(key, FactValue::Text(Cow::Owned(rfc3339::format(at))));
        }
    }

    fn flag(&mut self, key: &'a str, flag: bool) {
        if flag {
            self.push(key, FactValue::Bool(true));
        }
    }

    fn state(&mut self, state: FileState) {
        let state = match state {
            FileState::Linked => return,
            FileState::Deleted => "deleted",
            FileState::Memfd => "memfd",
        };
        self.push(attributes::EXECUTABLE_STATE, FactValue::Text(Cow::Borrowed(state)));
    }

    fn free(&mut self, list: &[Attribute]) {
        for attribute in list {
            let value = match attribute.value {
                Value::Text(text) => FactValue::Text(Cow::Borrowed(self.tables.text(text))),
                Value::Int(number) => FactValue::Int(number),
                Value::Bool(flag) => FactValue::Bool(flag),
            };
            let unit = self.tables.text_or_empty(attribute.unit);
            self.list.push(Fact { key: self.tables.text(attribute.key), value, unit });
        }
    }
}
