//! The tree of a flame graph: stacks added up by the names of their frames.

use std::collections::HashMap;

use indexmap::IndexSet;

use crate::frames::root_first;
use crate::model::{FrameKind, Profile, Quantity};

/// Most nodes of a tree; the value of deeper frames is added to the last node on their path.
const MAX_NODES: usize = 1 << 21;

/// A tree of stacks by the names of their frames, with two values for each node, so that two profiles can be compared.
#[derive(Debug)]
pub(crate) struct Tree {
    labels: IndexSet<Label>,
    pub(crate) nodes: Vec<Node>,
    children: HashMap<(usize, usize), usize>,
}

/// Key of a frame: frames of a caller that are equal in it are one node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Label {
    pub(crate) name: String,
    pub(crate) kind: FrameKind,
}

/// A node: a frame beneath its caller.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    label: usize,
    pub(crate) parent: Option<usize>,
    pub(crate) depth: usize,
    /// Value of the stacks that end in this node, of each profile.
    pub(crate) own: [i64; 2],
    /// Value of the stacks that go through this node or end in it, of each profile.
    pub(crate) total: [i64; 2],
}

impl Tree {
    /// A tree that only has its root.
    pub(crate) fn new() -> Self {
        let label = Label { name: "all".to_owned(), kind: FrameKind::User };
        let root = Node { label: 0, parent: None, depth: 0, own: [0; 2], total: [0; 2] };
        Self { labels: IndexSet::from([label]), nodes: vec![root], children: HashMap::new() }
    }

    /// Adds the samples of a profile to one of the two values. Negative values are left out.
    pub(crate) fn add(&mut self, profile: &Profile, quantity: Quantity, side: usize) {
        for (key, amount) in profile.samples.iter() {
            let value = profile.amount_of(quantity, key, amount);
            if value <= 0 {
                continue;
            }
            let mut node = 0;
            for frame in root_first(profile, key) {
                let label = self.labels.insert_full(Label { name: frame.name, kind: frame.kind }).0;
                match self.child(node, label) {
                    Some(child) => node = child,
                    None => break,
                }
            }
            if let Some(own) = self.nodes.get_mut(node).and_then(|node| node.own.get_mut(side)) {
                *own = own.saturating_add(value);
            }
        }
    }

    /// Adds up the totals once all samples are added.
    pub(crate) fn total_up(&mut self) {
        let mut totals: Vec<[i64; 2]> = self.nodes.iter().map(|node| node.own).collect();
        // A child comes after its parent, so going backwards its total is complete before its parent's.
        for (number, node) in self.nodes.iter().enumerate().rev() {
            let of = totals.get(number).copied().unwrap_or_default();
            if let Some(sum) = node.parent.and_then(|parent| totals.get_mut(parent)) {
                sum.iter_mut().zip(of).for_each(|(sum, of)| *sum = sum.saturating_add(of));
            }
        }
        self.nodes.iter_mut().zip(totals).for_each(|(node, total)| node.total = total);
    }

    /// The label of a node.
    pub(crate) fn label(&self, node: &Node) -> Option<&Label> {
        self.labels.get_index(node.label)
    }

    /// The children of each node, in the order of their names.
    pub(crate) fn children(&self) -> Vec<Vec<usize>> {
        let mut children = vec![Vec::new(); self.nodes.len()];
        for (number, node) in self.nodes.iter().enumerate() {
            if let Some(siblings) = node.parent.and_then(|parent| children.get_mut(parent)) {
                siblings.push(number);
            }
        }
        let name = |number: &usize| {
            let label = self.nodes.get(*number).and_then(|node| self.label(node));
            label.map(|label| (label.name.as_str(), label.kind))
        };
        children.iter_mut().for_each(|siblings| siblings.sort_by(|a, b| name(a).cmp(&name(b))));
        children
    }

    fn child(&mut self, parent: usize, label: usize) -> Option<usize> {
        if let Some(&known) = self.children.get(&(parent, label)) {
            return Some(known);
        }
        let depth = self.nodes.get(parent)?.depth + 1;
        let number = self.nodes.len();
        if number >= MAX_NODES {
            return None;
        }
        self.nodes.push(Node { label, parent: Some(parent), depth, own: [0; 2], total: [0; 2] });
        self.children.insert((parent, label), number);
        Some(number)
    }
}
