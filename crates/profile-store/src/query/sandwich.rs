//! A function's callers and callees.

use std::collections::VecDeque;

use foldhash::HashMap;
use serde::Serialize;

use crate::query::filter::{Grouping, Groups};
use crate::query::frames::{FrameView, Frames, ShownFrames};
use crate::query::merged::{Merged, MergedSums};
use crate::query::rules::Rules;
use crate::query::scan::{Scan, scans};
use crate::query::tree::{Growth, Tree, TreeBuilder};
use crate::query::view::View;
use crate::query::{Pair, Query, SMALLEST_PART};
use crate::stacks::{ROOT, StackRow};
use crate::store::Store;

/// Most nodes of the tree of callers before small ones are left out.
const MOST_CALLERS: usize = 200_000;

/// A function's callers and callees, as two trees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sandwich {
    /// The callers, from the function outwards: the children of a node are its callers.
    pub callers: Tree,
    /// The callees, from the function inwards.
    pub callees: Tree,
}

/// The callers and callees of the functions with this name, in this module if one is named.
#[must_use]
pub fn sandwich(store: &Store, query: &Query, name: &str, module: Option<&str>) -> Sandwich {
    let query = Query { grouping: Grouping::None, ..query.clone() };
    let rules = &query.rules;
    let mut frames = Frames::default();
    let root = frames.number(FrameView::summary(name, ""));
    let mut wanted = Wanted { name, module, known: Vec::new() };
    let (mut merged, mut callers) = (Merged::new(root), Callers::new(root));
    let (mut counts, mut names) = (VecDeque::new(), Groups::default());
    scans(store, &query, &mut names, |scan| {
        let count = scan.counts();
        let mut view = View::of(scan, &count);
        let starts = wanted.outermost(scan, &view.rows, (&mut frames, rules));
        let starts: Vec<u32> = (0..)
            .zip(&starts)
            .filter(|&(at, &is)| is && !view.total(at).is_none())
            .map(|(at, _)| at)
            .collect();
        callers.add(&mut view, &starts, (&mut frames, rules));
        merged.grow(&mut view, starts, &mut frames, rules);
        counts.push_back(count);
    });
    let mut sums = MergedSums::default();
    scans(store, &query, &mut names, |scan| {
        let (count, rows) = (counts.pop_front().unwrap_or_default(), scan.generation.stacks.rows());
        let starts = wanted.outermost(scan, &rows, (&mut frames, rules));
        sums.add(&merged, scan, (&rows, &starts), (&mut frames, rules), |add| {
            scan.counted(&count).for_each(|(group, pattern, count)| add(group, pattern, count));
        });
    });
    let (callers, sums) = (callers.write(&mut frames), sums.sorted());
    let growth =
        Growth { merged: &merged, sums: &sums, frames: &mut frames, builder: TreeBuilder::default() };
    Sandwich { callers, callees: growth.tree(root, None) }
}

/// The function that a sandwich is of, by name and perhaps module.
struct Wanted<'a> {
    name: &'a str,
    module: Option<&'a str>,
    /// For each frame, whether it is the function, as far as that has been asked for.
    known: Vec<Option<bool>>,
}

