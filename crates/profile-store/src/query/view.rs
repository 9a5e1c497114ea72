//! The stacks of a query's samples in one generation, as a tree with amounts.

use std::borrow::Cow;

use crate::query::Pair;
use crate::query::frames::{Frames, Shown, ShownFrames};
use crate::query::rules::Rules;
use crate::query::scan::{Count, Scan};
use crate::stacks::{ROOT, StackRow};
use crate::table::number;

/// The number of no node.
const NONE: u32 = u32::MAX;

/// The stacks of a query's samples in one generation. Node 0 is the root, and parents come before their children.
///
/// A view lives only while an answer reads it: at no time does an answer hold the trees of two generations.
#[derive(Debug)]
pub(crate) struct View<'a> {
    scan: &'a Scan<'a>,
    pub rows: Cow<'a, [StackRow]>,
    /// The amount of each node and its descendants.
    totals: Vec<Pair>,
    /// For each node the first child that has samples, and the next sibling.
    links: Vec<(u32, u32)>,
    shown: ShownFrames,
}

impl<'a> View<'a> {
    /// The view of a scan with `counts` samples of each pattern.
    pub(crate) fn of(scan: &'a Scan<'a>, counts: &[Count]) -> Self {
        let rows = scan.generation.stacks.rows();
        let mut totals = own(scan, counts, rows.len());
        // Children come after their parents, so going backwards the descendants of a node are complete before it.
        let mut links = vec![(NONE, NONE); rows.len()];
        for (at, row) in rows.iter().enumerate().skip(1).rev() {
            let total = totals.get(at).copied().unwrap_or_default();
            if total.is_none() {
                continue;
            }
            if let Some(of_parent) = totals.get_mut(row.parent as usize) {
                of_parent.add(total);
            }
            let next =
                links.get_mut(row.parent as usize).map(|(first, _)| std::mem::replace(first, number(at)));
            if let Some((_, sibling)) = links.get_mut(at) {
                *sibling = next.unwrap_or(NONE);
            }
        }
        Self { scan, rows, totals, links, shown: ShownFrames::of(scan.generation) }
    }

    pub(crate) fn total(&self, node: u32) -> Pair {
        self.totals.get(node as usize).copied().unwrap_or_default()
    }

    pub(crate) fn parent(&self, node: u32) -> u32 {
        self.rows.get(node as usize).map_or(ROOT, |row| row.parent)
    }

    /// The frame that a node is shown as; `None` for the root.
    pub(crate) fn shown(&mut self, node: u32, frames: &mut Frames, rules: &Rules) -> Shown {
        let row = self.rows.get(node as usize).filter(|_| node != ROOT)?;
        self.shown.get(row.frame, self.scan.generation, (frames, rules))
    }

    /// The first child of a node that has samples.
    pub(crate) fn first_child(&self, node: u32) -> Option<u32> {
        self.links.get(node as usize).map(|(first, _)| *first).filter(|&first| first != NONE)
    }

    /// The next sibling of a node that has samples.
    pub(crate) fn next_sibling(&self, node: u32) -> Option<u32> {
        self.links.get(node as usize).map(|(_, next)| *next).filter(|&next| next != NONE)
    }

    /// Calls `each` for every node that is shown, callers first: with its frame, its own and total amounts (including
    /// hidden nodes below it), and whether none of its callers is of the same frame.
    pub(crate) fn walk(
        &mut self,
        counts: &[Count],
        frames: &mut Frames,
        rules: &Rules,
        mut each: impl FnMut(u32, Pair, Pair, bool),
    ) {
        let own = own(self.scan, counts, self.rows.len());
        let mut path = Path::default();
        for at in 1..number(self.rows.len()) {
            let total = self.total(at);
            if total.is_none() {
                continue;
            }
            let parent = self.parent(at);
            if path.leaf() != parent {
                self.go_to(parent, &mut path, frames, rules);
            }
            let own = own.get(at as usize).copied().unwrap_or_default();
            let (shown, above) = (self.shown(at, frames, rules), path.above());
            match (shown, above) {
                (Some(frame), _) => each(frame, own, total, path.times(frame) == 0),
                // A hidden frame's own amount is its caller's.
                (None, Some(above)) if !own.is_none() => each(above, own, Pair::default(), false),
                (None, _) => {}
            }
            path.push(at, shown);
        }
    }

    /// Makes `path` the path of a node. Most nodes come right after their parents, so that this is seldom needed.
    fn go_to(&mut self, node: u32, path: &mut Path, frames: &mut Frames, rules: &Rules) {
        let (mut at, mut missing) = (node, Vec::new());
        while at != ROOT && !path.has(at) {
            missing.push(at);
            at = self.parent(at);
        }
        path.cut_to(at);
        for node in missing.into_iter().rev() {
            let shown = self.shown(node, frames, rules);
            path.push(node, shown);
        }
    }
}

/// The amount of stacks that end in each node.
fn own(scan: &Scan<'_>, counts: &[Count], nodes: usize) -> Vec<Pair> {
    let mut own = vec![Pair::default(); nodes];
    for (_, pattern, count) in scan.counted(counts) {
        let stack = scan.patterns.get(pattern as usize).map_or(ROOT, |row| row.stack);
        if let Some(sum) = own.get_mut(stack as usize) {
            sum.add(scan.sum(pattern, count));
        }
    }
    own
}

/// The path from the root to a node.
#[derive(Default)]
struct Path {
    /// Nodes by rising number, without the root: the frame that each is shown as, and the innermost shown frame of the
    /// node and those before it.
    nodes: Vec<(u32, Shown, Shown)>,
    /// For each frame the number of its nodes on the path.
    times: Vec<u32>,
}

impl Path {
    fn leaf(&self) -> u32 {
        self.nodes.last().map_or(ROOT, |(node, ..)| *node)
    }

    /// The innermost shown frame of the path, which hidden callees are added to.
    fn above(&self) -> Shown {
        self.nodes.last().and_then(|(.., above)| *above)
    }

    fn times(&self, frame: u32) -> u32 {
        self.times.get(frame as usize).copied().unwrap_or_default()
    }

    fn has(&self, node: u32) -> bool {
        self.nodes.binary_search_by_key(&node, |(node, ..)| *node).is_ok()
    }

    fn push(&mut self, node: u32, shown: Shown) {
        if let Some(frame) = shown {
            self.times.resize(self.times.len().max(frame as usize + 1), 0);
            if let Some(times) = self.times.get_mut(frame as usize) {
                *times += 1;
            }
        }
        self.nodes.push((node, shown, shown.or(self.above())));
    }

    /// Removes all nodes behind `node`, which is the root or on the path.
    fn cut_to(&mut self, node: u32) {
        while let Some((_, shown, _)) = self.nodes.pop_if(|(last, ..)| *last > node) {
            if let Some(times) = shown.and_then(|frame| self.times.get_mut(frame as usize)) {
                *times -= 1;
            }
        }
    }
}
