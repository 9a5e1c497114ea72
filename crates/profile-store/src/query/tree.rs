//! The flame graph: stacks of all generations as one tree, without nodes that are too small to be seen.

use std::collections::VecDeque;

use foldhash::HashMap;
use serde::Serialize;

use crate::query::branch::{Branch, branches};
use crate::query::filter::Groups;
use crate::query::frames::{FrameView, Frames};
use crate::query::members::GroupSums;
use crate::query::merged::{Merged, MergedSums, SortedSums};
use crate::query::scan::scans;
use crate::query::view::View;
use crate::query::{Grouping, Pair, Query, SMALLEST_PART};
use crate::stacks::ROOT;
use crate::store::Store;

/// Most nodes of a tree: even with names that compress badly, such a tree is sent in less than 400 KB, the page
/// included. Only stacks of dozens of frames that are unlike each other come near.
const MOST_NODES: usize = 27_000;

/// A tree of frames. Each node comes right after its parent, or after the descendants of the sibling before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The frames that nodes refer to.
    pub frames: Vec<FrameView>,
    /// The nodes; the first is the root.
    pub nodes: Vec<Node>,
}

/// A node of a [`Tree`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Number of nodes between this node and the root, plus one; 0 for the root.
    pub depth: u32,
    /// Position of the node's frame in the tree's `frames`.
    pub frame: u32,
    /// The amount of the node and its descendants.
    pub total: Pair,
    /// The amount of the node itself.
    pub own: Pair,
}

/// The flame graph of a query.
#[must_use]
pub fn tree(store: &Store, query: &Query) -> Tree {
    let mut frames = Frames::default();
    let root = frames.number(FrameView::summary("all", ""));
    let (mut merged, mut counts) = (Merged::new(root), VecDeque::new());
    let (mut groups, mut names) = (GroupSums::begin(store, query), Groups::default());
    scans(store, query, &mut names, |scan| {
        let count = scan.counts();
        merged.grow(&mut View::of(scan, &count), vec![ROOT], &mut frames, &query.rules);
        groups.add(scan, &count);
        counts.push_back(count);
    });
    let mut sums = MergedSums::default();
    scans(store, query, &mut names, |scan| {
        let count = counts.pop_front().unwrap_or_default();
        let (rows, of) = (scan.generation.stacks.rows(), (&mut frames, &query.rules));
        sums.add(&merged, scan, (&rows, &[true]), of, |add| groups.each(scan, &count, add));
    });
    let (sums, groups) = (sums.sorted(), groups.with_names(names));
    let groups = (query.grouping != Grouping::None).then_some(&groups);
    Growth { merged: &merged, sums: &sums, frames: &mut frames, builder: TreeBuilder::default() }
        .tree(root, groups)
}

/// A node that is still to be added to a tree.
#[derive(Clone, Copy)]
struct Pending {
    depth: u32,
    frame: u32,
    total: Pair,
    of: Part,
}

/// The part of the samples that a node of a tree stands for.
#[derive(Clone, Copy)]
enum Part {
    /// All groups.
    All,
    /// A group.
    Group(u32),
    /// A branch of the group that was added last.
    Branch(u32),
}

/// Builds a tree of a merged tree and its amounts.
pub(crate) struct Growth<'a> {
    pub merged: &'a Merged,
    pub sums: &'a SortedSums,
    pub frames: &'a mut Frames,
    pub builder: TreeBuilder,
}

