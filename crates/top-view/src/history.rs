//! The seconds of the last minute.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use profile_seconds::{AgentUse, Call, ProcessUse, Report, Second, StageUse};
use terminal::{FunctionId, NameId, Names};

use crate::minute::{HeldCall, HeldSecond, SECONDS};
use crate::processes::{Process, Processes};

/// Most names before those that the minute no longer has are forgotten.
const MANY_NAMES: usize = 1 << 16;
/// Most reasons of loss.
const MOST_REASONS: usize = 64;

/// The use of the CPUs in the last minute, second by second.
///
/// Memory is bounded for any sender of seconds: a minute of them, each of which is bounded, and their names.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub(crate) names: Names,
    /// Seconds, the oldest first; a second without a report is missing.
    seconds: VecDeque<Arc<HeldSecond>>,
    pub(crate) processes: Processes,
    pub(crate) cpus: u32,
    pub(crate) lag_ms: u64,
    pub(crate) agent: AgentUse,
    pub(crate) stages: Vec<StageUse>,
    /// Records lost since the first second, by reason: whether the records were samples, and their number.
    pub(crate) lost: BTreeMap<Box<str>, (bool, u64)>,
    /// Number of seconds since the first that were not sent.
    pub(crate) skipped: u64,
}

impl History {
    /// Adds a report, which `Message::read` has checked or this program has made.
    pub fn take(&mut self, report: Report) {
        let Report { second, cpus, lag_ms, agent, stages, skipped } = report;
        if self.seconds.back().is_some_and(|last| last.number >= second.number) {
            // The report comes from another agent that was started later on the same machine, whose clock is the same.
            self.seconds.clear();
        }
        (self.cpus, self.lag_ms, self.agent) = (cpus, lag_ms, agent);
        self.second(&second, &stages, skipped);
        self.skipped = self.skipped.saturating_add(skipped);
        self.stages = stages;
        let oldest = second.number.saturating_sub(SECONDS - 1);
        while self.seconds.front().is_some_and(|first| first.number < oldest) {
            self.seconds.pop_front();
        }
        self.processes.forget(oldest);
        for (reason, is_sample, count) in second.lost {
            if self.lost.len() < MOST_REASONS || self.lost.contains_key(&reason) {
                let lost = self.lost.entry(reason).or_insert((is_sample, 0));
                lost.1 = lost.1.saturating_add(count);
            }
        }
    }

    /// True before the first second has come.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seconds.is_empty()
    }

    /// Number of seconds from the first that is held to the last, including those without a report.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        let first = self.seconds.front().map(|first| first.number);
        first.map_or(0, |first| self.end().saturating_sub(first))
    }

    /// Number of seconds of a window that were not sent.
    pub(crate) fn unheard(&self, seconds: u64) -> u64 {
        let from = self.end().saturating_sub(seconds);
        let skipped = |second: &HeldSecond| second.skipped.min(second.number.saturating_sub(from));
        self.window(seconds).map(skipped).fold(0, u64::saturating_add)
    }

    /// Number of samples lost since the first second.
    pub(crate) fn lost_samples(&self) -> u64 {
        let samples = self.lost.values().filter(|(is_sample, _)| *is_sample);
        samples.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// The seconds of a window that ends with the last one.
    pub(crate) fn window(&self, seconds: u64) -> impl Iterator<Item = &HeldSecond> {
        let from = self.end().saturating_sub(seconds);
        self.seconds.iter().map(|second| &**second).filter(move |second| second.number >= from)
    }

    /// A value of each of the last seconds, the oldest first; zero for a second without a report.
    pub(crate) fn series(&self, seconds: u64, value: impl Fn(&HeldSecond) -> u64) -> Vec<u64> {
        let values: HashMap<_, _> =
            self.window(seconds).map(|second| (second.number, value(second))).collect();
        let numbers = self.end().saturating_sub(seconds)..self.end();
        numbers.map(|number| values.get(&number).copied().unwrap_or_default()).collect()
    }

    /// The number of the second after the last one.
    fn end(&self) -> u64 {
        self.seconds.back().map_or(0, |last| last.number.saturating_add(1))
    }

    fn second(&mut self, second: &Second, stages: &[StageUse], skipped: u64) {
        if self.names.len() > MANY_NAMES {
            self.forget_names();
        }
        let names: Vec<_> = second.names.iter().map(|name| self.names.id(name)).collect();
        let name = |place: u32| {
            usize::try_from(place).ok().and_then(|place| names.get(place)).copied().unwrap_or(NameId::OTHER)
        };
        let call = |&Call { parent, name: function, module, kind, total }: &Call| {
            let function = FunctionId { name: name(function), module: name(module) };
            HeldCall { parent, function, kind, total }
        };
        for &ProcessUse { process, parent, name: place, gone, .. } in &second.processes {
            let name = (!second.name(place).is_empty()).then(|| name(place));
            self.processes.saw(process, Process::seen(parent, name, gone), second.number);
        }
        let ran = second.processes.iter().filter(|process| process.cpu > 0);
        self.seconds.push_back(Arc::new(HeldSecond {
            number: second.number,
            skipped,
            samples: second.samples,
            cpu: second.cpu,
            calls: second.calls.iter().map(call).collect(),
            processes: ran.map(|process| (process.process, process.cpu)).collect(),
            stages: stages
                .iter()
                .map(|stage| (format!("{} {}", stage.kind, stage.id), stage.samples))
                .collect(),
        }));
    }

    /// Forgets the names that are no longer used; the others get new numbers.
    fn forget_names(&mut self) {
        let old = std::mem::take(&mut self.names);
        let names = &mut self.names;
        let mut renamed = |id: NameId| names.id(old.text(id));
        for second in &mut self.seconds {
            for call in &mut Arc::make_mut(second).calls {
                let FunctionId { name, module } = call.function;
                call.function = FunctionId { name: renamed(name), module: renamed(module) };
            }
        }
        self.processes.names_mut().for_each(|name| *name = renamed(*name));
    }
}
