//! Callers and callees of a second while it is gathered.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::second::{Call, CallKind};

/// Calls below a root, each after its caller, and an index of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallTree {
    calls: Vec<Call>,
    /// The number of each call, by caller, name and module.
    places: HashMap<(u32, u32, u32), u32>,
}

impl CallTree {
    /// Adds `nanos` to each call of a stack of names, modules and kinds, the outermost first.
    pub(crate) fn add(&mut self, stack: impl IntoIterator<Item = (u32, u32, CallKind)>, nanos: u64) {
        let mut parent = 0;
        for (name, module, kind) in stack {
            parent = self.child(Call { parent, name, module, kind, total: 0 });
            let call =
                usize::try_from(parent).ok().and_then(|place| self.calls.get_mut(place.checked_sub(1)?));
            if let Some(call) = call {
                call.total = call.total.saturating_add(nanos);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(crate) fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Keeps the `most` calls that take the most time. The time of the others counts for their callers.
    ///
    /// A call takes no more time than its caller and comes after it, so no call is kept without its caller.
    pub(crate) fn prune(&mut self, most: usize) {
        if self.calls.len() <= most {
            return;
        }
        let mut order: Vec<usize> = (0..self.calls.len()).collect();
        order.sort_by_key(|&place| (Reverse(self.calls.get(place).map(|call| call.total)), place));
        let mut kept = vec![false; self.calls.len()];
        for place in order.into_iter().take(most) {
            if let Some(kept) = kept.get_mut(place) {
                *kept = true;
            }
        }
        let old = std::mem::take(self);
        // New numbers by the old number plus one.
        let mut numbers = vec![0; old.calls.len() + 1];
        for (place, call) in old.calls.iter().enumerate().filter(|(place, _)| kept.get(*place) == Some(&true))
        {
            let parent = usize::try_from(call.parent).ok().and_then(|parent| numbers.get(parent));
            let number = self.child(Call { parent: parent.copied().unwrap_or_default(), ..*call });
            if let Some(slot) = numbers.get_mut(place + 1) {
                *slot = number;
            }
        }
    }

    /// Replaces the names of each call by those that `place` returns for them.
    pub(crate) fn rename(&mut self, mut place: impl FnMut(u32) -> u32) {
        let renamed = std::mem::take(&mut self.calls).into_iter();
        let calls: Vec<_> =
            renamed.map(|call| Call { name: place(call.name), module: place(call.module), ..call }).collect();
        self.places.clear();
        for (number, call) in (1..).zip(&calls) {
            self.places.insert((call.parent, call.name, call.module), number);
        }
        self.calls = calls;
    }

    /// The number (position plus one) of a call like this, which is added if it is new.
    fn child(&mut self, call: Call) -> u32 {
        let next = u32::try_from(self.calls.len() + 1).unwrap_or(u32::MAX);
        let calls = &mut self.calls;
        *self.places.entry((call.parent, call.name, call.module)).or_insert_with(|| {
            calls.push(call);
            next
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tree(stacks: &[(Vec<u32>, u64)]) -> CallTree {
        let mut tree = CallTree::default();
        for (stack, nanos) in stacks {
            tree.add(stack.iter().map(|&name| (name, 0, CallKind::User)), *nanos);
        }
        tree
    }

    proptest! {
        /// A pruned tree is a tree: callers come first, and totals are as they were.
        #[test]
        fn what_is_left_is_the_most_expensive_and_a_tree(
            stacks in prop::collection::vec((prop::collection::vec(0_u32..4, 1..6), 0_u64..9), 1..30),
            most in 1_usize..40,
        ) {
            let whole = tree(&stacks);
            let mut pruned = whole.clone();
            pruned.prune(most);
            prop_assert_eq!(pruned.len(), whole.len().min(most));
            let way = |tree: &CallTree, place: usize| {
                let mut way = Vec::new();
                let mut at = place + 1;
                while let Some(call) = at.checked_sub(1).map(|place| tree.calls[place]) {
                    way.push(call.name);
                    prop_assert!((call.parent as usize) < at);
                    at = call.parent as usize;
                }
                Ok(way)
            };
            let mut all = std::collections::HashMap::new();
            for place in 0..whole.len() {
                all.insert(way(&whole, place)?, whole.calls[place].total);
            }
            let mut left = Vec::new();
            for place in 0..pruned.len() {
                let total = pruned.calls[place].total;
                prop_assert_eq!(all.remove(&way(&pruned, place)?), Some(total));
                left.push(total);
            }
            let least = left.into_iter().min().unwrap_or_default();
            prop_assert!(all.values().all(|&total| total <= least));
        }
    }
}
