//! The tree that the stacks of all generations make together, without nodes that are too small to be shown.
//!
//! A node that is one of [`SMALLEST_PART`]s of the whole is that of at least one generation's part of it, too. So each
//! generation is read twice: first its large nodes become nodes of the tree, then its samples are added to them. Of the
//! millions of nodes that are too small, none is ever held for more than one generation.

use foldhash::{HashMap, HashSet};

use crate::query::frames::{Frames, SUMMARY, ShownFrames};
use crate::query::rules::Rules;
use crate::query::scan::{Count, Scan};
use crate::query::view::View;
use crate::query::{Pair, SMALLEST_PART};
use crate::stacks::StackRow;
use crate::table::number;

/// Most nodes of a merged tree, shown or not. Only stacks of hundreds of frames each that are unlike each other come
/// near; the amount of nodes beyond is added to their caller.
const MOST_NODES: usize = 200_000;
/// The number of no node and of no frame.
const NONE: u32 = u32::MAX;

/// A node of a [`Merged`] tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MergedNode {
    /// Number of the parent, which is less than the node's own; 0 for the root.
    pub parent: u32,
    pub frame: u32,
}

/// The large nodes of all generations, without amounts. Node 0 is the root.
#[derive(Debug)]
pub(crate) struct Merged {
    pub nodes: Vec<MergedNode>,
    children: HashMap<(u32, u32), u32>,
}

/// The amount of one group in one node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NodeSum {
    /// The amount of stacks that end in the node.
    pub own: Pair,
    /// The amount of callees that are too small to be nodes.
    pub rest: Pair,
}

/// Amounts by group and node.
#[derive(Debug, Default)]
pub(crate) struct MergedSums {
    sums: HashMap<(u32, u32), NodeSum>,
    /// Callees that are too small to be nodes, as group, node and frame.
    small: HashSet<(u32, u32, u32)>,
}

/// Amounts in order: by group, then by node.
#[derive(Debug, Default)]
pub(crate) struct SortedSums {
    pub sums: Vec<((u32, u32), NodeSum)>,
    /// The number of small callees that a group has in a node, in the same order.
    pub small: Vec<((u32, u32), usize)>,
}

impl SortedSums {
    /// The amount of all groups.
    pub(crate) fn total(&self) -> Pair {
        let mut total = Pair::default();
        for (_, sum) in &self.sums {
            total.add(sum.own);
            total.add(sum.rest);
        }
        total
    }
}

impl Merged {
    pub(crate) fn new(root: u32) -> Self {
        Self { nodes: vec![MergedNode { parent: 0, frame: root }], children: HashMap::default() }
    }

    /// Adds the large nodes of the part of a view that is below `starts`.
    pub(crate) fn grow(&mut self, view: &mut View<'_>, starts: Vec<u32>, frames: &mut Frames, rules: &Rules) {
        let mut whole = Pair::default();
        starts.iter().for_each(|&start| whole.add(view.total(start)));
        let mut pending = vec![(0, starts)];
        while let Some((node, of)) = pending.pop() {
            let mut called = self.called_by(node, of, view, frames, rules);
            // Sorted, the callees of one frame are neighbours.
            called.sort_by_key(|(frame, _)| *frame);
            for same in called.chunk_by(|a, b| a.0 == b.0) {
                let mut total = Pair::default();
                same.iter().for_each(|(_, at)| total.add(view.total(*at)));
                let frame = same.first().map_or(NONE, |(frame, _)| *frame);
                if total.is_part(whole, SMALLEST_PART)
                    && let Some(child) = self.child_or_new(node, frame)
                {
                    pending.push((child, same.iter().map(|(_, at)| *at).collect()));
                }
            }
        }
    }

