//! Who calls whom, and what it takes.

use std::collections::HashMap;

use crate::tally::FunctionId;

/// Most places in a tree: what comes later counts for its caller.
const MOST: usize = 1 << 16;

/// A function as called on one way from the root. Numbers of calls are those of [`Calls`].
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) function: FunctionId,
    /// True for code of the kernel.
    pub(super) kernel: bool,
    pub(super) parent: usize,
    /// Nanoseconds in it and in what it called.
    pub(super) total: u64,
}

/// A tree of calls. Number 0 is the root, which stands for everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    numbers: HashMap<(usize, FunctionId), usize>,
    total: u64,
}

impl Calls {
    /// The number of the root.
    pub(super) const ROOT: usize = 0;

    /// Adds a stack, the outermost function first.
    pub(super) fn add(&mut self, stack: impl Iterator<Item = (FunctionId, bool)>, nanos: u64) {
        self.total = self.total.saturating_add(nanos);
        let mut place = Self::ROOT;
        for (function, kernel) in stack {
            let Some(next) = self.child(place, function, kernel) else { return };
            place = next;
            self.grow(place, nanos);
        }
    }

    /// Adds all of another tree.
    pub(super) fn merge(&mut self, other: &Self) {
        self.total = self.total.saturating_add(other.total);
        // A parent has a lower number than its children.
        let mut places = vec![Some(Self::ROOT)];
        for call in &other.calls {
            let parent = places.get(call.parent).copied().flatten();
            let place = parent.and_then(|parent| self.child(parent, call.function, call.kernel));
            if let Some(place) = place {
                self.grow(place, call.total);
            }
            places.push(place);
        }
    }

    /// Nanoseconds of a call; of the root, all.
    pub(super) fn total(&self, number: usize) -> u64 {
        self.get(number).map_or(self.total, |call| call.total)
    }

    /// A call; `None` for the root.
    pub(super) fn get(&self, number: usize) -> Option<&Call> {
        self.calls.get(number.checked_sub(1)?)
    }

    /// The calls that each makes, the most expensive first, by its number.
    pub(super) fn children(&self) -> Vec<Vec<usize>> {
        let mut children = vec![Vec::new(); self.calls.len() + 1];
        for (index, call) in self.calls.iter().enumerate() {
            if let Some(of) = children.get_mut(call.parent) {
                of.push(index + 1);
            }
        }
        for of in &mut children {
            let function = |number: usize| self.get(number).map(|call| call.function);
            of.sort_by_key(|&number| (std::cmp::Reverse(self.total(number)), function(number)));
        }
        children
    }

    fn child(&mut self, parent: usize, function: FunctionId, kernel: bool) -> Option<usize> {
        if let Some(&number) = self.numbers.get(&(parent, function)) {
            return Some(number);
        }
        if self.calls.len() >= MOST {
            return None;
        }
        self.calls.push(Call { function, kernel, parent, total: 0 });
        self.numbers.insert((parent, function), self.calls.len());
        Some(self.calls.len())
    }

    fn grow(&mut self, number: usize, nanos: u64) {
        if let Some(call) = number.checked_sub(1).and_then(|index| self.calls.get_mut(index)) {
            call.total = call.total.saturating_add(nanos);
        }
    }
}
