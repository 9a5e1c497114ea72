//! Processes and threads of samples and events.

use std::path::Path;
use std::sync::Arc;

use foldhash::HashMap;
use pdata::{
    AttributeValue, ClockOffset, Comm, Executable, Image, ImageKey, ImageKind, ProcessEvent, ProcessKey,
    ProcessTransition, Sample, UnixNanos, names,
};

use crate::model::{
    Attribute, Marker, MarkerKind, Process, ProcessIdentity, ProcessRef, Processes, Script, Start, Tables,
    Texts, Thread, Value,
};
use crate::table::Id;

/// Most entries of a look-up map; a full one is cleared.
const REMEMBERED: usize = 1 << 14;

/// Numbers and describes the processes and threads of a profile.
#[derive(Debug)]
pub(super) struct Tasks {
    clock: ClockOffset,
    max: usize,
    /// Images by their addresses in memory, which stay theirs since the entry holds them.
    images: HashMap<usize, (Arc<Image>, Id<Process>)>,
    names: HashMap<Comm, Option<Id<str>>>,
    /// The parent of each process whose fork was seen.
    parents: HashMap<ProcessKey, ProcessRef>,
    /// The instant at which each process ended.
    ends: HashMap<ProcessKey, UnixNanos>,
}

impl Tasks {
    /// Makes a table of at most `max` processes, with times by `clock`.
    pub(super) fn new(clock: ClockOffset, max: usize) -> Self {
        Self {
            clock,
            max,
            images: HashMap::default(),
            names: HashMap::default(),
            parents: HashMap::default(),
            ends: HashMap::default(),
        }
    }

    /// The thread of a sample; `None` if it is new and there is no `room`. A thread whose process is beyond the bounds
    /// has no process.
    pub(super) fn thread(&mut self, sample: &Sample, tables: &mut Tables, room: bool) -> Option<Id<Thread>> {
        let process = self.process(sample, tables, room);
        if let Some(process) = process.and_then(|id| tables.processes.get_mut(id)) {
            process.cgroup = sample.context.cgroup.as_ref().map_or(0, |cgroup| cgroup.id.0.into());
        }
        let name = self.name(sample.comm, &mut tables.texts);
        let thread = Thread { process, tid: Some(sample.tid.0), name };
        tables.threads.intern_within(thread, room)
    }

    /// The marker of an event, if it is of note. The facts that it brings of its process are kept.
    pub(super) fn event(&mut self, event: &ProcessEvent, tables: &mut Tables, room: bool) -> Option<Marker> {
        let at = self.clock.unix(event.at);
        let key = event.image.process;
        let kind = match &event.transition {
            ProcessTransition::Seen { executable, .. } => {
                if let Some(executable) = executable {
                    self.started(event.image, executable, None, tables, room);
                }
                return None;
            }
            ProcessTransition::Exec { executable, filename, interpreter, .. } => {
                let script = interpreter.as_ref().map(|interpreter| (&**filename, &**interpreter));
                self.started(event.image, executable, script, tables, room);
                MarkerKind::Exec
            }
            ProcessTransition::Fork { parent, .. } => {
                let parent = self.forked(event.image, *parent, tables, room);
                MarkerKind::Fork { parent }
            }
            ProcessTransition::Exit => {
                if self.ends.len() < self.max {
                    self.ends.entry(key).or_insert(at);
                }
                MarkerKind::Exit
            }
            ProcessTransition::Rename { .. } | ProcessTransition::Freed => return None,
        };
        let process = self.known(event.image, tables, room);
        Some(Marker { at, process, kind })
    }

    /// Sets the parents and ends of the processes.
    pub(super) fn finish(self, processes: &mut Processes) {
        for process in processes.iter_mut() {
            let Some(ProcessRef { pid, start: Start::Boot(start_time) }) = process.process else { continue };
            let key = ProcessKey { pid: pdata::Pid(pid), start_time };
            process.parent = self.parents.get(&key).copied();
            process.gone = self.ends.get(&key).copied();
        }
    }

    fn process(&mut self, sample: &Sample, tables: &mut Tables, room: bool) -> Option<Id<Process>> {
        let room = room && tables.processes.len() < self.max;
        let Some(image) = &sample.image else {
            let identity = identity(sample.key, false);
            let (texts, clock) = (&mut tables.texts, self.clock);
            return tables.processes.intern_within(identity, room, || unresolved(sample, clock, texts));
        };
        let address = Arc::as_ptr(image).addr();
        if let Some(&(_, known)) = self.images.get(&address) {
            return Some(known);
        }
        let id = tables.processes.intern_within(identity(image.key, true), room, Process::default)?;
        // A later description knows more: an image that is first sampled inside execve has no script until the exec is
        // complete.
        let described = described(image, &mut tables.texts);
        if let Some(process) = tables.processes.get_mut(id) {
            *process = described;
        }
        if self.images.len() >= REMEMBERED {
            self.images.clear();
        }
        self.images.insert(address, (Arc::clone(image), id));
        Some(id)
    }

    /// The number of an event's image, which is described by its key alone if it is new.
    fn known(&self, key: ImageKey, tables: &mut Tables, room: bool) -> Option<Id<Process>> {
        let room = room && tables.processes.len() < self.max;
        let clock = self.clock;
        tables.processes.intern_within(identity(key, true), room, || bare(key, clock))
    }

