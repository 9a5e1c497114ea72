//! A kernel of a few processes: makes events, and knows the attributes that each sample must get.

use std::path::Path;
use std::time::Duration;

use pdata::{
    BootTime, Comm, Event, ExecCount, Executable, Image, ImageKey, KTime, Measure, Pid, ProcessEvent,
    ProcessKey, ProcessTransition, Relatives, Running, Sample, Tid,
};
use proptest::prelude::*;

/// Number of pids: few, so that they are used again all the time.
const PIDS: u32 = 4;

/// The next event in the world; a number chooses the process among those that there are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    /// A process that was there before the agent is found by the snapshot.
    Start,
    Fork(usize),
    /// A process execs, with or without a sample inside `execve`.
    Exec(usize, bool),
    Sample(usize),
    Exit(usize),
    Free(usize),
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let process = 0..16_usize;
    prop_oneof![
        1 => Just(Op::Start),
        4 => process.clone().prop_map(Op::Fork),
        3 => (process.clone(), any::<bool>()).prop_map(|(p, sampled)| Op::Exec(p, sampled)),
        8 => process.clone().prop_map(Op::Sample),
        3 => process.clone().prop_map(Op::Exit),
        3 => process.prop_map(Op::Free),
    ]
}

/// The facts that a sample must get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Truth {
    pub(super) executable: String,
    /// Each parent, nearest first, and the executable that it ran when it forked.
    pub(super) parents: Vec<(ProcessKey, String)>,
}

/// An event and, for a sample, its truth.
#[derive(Clone, Debug)]
pub(super) struct Delivered {
    pub(super) event: Event,
    pub(super) truth: Option<Truth>,
}

#[derive(Clone, Debug)]
struct Process {
    image: ImageKey,
    executable: String,
    exited: bool,
    parents: Vec<(ProcessKey, String)>,
}

impl Process {
    fn relatives(&self) -> Relatives {
        let parent = self.parents.first().map(|(process, _)| *process).unwrap_or_default();
        Relatives { parent, ..Relatives::default() }
    }
}

/// The processes, and all events so far.
#[derive(Debug, Default)]
pub(super) struct World {
    now: u64,
    names: u64,
    processes: Vec<Process>,
    pub(super) delivered: Vec<Delivered>,
}

impl World {
    /// Stamp of the next event.
    pub(super) fn next_stamp(&self) -> KTime {
        KTime::from_nanos(self.now + 1)
    }

    /// Processes that the kernel has not let go of, and of them those that have exited.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.processes.len(), self.processes.iter().filter(|process| process.exited).count())
    }

    pub(super) fn apply(&mut self, op: Op) {
        match op {
            Op::Start => self.start(),
            Op::Fork(chosen) => self.fork(chosen),
            Op::Exec(chosen, sampled) => self.exec(chosen, sampled),
            Op::Sample(chosen) => {
                if let Some(index) = self.choose(chosen, false).or_else(|| self.choose(chosen, true)) {
                    self.sample(index, false);
                }
            }
            Op::Exit(chosen) => {
                if let Some(index) = self.choose(chosen, false) {
                    self.processes[index].exited = true;
                    self.process_event(index, ProcessTransition::Exit);
                    // Exiting is work too.
                    self.sample(index, false);
                }
            }
            Op::Free(chosen) => {
                if let Some(index) = self.choose(chosen, true) {
                    self.process_event(index, ProcessTransition::Freed);
                    self.processes.remove(index);
                }
            }
        }
    }

    /// Ends every process.
    pub(super) fn end(&mut self) {
        while !self.processes.is_empty() {
            self.apply(Op::Exit(0));
            self.apply(Op::Free(0));
        }
    }

    fn choose(&self, chosen: usize, exited: bool) -> Option<usize> {
        let fitting: Vec<usize> =
            (0..self.processes.len()).filter(|&index| self.processes[index].exited == exited).collect();
        (!fitting.is_empty()).then(|| fitting[chosen % fitting.len()])
    }

    fn tick(&mut self) -> KTime {
        self.now += 1;
        KTime::from_nanos(self.now)
    }

    fn name(&mut self, what: &str) -> String {
        self.names += 1;
        format!("/{what}/{}", self.names)
    }

    fn tell(&mut self, event: Event) {
        self.delivered.push(Delivered { event, truth: None });
    }

    fn process_event(&mut self, index: usize, transition: ProcessTransition) {
        let (at, image) = (self.tick(), self.processes[index].image);
        self.tell(Event::Process(ProcessEvent { at, image, transition }));
    }

    fn free_pid(&self) -> Option<Pid> {
        let taken = |pid| self.processes.iter().any(|process| process.image.process.pid == pid);
        (1..=PIDS).map(Pid).find(|&pid| !taken(pid))
    }

    fn start(&mut self) {
        let Some(pid) = self.free_pid() else { return };
        let start_time = BootTime::from_nanos(self.now);
        let image = ImageKey { process: ProcessKey { pid, start_time }, exec_count: ExecCount(7) };
        let executable = self.name("bin");
        self.processes.push(Process { image, executable, exited: false, parents: Vec::new() });
        self.seen(self.processes.len() - 1);
    }

    fn seen(&mut self, index: usize) {
        let process = &self.processes[index];
        let (executable, relatives) = (Some(Box::new(executable(&process.executable))), process.relatives());
        self.process_event(index, ProcessTransition::Seen { executable, comm: Comm::default(), relatives });
    }

    fn fork(&mut self, chosen: usize) {
        let (Some(parent), Some(pid)) = (self.choose(chosen, false), self.free_pid()) else { return };
        let mut child = self.processes[parent].clone();
        child.image.process = ProcessKey { pid, start_time: BootTime::from_nanos(self.now) };
        let parent = &self.processes[parent];
        child.parents.insert(0, (parent.image.process, parent.executable.clone()));
        child.parents.truncate(Image::MAX_PARENTS);
        let (parent, relatives) = (parent.image, child.relatives());
        self.processes.push(child);
        self.process_event(self.processes.len() - 1, ProcessTransition::Fork { parent, relatives });
    }

    /// Execs in the kernel's order: the count rises, and the exec's own record comes last.
    fn exec(&mut self, chosen: usize, sampled: bool) {
        let Some(index) = self.choose(chosen, false) else { return };
        let name = self.name("bin");
        let process = &mut self.processes[index];
        process.image.exec_count.0 += 1;
        process.executable = name;
        if sampled {
            self.seen(index);
            self.sample(index, true);
        }
        let process = &self.processes[index];
        let exec = ProcessTransition::Exec {
            executable: Box::new(executable(&process.executable)),
            comm: Comm::default(),
            filename: Box::default(),
            interpreter: None,
            environment: None,
            arguments: Box::default(),
            relatives: process.relatives(),
        };
        self.process_event(index, exec);
    }

    fn sample(&mut self, index: usize, in_execve: bool) {
        let at = self.tick();
        let process = &self.processes[index];
        let sample = Sample {
            measure: Measure::OnCpu { period: Duration::from_millis(10) },
            at,
            key: process.image,
            tid: Tid(process.image.process.pid.0),
            running: if in_execve { Running::Execve } else { Running::Program },
            ..Sample::default()
        };
        let truth = Truth { executable: process.executable.clone(), parents: process.parents.clone() };
        self.delivered.push(Delivered { event: Event::Sample(sample), truth: Some(truth) });
    }
}

pub(crate) fn executable(path: &str) -> Executable {
    Executable { device: 1, inode: 1, mount_namespace: 1, ..Executable::at(Path::new(path)) }
}
