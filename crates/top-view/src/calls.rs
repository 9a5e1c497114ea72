//! The calls of a window, added up to one tree.

use std::cmp::Reverse;
use std::collections::HashMap;

use profile_seconds::CallKind;
use terminal::FunctionId;

use crate::history::History;
use crate::minute::HeldCall;

/// A function's own time, and its total with all callees, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) own: u64,
    pub(crate) total: u64,
}

/// The calls of a window, added up to one tree. Number 0 is the root, which stands for all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    calls: Vec<HeldCall>,
    total: u64,
}

impl Calls {
    pub(crate) const ROOT: usize = 0;

    /// The calls of the last seconds.
    pub(crate) fn of(history: &History, seconds: u64) -> Self {
        let mut calls = Self::default();
        let mut numbers = HashMap::<(u32, FunctionId), u32>::new();
        for second in history.window(seconds) {
            calls.total = calls.total.saturating_add(second.cpu);
            // Numbers in this tree, by the second's own numbers; a caller comes before its callees.
            let mut places = vec![0_u32];
            for call in &second.calls {
                let parent = at(&places, call.parent).copied().unwrap_or_default();
                let next = u32::try_from(calls.calls.len() + 1).unwrap_or(u32::MAX);
                let list = &mut calls.calls;
                let number = *numbers.entry((parent, call.function)).or_insert_with(|| {
                    list.push(HeldCall { parent, total: 0, ..*call });
                    next
                });
                let held =
                    usize::try_from(number).ok().and_then(|number| list.get_mut(number.checked_sub(1)?));
                if let Some(held) = held {
                    held.total = held.total.saturating_add(call.total);
                }
                places.push(number);
            }
        }
        calls
    }

    /// A call; `None` for the root.
    pub(crate) fn get(&self, number: usize) -> Option<&HeldCall> {
        self.calls.get(number.checked_sub(1)?)
    }

    /// Nanoseconds of a call; for the root, of all calls.
    pub(crate) fn total(&self, number: usize) -> u64 {
        self.get(number).map_or(self.total, |call| call.total)
    }

    /// The caller of a call.
    pub(crate) fn parent(&self, number: usize) -> usize {
        self.get(number).and_then(|call| usize::try_from(call.parent).ok()).unwrap_or(Self::ROOT)
    }

    /// The callees of each call by its number, the most expensive first.
    pub(crate) fn children(&self) -> Vec<Vec<usize>> {
        let mut children = vec![Vec::new(); self.calls.len() + 1];
        for number in 1..=self.calls.len() {
            if let Some(of) = children.get_mut(self.parent(number)) {
                of.push(number);
            }
        }
        for of in &mut children {
            let function = |number: usize| self.get(number).map(|call| call.function);
            of.sort_by_key(|&number| (Reverse(self.total(number)), function(number)));
        }
        children
    }

    /// The time of each executable; executables are the first level of the tree.
    pub(crate) fn executables(&self) -> HashMap<FunctionId, Time> {
        let first = self.calls.iter().filter(|call| call.parent == 0);
        first.map(|call| (call.function, Time { own: call.total, total: call.total })).collect()
    }

    /// The time of each function, or of those of one executable if `within` names it. A function's recursive calls
    /// count once.
    pub(crate) fn functions(&self, within: Option<FunctionId>) -> HashMap<FunctionId, Time> {
        let wanted = wanted(&self.calls, within);
        let mut below = vec![0_u64; self.calls.len() + 1];
        for call in &self.calls {
            if let Some(sum) = usize::try_from(call.parent).ok().and_then(|parent| below.get_mut(parent)) {
                *sum = sum.saturating_add(call.total);
            }
        }
        let mut functions = HashMap::<FunctionId, Time>::new();
        for (number, call) in (1..).zip(&self.calls) {
            if call.kind == CallKind::Executable || wanted.get(number) != Some(&true) {
                continue;
            }
            let time = functions.entry(call.function).or_default();
            let own = call.total.saturating_sub(below.get(number).copied().unwrap_or_default());
            time.own = time.own.saturating_add(own);
            let mut above = std::iter::successors(Some(self.parent(number)), |&at| {
                (at != Self::ROOT).then(|| self.parent(at))
            });
            if !above.any(|at| self.get(at).is_some_and(|above| above.function == call.function)) {
                time.total = time.total.saturating_add(call.total);
            }
        }
        functions
    }
}

/// For each call by its number, true if it belongs to the executable; true for all if there is none.
pub(crate) fn wanted(calls: &[HeldCall], within: Option<FunctionId>) -> Vec<bool> {
    let mut wanted = vec![within.is_none(); calls.len() + 1];
    for (number, call) in (1..).zip(calls) {
        let parent = usize::try_from(call.parent).ok().filter(|&parent| parent > 0);
        let is_wanted = match parent {
            None => within.is_none_or(|executable| executable == call.function),
            Some(parent) => wanted.get(parent).copied().unwrap_or_default(),
        };
        if let Some(slot) = wanted.get_mut(number) {
            *slot = is_wanted;
        }
    }
    wanted
}

fn at(places: &[u32], number: u32) -> Option<&u32> {
    usize::try_from(number).ok().and_then(|number| places.get(number))
}
