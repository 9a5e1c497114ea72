//! Counts of samples by function and by executable.

use std::collections::HashMap;
use std::time::Duration;

use pdata::{Loss, Measure, Sample};
use windows::{Gather, Losses};

use crate::names::{NameId, Names};
use crate::symbols::{executable, symbols};

/// A function of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionId {
    /// The function's name.
    pub name: NameId,
    /// The file that holds the function's code.
    pub module: NameId,
}

/// Counts of a function's samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Number of samples whose leaf is the function.
    pub own: u64,
    /// Number of samples that have the function on their stack, however often.
    pub total: u64,
}

/// Counts of samples of CPU time by function and by executable. Samples of time off the CPU are left out.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub(crate) names: Names,
    pub(crate) functions: HashMap<FunctionId, Share>,
    pub(crate) executables: HashMap<NameId, u64>,
    pub(crate) samples: u64,
    /// CPU time that the samples stand for.
    pub(crate) cpu: Duration,
    /// Number of samples whose stack is cut short.
    pub(crate) truncated: u64,
    /// Number of samples whose leaf has no name.
    pub(crate) unnamed: u64,
    pub(crate) losses: Losses,
    /// Buffer for the functions of one stack, kept so that its memory is used again.
    stack: Vec<FunctionId>,
}

impl Tally {
    /// The number of counted samples.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The functions with their counts, those with the most samples of their own first.
    pub(crate) fn ranked_functions(&self) -> Vec<(FunctionId, Share)> {
        let mut functions: Vec<_> = self.functions.iter().map(|(&id, &share)| (id, share)).collect();
        let text = |id: FunctionId| (self.names.text(id.name), self.names.text(id.module));
        functions.sort_by(|(a, left), (b, right)| {
            let by_samples = (right.own, right.total).cmp(&(left.own, left.total));
            by_samples.then_with(|| text(*a).cmp(&text(*b)))
        });
        functions
    }

    /// The executables with their counts, those with the most samples first.
    pub(crate) fn ranked_executables(&self) -> Vec<(&str, u64)> {
        let mut executables: Vec<_> =
            self.executables.iter().map(|(&id, &samples)| (self.names.text(id), samples)).collect();
        executables.sort_by(|(a, left), (b, right)| right.cmp(left).then_with(|| a.cmp(b)));
        executables
    }
}

impl Gather for Tally {
    fn sample(&mut self, sample: &Sample) {
        let Measure::OnCpu { period } = sample.measure else { return };
        self.samples += 1;
        self.cpu = self.cpu.saturating_add(period);
        self.truncated += u64::from(sample.stack.end.cut().is_some());
        *self.executables.entry(self.names.id(&executable(sample))).or_default() += 1;
        let mut stack = std::mem::take(&mut self.stack);
        stack.clear();
        let mut is_named = false;
        for (index, symbol) in sample.stack.frames.iter().flat_map(symbols).enumerate() {
            is_named |= index == 0 && symbol.is_named;
            let (name, module) = (self.names.id(symbol.name), self.names.id(&symbol.module));
            stack.push(FunctionId { name, module });
        }
        self.unnamed += u64::from(!is_named);
        if let Some(leaf) = stack.first() {
            self.functions.entry(*leaf).or_default().own += 1;
        }
        stack.sort_unstable();
        stack.dedup();
        for function in &stack {
            self.functions.entry(*function).or_default().total += 1;
        }
        self.stack = stack;
    }

    fn loss(&mut self, loss: &Loss) {
        self.losses.add(loss);
    }
}
