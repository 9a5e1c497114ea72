//! A second while it is gathered.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use pdata::{Code, Image, ImageKind, Loss, LossReason, Measure, Parent, ProcessKey, Sample};
use terminal::{executable, symbols};

use crate::call_tree::CallTree;
use crate::losses::LostRecords;
use crate::names::Names;
use crate::second::{CallKind, MAX_CALLS, MAX_NAMES, MAX_PROCESSES, ProcessId, ProcessUse, Second};

/// A second may gather this many times its bound before the smallest entries are put together.
const SLACK: usize = 8;

/// A second while it is gathered.
///
/// Users can make any number of stacks, names and processes, so memory is bounded: at the bound, the entries with the
/// least CPU time are put together with their callers or parents.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gathering {
    pub(crate) number: u64,
    samples: u64,
    cpu: u64,
    names: Names,
    calls: CallTree,
    processes: HashMap<ProcessId, ProcessUse>,
    lost: BTreeMap<LossReason, u64>,
    /// Buffer for one stack, kept so that its memory is used again.
    stack: Vec<(u32, u32, CallKind)>,
}

/// The identity of a process as messages have it.
pub(crate) fn id(process: ProcessKey) -> ProcessId {
    ProcessId { pid: process.pid.0, start: process.start_time.as_nanos() }
}

impl Gathering {
    /// A second that takes over the losses of the second before it, `cut`, of which no summary is made.
    pub(crate) fn behind(cut: Option<Self>, number: u64) -> Self {
        Self { number, lost: cut.map(|cut| cut.lost).unwrap_or_default(), ..Self::default() }
    }

    /// The records that were lost, by reason.
    pub(crate) fn losses(&self) -> Vec<LostRecords> {
        let lost =
            self.lost.iter().map(|(reason, &count)| (reason.as_str().into(), reason.is_sample(), count));
        lost.collect()
    }

    /// Adds a sample of CPU time; a sample of another measure is left out.
    pub(crate) fn sample(&mut self, sample: &Sample) {
        let Measure::OnCpu { period } = sample.measure else { return };
        let nanos = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        self.samples += 1;
        self.cpu = self.cpu.saturating_add(nanos);
        let mut stack = std::mem::take(&mut self.stack);
        stack.clear();
        stack.push((self.names.place(&executable(sample)), 0, CallKind::Executable));
        // The outermost frame first; within a frame, the function that others were inlined into.
        for frame in sample.stack.frames.iter().rev() {
            let kind = kind(&frame.code);
            for symbol in symbols(frame).rev() {
                stack.push((self.names.place(symbol.name), self.names.place(&symbol.module), kind));
            }
        }
        self.calls.add(stack.iter().copied(), nanos);
        self.stack = stack;
        self.process(sample, nanos);
        self.bound();
    }

    pub(crate) fn loss(&mut self, loss: &Loss) {
        let lost = self.lost.entry(loss.reason).or_default();
        *lost = lost.saturating_add(loss.count);
    }

    /// Notes the end of a process that has been sampled of late.
    pub(crate) fn gone(&mut self, process: ProcessKey) {
        let process = id(process);
        self.processes.entry(process).or_insert(ProcessUse { process, ..ProcessUse::default() }).gone = true;
        self.bound();
    }

    /// The gathered second, pruned to its bounds.
    pub(crate) fn finish(mut self) -> Second {
        self.calls.prune(MAX_CALLS);
        self.prune_processes(MAX_PROCESSES);
        self.prune_names();
        let lost = self.losses();
        let mut processes: Vec<_> = self.processes.into_values().collect();
        processes.sort_by_key(|process| process.process);
        Second {
            number: self.number,
            samples: self.samples,
            cpu: self.cpu,
            calls: self.calls.calls().to_vec(),
            processes,
            lost,
            names: self.names.into_texts(),
        }
    }

    fn process(&mut self, sample: &Sample, nanos: u64) {
        let (name, parents) = match sample.image.as_deref() {
            Some(Image { kind, parents, .. }) => (self.names.place(&kind.name()), &**parents),
            None => (self.names.place(&sample.unresolved_name()), &[][..]),
        };
        let process = id(sample.key.process);
        let parent = parents.first().map(|parent| id(parent.process)).filter(|&parent| parent != process);
        let known = self.processes.entry(process).or_insert(ProcessUse { process, ..ProcessUse::default() });
        (known.name, known.parent) = (name, parent.or(known.parent));
        known.cpu = known.cpu.saturating_add(nanos);
        self.ancestors(parents);
    }

    fn ancestors(&mut self, parents: &[Parent]) {
        for (place, ancestor) in parents.iter().enumerate() {
            let process = id(ancestor.process);
            if self.processes.get(&process).is_some_and(|known| known.name != 0 && known.parent.is_some()) {
                // The ancestors above it are then known, too.
                return;
            }
            let name = ancestor.kind.as_ref().map_or(0, |kind| self.names.place(&ImageKind::name(kind)));
            let parent = parents.get(place + 1).map(|parent| id(parent.process));
            let parent = parent.filter(|&parent| parent != process);
            let known =
                self.processes.entry(process).or_insert(ProcessUse { process, ..ProcessUse::default() });
            known.name = if known.name == 0 { name } else { known.name };
            known.parent = known.parent.or(parent);
        }
    }

    fn bound(&mut self) {
        if self.calls.len() > SLACK * MAX_CALLS {
            self.calls.prune(SLACK * MAX_CALLS / 2);
        }
        if self.processes.len() > SLACK * MAX_PROCESSES {
            self.prune_processes(SLACK * MAX_PROCESSES / 2);
        }
        if self.names.len() > SLACK * MAX_NAMES {
            self.calls.prune(SLACK * MAX_CALLS / 2);
            self.prune_processes(SLACK * MAX_PROCESSES / 2);
            self.prune_names();
        }
    }

    /// Keeps the `most` processes that took the most CPU time. The time of the others is missing from the processes,
    /// but not from the calls.
    fn prune_processes(&mut self, most: usize) {
        if self.processes.len() <= most {
            return;
        }
        let mut processes: Vec<_> = self.processes.values().copied().collect();
        processes.sort_by_key(|process| (Reverse(process.cpu), process.process));
        processes.truncate(most);
        self.processes = processes.into_iter().map(|process| (process.process, process)).collect();
    }

    /// Keeps the names that are still used.
    fn prune_names(&mut self) {
        let old = std::mem::take(&mut self.names);
        let names = &mut self.names;
        self.calls.rename(|place| names.place(old.text(place)));
        for process in self.processes.values_mut() {
            process.name = names.place(old.text(process.name));
        }
    }
}

fn kind(code: &Code) -> CallKind {
    if code.is_kernel() { CallKind::Kernel } else { CallKind::User }
}