impl Growth<'_> {
    /// The tree whose root has the frame `root`, with a first level of groups if there are `groups`.
    pub(crate) fn tree(mut self, root: u32, groups: Option<&GroupSums>) -> Tree {
        let mut branches = Vec::new();
        let (of, whole) = match groups {
            Some(groups) => (Part::All, groups.whole()),
            None => (Part::Group(0), self.sums.total()),
        };
        let mut pending = vec![Pending { depth: 0, frame: root, total: whole, of }];
        while let Some(next) = pending.pop() {
            // All nodes of the group before have been added before a group is, so its branches can be replaced.
            if let Part::Group(group) = next.of {
                branches = self::branches(self.merged, self.sums, group);
            }
            let (own, children, mut rest) = match (next.of, groups) {
                (Part::All, Some(groups)) => (Pair::default(), self.groups(groups, whole), groups.rest),
                (Part::Branch(at), _) => self.callees(&branches, at, next.depth),
                _ => self.callees(&branches, 0, next.depth),
            };
            self.builder.push(self.frames, next.depth, next.frame, next.total, own);
            let (mut kept, mut small): (Vec<_>, Vec<_>) =
                children.into_iter().partition(|child| child.total.is_part(whole, SMALLEST_PART));
            if self.builder.tree.nodes.len() + pending.len() + kept.len() > MOST_NODES {
                small.append(&mut kept);
            }
            small.iter().for_each(|child| rest.0.add(child.total));
            rest.1 += small.len();
            if rest.1 > 0 {
                let name = format!("other ({})", rest.1);
                let frame = self.frames.number(FrameView::summary(&name, ""));
                self.builder.push(self.frames, next.depth + 1, frame, rest.0, rest.0);
            }
            // Sorted by name, so that nodes stay in their place as samples come; the last is taken first.
            let key = |child: &Pending| self.frames.get(child.frame).map(FrameView::key);
            kept.sort_by(|a, b| key(b).cmp(&key(a)));
            pending.extend(kept);
        }
        self.builder.tree
    }

    fn callees(&self, branches: &[Branch], at: u32, depth: u32) -> (Pair, Vec<Pending>, (Pair, usize)) {
        let Some(branch) = branches.get(at as usize) else { return Default::default() };
        let child = |&at: &u32| {
            let branch = branches.get(at as usize)?;
            Some(Pending { depth: depth + 1, frame: branch.frame, total: branch.total, of: Part::Branch(at) })
        };
        (branch.own, branch.children.iter().filter_map(child).collect(), branch.rest)
    }

    /// The first level of a grouped tree.
    fn groups(&mut self, groups: &GroupSums, whole: Pair) -> Vec<Pending> {
        let some = (0..).zip(&groups.groups).filter(|(_, (_, total))| !total.is_none());
        let of = some.map(|(group, (name, total))| {
            // The name of a group that is too small is not needed, and there may be many.
            let is_shown = total.is_part(whole, SMALLEST_PART);
            let frame = if is_shown {
                self.frames.number(FrameView::summary(crate::frame::base(name), name))
            } else {
                0
            };
            Pending { depth: 1, frame, total: *total, of: Part::Group(group) }
        });
        of.collect()
    }
}

/// Builds a tree with only those frames that its nodes use.
#[derive(Default)]
pub(crate) struct TreeBuilder {
    pub(crate) tree: Tree,
    places: HashMap<u32, u32>,
}

impl TreeBuilder {
    pub(crate) fn push(&mut self, of: &Frames, depth: u32, frame: u32, total: Pair, own: Pair) {
        let frames = &mut self.tree.frames;
        let frame = *self.places.entry(frame).or_insert_with(|| {
            frames.push(of.get(frame).cloned().unwrap_or_default());
            crate::table::number(frames.len() - 1)
        });
        self.tree.nodes.push(Node { depth, frame, total, own });
    }
}

/// A tree in columns, as it is sent.
#[derive(Debug, Serialize)]
struct Columns<'a> {
    frames: FrameColumns<'a>,
    depth: Vec<u32>,
    frame: Vec<u32>,
    samples: Vec<u64>,
    value: Vec<u64>,
    own_samples: Vec<u64>,
    own_value: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    then_samples: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    then_value: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    then_own_samples: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    then_own_value: Vec<u64>,
}

/// Frames in columns; texts that repeat are compressed well.
#[derive(Debug, Serialize)]
struct FrameColumns<'a> {
    name: Vec<&'a str>,
    module: Vec<&'a str>,
    build_id: Vec<&'a str>,
    file: Vec<&'a str>,
    line: Vec<u32>,
    flags: Vec<u8>,
}

impl Serialize for Tree {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let has_baseline =
            self.nodes.first().is_some_and(|root| root.total.then != crate::query::Amount::default());
        let column = |of: fn(&Node) -> u64| self.nodes.iter().map(of).collect::<Vec<_>>();
        let then = |of: fn(&Node) -> u64| if has_baseline { column(of) } else { Vec::new() };
        let frames = &self.frames;
        let columns = Columns {
            frames: FrameColumns {
                name: frames.iter().map(|frame| frame.name.as_str()).collect(),
                module: frames.iter().map(|frame| frame.module.as_str()).collect(),
                build_id: frames.iter().map(|frame| frame.build_id.as_str()).collect(),
                file: frames.iter().map(|frame| frame.file.as_str()).collect(),
                line: frames.iter().map(|frame| frame.line).collect(),
                flags: frames.iter().map(|frame| frame.flags).collect(),
            },
            depth: self.nodes.iter().map(|node| node.depth).collect(),
            frame: self.nodes.iter().map(|node| node.frame).collect(),
            samples: column(|node| node.total.now.samples),
            value: column(|node| node.total.now.value),
            own_samples: column(|node| node.own.now.samples),
            own_value: column(|node| node.own.now.value),
            then_samples: then(|node| node.total.then.samples),
            then_value: then(|node| node.total.then.value),
            then_own_samples: then(|node| node.own.then.samples),
            then_own_value: then(|node| node.own.then.value),
        };
        columns.serialize(serializer)
    }
}
