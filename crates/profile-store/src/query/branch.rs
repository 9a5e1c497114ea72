//! Nodes of a merged tree that one group has samples in.

use crate::query::Pair;
use crate::query::merged::{Merged, SortedSums};
use crate::table::number;

/// A node of a merged tree that one group has samples in or below.
#[derive(Clone, Debug, Default)]
pub(crate) struct Branch {
    pub frame: u32,
    pub own: Pair,
    /// The amount of callees that are too small to be nodes, and their number.
    pub rest: (Pair, usize),
    /// The amount of this node and all its callees.
    pub total: Pair,
    pub children: Vec<u32>,
}

/// The nodes of a group; the first is the root, and callers come before their callees.
pub(crate) fn branches(merged: &Merged, sums: &SortedSums, group: u32) -> Vec<Branch> {
    let first = sums.sums.partition_point(|((of, _), _)| *of < group);
    let end = sums.sums.partition_point(|((of, _), _)| *of <= group);
    let own = sums.sums.get(first..end).unwrap_or_default();
    let ids = with_ancestors(merged, own.iter().map(|((_, node), _)| *node));
    let place = |node: u32| ids.binary_search(&node).ok();
    let frame = |node: &u32| merged.nodes.get(*node as usize).map_or(0, |node| node.frame);
    let mut branches: Vec<Branch> =
        ids.iter().map(|node| Branch { frame: frame(node), ..Branch::default() }).collect();
    for ((_, node), sum) in own {
        let small = sums.small.binary_search_by_key(&(group, *node), |(key, _)| *key);
        let small = small.ok().and_then(|at| sums.small.get(at)).map_or(0, |(_, count)| *count);
        if let Some(branch) = place(*node).and_then(|at| branches.get_mut(at)) {
            (branch.own, branch.rest) = (sum.own, (sum.rest, small));
            branch.total.add(sum.own);
            branch.total.add(sum.rest);
        }
    }
    for (at, node) in ids.iter().enumerate().skip(1).rev() {
        let total = branches.get(at).map(|branch| branch.total).unwrap_or_default();
        let parent = merged.nodes.get(*node as usize).and_then(|node| place(node.parent));
        if let Some(parent) = parent.and_then(|parent| branches.get_mut(parent)) {
            parent.total.add(total);
            parent.children.push(number(at));
        }
    }
    branches
}

/// The nodes and all their ancestors, the root included, in rising order.
fn with_ancestors(merged: &Merged, nodes: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut found = foldhash::HashSet::default();
    found.insert(0);
    for mut node in nodes {
        while found.insert(node) {
            node = merged.nodes.get(node as usize).map_or(0, |node| node.parent);
        }
    }
    let mut ids: Vec<u32> = found.into_iter().collect();
    ids.sort_unstable();
    ids
}