    /// Describes an image by the file that it runs.
    fn started(
        &self,
        key: ImageKey,
        executable: &Executable,
        script: Option<(&[u8], &[u8])>,
        tables: &mut Tables,
        room: bool,
    ) {
        let Some(id) = self.known(key, tables, room) else { return };
        let Some(process) = tables.processes.get_mut(id).filter(|process| process.path.is_none()) else {
            return;
        };
        let texts = &mut tables.texts;
        describe(process, executable, texts);
        process.script = script.map(|(path, interpreter)| Script {
            path: texts.intern(&String::from_utf8_lossy(path)),
            interpreter: Some(texts.intern(&String::from_utf8_lossy(interpreter))),
        });
    }

    /// Notes a fork; the child runs the image of its parent.
    fn forked(&mut self, child: ImageKey, parent: ImageKey, tables: &mut Tables, room: bool) -> ProcessRef {
        let reference = reference(parent.process);
        if self.parents.len() < self.max {
            self.parents.insert(child.process, reference);
        }
        let runs = self.known(parent, tables, room).and_then(|id| tables.processes.get(id)).cloned();
        let child_id = self.known(child, tables, room);
        if let (Some(runs), Some(process)) = (runs, child_id.and_then(|id| tables.processes.get_mut(id)))
            && process.name.is_none()
        {
            let Process { process: of, created, exec_count, .. } = bare(child, self.clock);
            *process = Process { process: of, created, exec_count, ..runs };
        }
        reference
    }

    fn name(&mut self, comm: Comm, texts: &mut Texts) -> Option<Id<str>> {
        if self.names.len() >= REMEMBERED {
            self.names.clear();
        }
        *self.names.entry(comm).or_insert_with(|| {
            let name = String::from_utf8_lossy(comm.as_bytes());
            (!name.is_empty()).then(|| texts.intern(&name))
        })
    }
}

/// A process as profiles refer to it.
pub(super) fn reference(key: ProcessKey) -> ProcessRef {
    ProcessRef { pid: key.pid.0, start: Start::Boot(key.start_time) }
}

fn identity(key: ImageKey, resolved: bool) -> ProcessIdentity {
    ProcessIdentity {
        process: Some(reference(key.process)),
        exec_count: key.exec_count.0,
        resolved,
        facts: Box::default(),
    }
}

/// A process of which only the key is known.
fn bare(key: ImageKey, clock: ClockOffset) -> Process {
    Process {
        process: Some(reference(key.process)),
        created: Some(clock.unix_from_boot(key.process.start_time)),
        exec_count: Some(key.exec_count.0),
        ..Process::default()
    }
}

fn unresolved(sample: &Sample, clock: ClockOffset, texts: &mut Texts) -> Process {
    let kernel = sample.running.is_kernel();
    let name = texts.intern(&sample.thread_name());
    let service = if kernel { texts.intern(Image::KERNEL_SERVICE) } else { name };
    let bare = bare(sample.key, clock);
    Process { name: Some(name), service: Some(service), kernel, unresolved: true, ..bare }
}

fn described(image: &Image, texts: &mut Texts) -> Process {
    let mut process = Process {
        process: Some(reference(image.key.process)),
        created: Some(image.created),
        exec_count: Some(image.key.exec_count.0),
        ..Process::default()
    };
    match &image.kind {
        ImageKind::Kernel(_) => {
            process.name = Some(texts.intern(&image.kind.name()));
            process.kernel = true;
        }
        ImageKind::User { executable, script, .. } => {
            describe(&mut process, executable, texts);
            process.script = script.as_ref().map(|script| Script {
                path: intern_path(&script.path, texts),
                interpreter: Some(intern_path(&script.interpreter, texts)),
            });
        }
    }
    process.service = Some(texts.intern(&image.service()));
    process.attributes = attributes(image, texts);
    process
}

/// The attributes of an image, apart from its service.
fn attributes(image: &Image, texts: &mut Texts) -> Box<[Attribute]> {
    let others = image.attributes.iter().filter(|attribute| attribute.key != names::SERVICE_NAME);
    let attribute = |attribute: &pdata::Attribute| {
        let key = texts.intern(&attribute.key);
        Attribute { key, value: attribute_value(&attribute.value, texts), unit: None }
    };
    others.map(attribute).collect()
}

/// The value of an attribute of an image.
pub(super) fn attribute_value(value: &AttributeValue, texts: &mut Texts) -> Value {
    match value {
        AttributeValue::Text(text) => Value::Text(texts.intern(text)),
        AttributeValue::Int(number) => Value::Int(*number),
        AttributeValue::Bool(truth) => Value::Bool(*truth),
        AttributeValue::Texts(several) => Value::Text(texts.intern(&several.join(","))),
    }
}

/// Describes a process by the file that it runs.
fn describe(process: &mut Process, executable: &Executable, texts: &mut Texts) {
    let path = &executable.path;
    let name = texts.intern(&path.file_name().unwrap_or(path.as_os_str()).to_string_lossy());
    process.name = Some(name);
    process.service = Some(name);
    process.path = Some(intern_path(path, texts));
    process.own_path = executable.own_path.as_ref().map(|path| intern_path(path, texts));
    process.file = executable.state;
    process.path_truncated = executable.truncated;
}

fn intern_path(path: &Path, texts: &mut Texts) -> Id<str> {
    texts.intern(&path.to_string_lossy())
}