impl Wanted<'_> {
    fn is_meant(&mut self, frame: u32, frames: &Frames) -> bool {
        if self.known.len() <= frame as usize {
            self.known.resize(frame as usize + 1, None);
        }
        let Some(slot) = self.known.get_mut(frame as usize) else { return false };
        *slot.get_or_insert_with(|| {
            frames.get(frame).is_some_and(|frame| {
                frame.name == self.name && self.module.is_none_or(|module| frame.module == module)
            })
        })
    }

    /// For each node, true if it is of the wanted function and none of its callers is: the stacks below such a node are
    /// counted once.
    fn outermost(
        &mut self,
        scan: &Scan<'_>,
        rows: &[StackRow],
        (frames, rules): (&mut Frames, &Rules),
    ) -> Vec<bool> {
        let mut shown = ShownFrames::of(scan.generation);
        let (mut is_inside, mut is_outermost) = (vec![false; rows.len()], vec![false; rows.len()]);
        for (at, row) in rows.iter().enumerate().skip(1) {
            let is_below = is_inside.get(row.parent as usize).copied().unwrap_or_default();
            let is_wanted = !is_below
                && shown
                    .get(row.frame, scan.generation, (frames, rules))
                    .is_some_and(|frame| self.is_meant(frame, frames));
            if let (Some(inside), Some(outermost)) = (is_inside.get_mut(at), is_outermost.get_mut(at)) {
                (*inside, *outermost) = (is_below || is_wanted, is_wanted);
            }
        }
        is_outermost
    }
}

/// A node in the tree of callers.
#[derive(Default)]
struct Caller {
    frame: u32,
    total: Pair,
    /// The amount of stacks that have no further caller.
    own: Pair,
    children: Vec<u32>,
}

/// The tree of callers, from the function outwards.
struct Callers {
    nodes: Vec<Caller>,
    places: HashMap<(u32, u32), u32>,
}

impl Callers {
    fn new(root: u32) -> Self {
        Self { nodes: vec![Caller { frame: root, ..Caller::default() }], places: HashMap::default() }
    }

    /// Adds the callers of some nodes of a view.
    fn add(&mut self, view: &mut View<'_>, of: &[u32], (frames, rules): (&mut Frames, &Rules)) {
        let nodes = &mut self.nodes;
        for &start in of {
            let (total, mut at, mut place) = (view.total(start), view.parent(start), 0_u32);
            add(nodes, place, |node| node.total.add(total));
            while at != ROOT && nodes.len() < MOST_CALLERS {
                let shown = view.shown(at, frames, rules);
                at = view.parent(at);
                let Some(frame) = shown else { continue };
                let next = crate::table::number(nodes.len());
                let child = *self.places.entry((place, frame)).or_insert(next);
                if child == next {
                    nodes.push(Caller { frame, ..Caller::default() });
                    add(nodes, place, |node| node.children.push(next));
                }
                place = child;
                add(nodes, place, |node| node.total.add(total));
            }
            add(nodes, place, |node| node.own.add(total));
        }
    }

    /// The tree without nodes that are too small.
    fn write(&self, frames: &mut Frames) -> Tree {
        let nodes = &self.nodes;
        let whole = nodes.first().map(|root| root.total).unwrap_or_default();
        let mut builder = TreeBuilder::default();
        let mut pending = vec![(0_u32, 0_u32)];
        while let Some((at, depth)) = pending.pop() {
            let Some(node) = nodes.get(at as usize) else { continue };
            builder.push(frames, depth, node.frame, node.total, node.own);
            let total = |child: &u32| nodes.get(*child as usize).map(|node| node.total).unwrap_or_default();
            let (mut kept, rest): (Vec<u32>, Vec<u32>) =
                node.children.iter().partition(|child| total(child).is_part(whole, SMALLEST_PART));
            if !rest.is_empty() {
                let mut sum = Pair::default();
                rest.iter().for_each(|child| sum.add(total(child)));
                let frame = frames.number(FrameView::summary(&format!("other ({})", rest.len()), ""));
                builder.push(frames, depth + 1, frame, sum, sum);
            }
            let name = |child: &u32| {
                nodes.get(*child as usize).and_then(|node| frames.get(node.frame)).map(|frame| &frame.name)
            };
            kept.sort_by(|a, b| name(b).cmp(&name(a)));
            pending.extend(kept.into_iter().map(|child| (child, depth + 1)));
        }
        builder.tree
    }
}

fn add(nodes: &mut [Caller], at: u32, change: impl FnOnce(&mut Caller)) {
    if let Some(node) = nodes.get_mut(at as usize) {
        change(node);
    }
}