    /// The callees of those nodes of a view that are one node of the tree. The callees of a node that is hidden, or of
    /// the same module as its folded caller, count as its caller's.
    fn called_by(
        &self,
        node: u32,
        mut look: Vec<u32>,
        view: &mut View<'_>,
        frames: &mut Frames,
        rules: &Rules,
    ) -> Vec<(u32, u32)> {
        let mut called = Vec::new();
        while let Some(at) = look.pop() {
            let mut next = view.first_child(at);
            while let Some(child) = next {
                match view.shown(child, frames, rules) {
                    Some(frame) if !self.is_folded_into(node, frame, frames) => called.push((frame, child)),
                    _ => look.push(child),
                }
                next = view.next_sibling(child);
            }
        }
        called
    }

    fn is_folded_into(&self, node: u32, frame: u32, frames: &Frames) -> bool {
        self.nodes.get(node as usize).is_some_and(|node| node.frame == frame)
            && frames.get(frame).is_some_and(|view| view.flags & SUMMARY != 0)
    }

    fn child_or_new(&mut self, parent: u32, frame: u32) -> Option<u32> {
        if let Some(&known) = self.children.get(&(parent, frame)) {
            return Some(known);
        }
        let new = number(self.nodes.len());
        if self.nodes.len() >= MOST_NODES {
            return None;
        }
        self.nodes.push(MergedNode { parent, frame });
        self.children.insert((parent, frame), new);
        Some(new)
    }

    /// The place in the tree of each stack of a generation: the node, and the frame of the small callee of that node
    /// that the stack goes on to. [`NONE`] stands for a stack that is below none of `starts`, and for no small callee.
    fn places(
        &self,
        scan: &Scan<'_>,
        rows: &[StackRow],
        starts: &[bool],
        (frames, rules): (&mut Frames, &Rules),
    ) -> Vec<(u32, u32)> {
        let mut shown = ShownFrames::of(scan.generation);
        let mut places: Vec<(u32, u32)> = Vec::with_capacity(rows.len());
        for (at, row) in rows.iter().enumerate() {
            let above = if at == 0 { None } else { places.get(row.parent as usize).copied() };
            let place = match above.unwrap_or((NONE, NONE)) {
                (NONE, _) if starts.get(at).copied().unwrap_or_default() => (0, NONE),
                // The stack is below none of the starts, or below a callee that is too small.
                (node, frame) if node == NONE || frame != NONE => (node, frame),
                (node, _) => match shown.get(row.frame, scan.generation, (frames, rules)) {
                    Some(frame) if !self.is_folded_into(node, frame, frames) => {
                        self.children.get(&(node, frame)).map_or((node, frame), |&child| (child, NONE))
                    }
                    _ => (node, NONE),
                },
            };
            places.push(place);
        }
        places
    }
}

impl MergedSums {
    /// Adds the samples of a generation. `each` passes group, pattern and number of the samples to its argument.
    /// `starts` marks the stacks that are the root of the tree.
    pub(crate) fn add(
        &mut self,
        merged: &Merged,
        scan: &Scan<'_>,
        (rows, starts): (&[StackRow], &[bool]),
        (frames, rules): (&mut Frames, &Rules),
        each: impl FnOnce(&mut dyn FnMut(u32, u32, Count)),
    ) {
        let places = merged.places(scan, rows, starts, (frames, rules));
        each(&mut |group, pattern, count| {
            let stack = scan.patterns.get(pattern as usize).map_or(NONE, |row| row.stack);
            let Some(&(node, frame)) = places.get(stack as usize).filter(|place| place.0 != NONE) else {
                return;
            };
            let (sum, of) = (scan.sum(pattern, count), self.sums.entry((group, node)).or_default());
            if frame == NONE {
                of.own.add(sum);
            } else {
                of.rest.add(sum);
                self.small.insert((group, node, frame));
            }
        });
    }

    /// The amounts in order.
    pub(crate) fn sorted(self) -> SortedSums {
        let mut sums: Vec<_> = self.sums.into_iter().collect();
        sums.sort_unstable_by_key(|(key, _)| *key);
        let mut callees: Vec<_> = self.small.into_iter().map(|(group, node, _)| (group, node)).collect();
        callees.sort_unstable();
        let small = callees.chunk_by(|a, b| a == b).filter_map(|same| Some((*same.first()?, same.len())));
        SortedSums { sums, small: small.collect() }
    }
}
