//! The tree that the stacks of all generations make together, as far as its nodes are large enough to be shown.
//!
//! A node that is one of [`SMALLEST_PART`]s of the whole is that of at least one generation's part of it, too. So each
//! generation is gone through twice: first its large nodes become nodes of the tree, then its samples are added to
//! them. Of the millions of nodes that are too small none is ever held for more than one generation.

use foldhash::{HashMap, HashSet};

use crate::query::frames::{Frames, SUMMARY, ShownFrames};
use crate::query::rules::Rules;
use crate::query::scan::{Count, Scan};
use crate::query::view::View;
use crate::query::{Pair, SMALLEST_PART};
use crate::stacks::StackRow;
use crate::table::number;

/// Most nodes that are held, shown or not. Only stacks of hundreds of frames each that are unlike each other come near:
/// what is beyond goes to what it is called by.
const MOST_NODES: usize = 200_000;
/// No node, or no frame.
const NONE: u32 = u32::MAX;

/// A node of a [`Merged`] tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MergedNode {
    /// Less than its own number; 0 of the root.
    pub parent: u32,
    pub frame: u32,
}

/// The large nodes of all generations, without sums. Node 0 is the root.
#[derive(Debug)]
pub(crate) struct Merged {
    pub nodes: Vec<MergedNode>,
    children: HashMap<(u32, u32), u32>,
}

/// What there is of one group in one node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NodeSum {
    /// What ends in it.
    pub own: Pair,
    /// What goes on to callees that are too small to be nodes.
    pub rest: Pair,
}

/// Sums by group and node.
#[derive(Debug, Default)]
pub(crate) struct MergedSums {
    sums: HashMap<(u32, u32), NodeSum>,
    /// Callees that are too small to be nodes: group, node, frame.
    small: HashSet<(u32, u32, u32)>,
}

/// Sums in order: by group, then by node, then by frame.
#[derive(Debug, Default)]
pub(crate) struct SortedSums {
    pub sums: Vec<((u32, u32), NodeSum)>,
    /// How many small callees a group has in a node.
    pub small: Vec<((u32, u32), usize)>,
}

impl SortedSums {
    /// What all groups add up to.
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

    /// Adds what is large of a view's part that is below these nodes.
    pub(crate) fn grow(&mut self, view: &mut View<'_>, starts: Vec<u32>, frames: &mut Frames, rules: &Rules) {
        let mut whole = Pair::default();
        starts.iter().for_each(|&start| whole.add(view.total(start)));
        let mut pending = vec![(0, starts)];
        while let Some((node, of)) = pending.pop() {
            let mut called = self.called_by(node, of, view, frames, rules);
            // Neighbours are of one frame.
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

    /// The callees of nodes of a view that are one in the tree. A node that is not shown gives its callees to its
    /// caller, and so does one of the same module as a folded caller.
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

    /// Where the stacks of a generation are in the tree: the node, and the frame of the small callee of that node
    /// which the stack goes on to. [`NONE`] of what is below none of the nodes at which the tree starts.
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
                // Below none of the starts, or below what is too small.
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
    /// Adds the samples of a generation, which `each` calls what it is handed with: group, pattern and number.
    /// `starts` are the nodes that are the root of the tree.
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

    /// The sums in order.
    pub(crate) fn sorted(self) -> SortedSums {
        let mut sums: Vec<_> = self.sums.into_iter().collect();
        sums.sort_unstable_by_key(|(key, _)| *key);
        let mut callees: Vec<_> = self.small.into_iter().map(|(group, node, _)| (group, node)).collect();
        callees.sort_unstable();
        let small = callees.chunk_by(|a, b| a == b).filter_map(|same| Some((*same.first()?, same.len())));
        SortedSums { sums, small: small.collect() }
    }
}
