//! The flame graph: stacks of all generations as one tree, without what is too small to be seen.

use foldhash::HashMap;
use serde::Serialize;

use crate::query::frames::{FrameView, SUMMARY};
use crate::query::view::Views;
use crate::query::{Grouping, Pair, Query, SMALLEST_PART};
use crate::store::Store;

/// Most nodes of a tree. Only stacks of hundreds of frames each that are unlike each other come near.
const MOST_NODES: usize = 30_000;

/// A tree of frames. Each node comes right after its parent, or after what is below the sibling before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The frames that nodes are of.
    pub frames: Vec<FrameView>,
    /// The nodes; the first is the root.
    pub nodes: Vec<Node>,
}

/// A node of a [`Tree`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// How far from the root.
    pub depth: u32,
    /// Which of the tree's frames.
    pub frame: u32,
    /// Of it and what is below it.
    pub total: Pair,
    /// Of itself.
    pub own: Pair,
}

/// The flame graph of what is asked for.
#[must_use]
pub fn tree(store: &Store, query: &Query) -> Tree {
    let mut views = Views::of(store, query);
    let roots: Vec<_> = (0..).zip(&views.views).map(|(view, _)| (view, 0)).collect();
    grow(&mut views, roots, "all", query.grouping != Grouping::None)
}

/// What is still to be added to a tree.
struct Pending {
    depth: u32,
    frame: u32,
    total: Pair,
    /// The nodes that it stands for.
    of: Vec<(u32, u32)>,
    /// True of the root of a tree whose first level is groups.
    is_grouped: bool,
}

/// A tree of these nodes and what is below them.
pub(crate) fn grow(views: &mut Views, of: Vec<(u32, u32)>, name: &str, is_grouped: bool) -> Tree {
    let mut whole = Pair::default();
    of.iter().filter_map(|&at| views.node(at)).for_each(|node| whole.add(node.total));
    let root = views.frames.number(FrameView::summary(name, ""));
    let mut builder = TreeBuilder::default();
    let mut pending = vec![Pending { depth: 0, frame: root, total: whole, of, is_grouped }];
    while let Some(next) = pending.pop() {
        let (own, mut children) = if next.is_grouped { groups(views, &next) } else { children(views, &next) };
        builder.push(views, next.depth, next.frame, next.total, own);
        let is_full = builder.tree.nodes.len() + pending.len() + children.len() > MOST_NODES;
        let (mut rest, mut rest_count) = (Pair::default(), 0_usize);
        children.retain(|child| {
            let is_kept = !is_full && child.total.is_part(whole, SMALLEST_PART);
            if !is_kept {
                rest.add(child.total);
                rest_count += 1;
            }
            is_kept
        });
        if rest_count > 0 {
            let frame = views.frames.number(FrameView::summary(&format!("other ({rest_count})"), ""));
            builder.push(views, next.depth + 1, frame, rest, rest);
        }
        // By name, so that what is shown stays in its place when more comes; the last is taken first.
        children.sort_by(|a, b| {
            views.frames.get(b.frame).map(name_of).cmp(&views.frames.get(a.frame).map(name_of))
        });
        pending.extend(children);
    }
    builder.tree
}

fn name_of(frame: &FrameView) -> (&str, &str, u32) {
    (&frame.name, &frame.module, frame.line)
}

/// What ends in the nodes, and their children by what they are shown as. What is not shown gives its children to
/// whom it is called by, and so does what belongs to the same module as a folded caller.
fn children(views: &Views, of: &Pending) -> (Pair, Vec<Pending>) {
    let is_summary = views.frames.get(of.frame).is_some_and(|frame| frame.flags & SUMMARY != 0);
    let mut own = Pair::default();
    let mut places: HashMap<u32, usize> = HashMap::default();
    let mut children: Vec<Pending> = Vec::new();
    let mut look: Vec<_> = of.of.clone();
    while let Some(at) = look.pop() {
        own.add(views.node(at).map(|node| node.own).unwrap_or_default());
        for child in views.children(at) {
            let Some(node) = views.node(child) else { continue };
            let Some(frame) = node.shown.filter(|&frame| !(is_summary && frame == of.frame)) else {
                look.push(child);
                continue;
            };
            let place = *places.entry(frame).or_insert_with(|| {
                let depth = of.depth + 1;
                children.push(Pending {
                    depth,
                    frame,
                    total: Pair::default(),
                    of: Vec::new(),
                    is_grouped: false,
                });
                children.len() - 1
            });
            if let Some(pending) = children.get_mut(place) {
                pending.total.add(node.total);
                pending.of.push(child);
            }
        }
    }
    (own, children)
}

/// The first level of a tree that is grouped.
fn groups(views: &mut Views, of: &Pending) -> (Pair, Vec<Pending>) {
    let mut children: Vec<Pending> = Vec::new();
    for group in 0..views.groups.len() {
        let name = views.groups.name(crate::table::number(group)).to_owned();
        let frame = views.frames.number(FrameView::summary(crate::frame::base(&name), &name));
        children.push(Pending {
            depth: of.depth + 1,
            frame,
            total: Pair::default(),
            of: Vec::new(),
            is_grouped: false,
        });
    }
    for &(view, node) in &of.of {
        let group = views.views.get(view as usize).map_or(0, |view| view.group);
        let total = views.node((view, node)).map(|node| node.total).unwrap_or_default();
        if let Some(pending) = children.get_mut(group as usize) {
            pending.total.add(total);
            pending.of.push((view, node));
        }
    }
    children.retain(|child| !child.total.is_none());
    (Pair::default(), children)
}

/// Makes a tree whose frames are those it has.
#[derive(Default)]
pub(crate) struct TreeBuilder {
    pub(crate) tree: Tree,
    places: HashMap<u32, u32>,
}

impl TreeBuilder {
    pub(crate) fn push(&mut self, views: &Views, depth: u32, frame: u32, total: Pair, own: Pair) {
        let frames = &mut self.tree.frames;
        let frame = *self.places.entry(frame).or_insert_with(|| {
            frames.push(views.frames.get(frame).cloned().unwrap_or_default());
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
