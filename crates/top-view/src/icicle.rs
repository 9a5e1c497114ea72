//! The icicle: calls, each below its caller and as wide as its time. Steps from one call to another.

use terminal::FunctionId;

use crate::calls::Calls;
use crate::history::History;

/// A step to another call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The step to the caller.
    Out,
    /// The step to the most expensive callee.
    In,
    /// The step to the previous callee of the same caller.
    Before,
    /// The step to the next callee of the same caller.
    After,
}

/// The call at the end of a path from the root, or at the end of that part of the path which exists.
pub(crate) fn find(calls: &Calls, children: &[Vec<usize>], way: &[FunctionId]) -> usize {
    let mut place = Calls::ROOT;
    for function in way {
        let mut of = children.get(place).into_iter().flatten();
        let next = of.find(|&&call| calls.get(call).is_some_and(|call| call.function == *function));
        let Some(&next) = next else { return place };
        place = next;
    }
    place
}

/// The path from the root to a call.
fn way(calls: &Calls, mut place: usize) -> Vec<FunctionId> {
    let mut way = Vec::new();
    while let Some(call) = calls.get(place) {
        way.push(call.function);
        place = calls.parent(place);
    }
    way.reverse();
    way
}

/// The path to the call that a step leads to, within the shown part; `None` if there is no such call.
pub(crate) fn walk(
    history: &History,
    seconds: u64,
    zoom: &[FunctionId],
    chosen: &[FunctionId],
    step: Step,
) -> Option<Vec<FunctionId>> {
    let calls = Calls::of(history, seconds);
    let children = calls.children();
    let (top, place) = (find(&calls, &children, zoom), find(&calls, &children, chosen));
    let siblings = if place == Calls::ROOT { None } else { children.get(calls.parent(place)) };
    let index = siblings.and_then(|siblings| siblings.iter().position(|&call| call == place));
    let neighbour = |index: Option<usize>| siblings?.get(index?).copied();
    let next = match step {
        Step::In => children.get(place).and_then(|of| of.first()).copied(),
        Step::Out => Some(calls.parent(place)),
        Step::Before => neighbour(index.and_then(|index| index.checked_sub(1))),
        Step::After => neighbour(index.map(|index| index + 1)),
    };
    next.filter(|_| step == Step::In || place != top).map(|next| way(&calls, next))
}
