//! The stacks of a query's samples, of one generation and one group: a tree with sums.

use crate::generation::{Generation, ROOT};
use crate::query::filter::Groups;
use crate::query::frames::{Frames, Shown};
use crate::query::scan::{StackSums, sums};
use crate::query::{Pair, Query};
use crate::store::Store;
use crate::table::number;

/// No node.
pub(crate) const NONE: u32 = u32::MAX;

/// A node of a view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ViewNode {
    pub parent: u32,
    /// What it is shown as; `None` of one that is not, and of the root.
    pub shown: Shown,
    /// What ends here.
    pub own: Pair,
    /// What comes through here.
    pub total: Pair,
    pub first_child: u32,
    pub next_sibling: u32,
}

/// The stacks of a query's samples, of one generation and one group. Node 0 is the root, and parents come before
/// their children.
#[derive(Debug)]
pub(crate) struct View {
    pub group: u32,
    pub nodes: Vec<ViewNode>,
}

/// All that a picture of stacks is made of.
#[derive(Debug, Default)]
pub(crate) struct Views {
    pub groups: Groups,
    pub frames: Frames,
    pub views: Vec<View>,
}

impl Views {
    pub(crate) fn of(store: &Store, query: &Query) -> Self {
        let mut views = Self::default();
        for generation in store.generations() {
            let sums = sums(generation, query, &mut views.groups);
            let mut used = vec![false; generation.frames.items().len()];
            let shapes: Vec<_> = sums.iter().map(|sums| Shape::of(generation, sums, &mut used)).collect();
            let shown = views.frames.of(generation, &query.rules, &used);
            views
                .views
                .extend(sums.iter().zip(shapes).map(|(sums, shape)| shape.view(generation, sums, &shown)));
        }
        views
    }

    /// What all samples add up to.
    pub(crate) fn total(&self) -> Pair {
        let mut total = Pair::default();
        for root in self.views.iter().filter_map(|view| view.nodes.first()) {
            total.add(root.total);
        }
        total
    }

    pub(crate) fn node(&self, (view, node): (u32, u32)) -> Option<&ViewNode> {
        self.views.get(view as usize)?.nodes.get(node as usize)
    }

    /// The children of a node.
    pub(crate) fn children(&self, (view, node): (u32, u32)) -> impl Iterator<Item = (u32, u32)> + '_ {
        let first = self.node((view, node)).map_or(NONE, |node| node.first_child);
        let next = move |&child: &u32| {
            self.node((view, child)).map(|node| node.next_sibling).filter(|&next| next != NONE)
        };
        std::iter::successors(Some(first).filter(|&first| first != NONE), next)
            .map(move |child| (view, child))
    }
}

/// Which stacks are on the way from the root to those with samples.
struct Shape {
    /// By rising number, the root first.
    stacks: Vec<u32>,
}

impl Shape {
    fn of(generation: &Generation, sums: &StackSums, used: &mut [bool]) -> Self {
        let rows = generation.stacks.items();
        let mut seen = foldhash::HashSet::default();
        let mut marks: Option<Vec<bool>> =
            (sums.sums.len() > rows.len() / 16).then(|| vec![false; rows.len()]);
        let mut stacks = vec![ROOT];
        for &(leaf, _) in &sums.sums {
            let mut at = leaf;
            while at != ROOT {
                let is_new = match &mut marks {
                    Some(marks) => {
                        marks.get_mut(at as usize).is_some_and(|mark| !std::mem::replace(mark, true))
                    }
                    None => seen.insert(at),
                };
                let Some(row) = rows.get(at as usize).filter(|_| is_new) else { break };
                stacks.push(at);
                if let Some(used) = used.get_mut(row.frame as usize) {
                    *used = true;
                }
                at = row.parent;
            }
        }
        stacks.sort_unstable();
        Self { stacks }
    }

    fn view(self, generation: &Generation, sums: &StackSums, shown: &[Shown]) -> View {
        let place = |stack: u32| self.stacks.binary_search(&stack).map_or(0, number);
        let rows = generation.stacks.items();
        let mut nodes: Vec<ViewNode> =
            self.stacks.iter().map(|&stack| node(rows.get(stack as usize), stack, place, shown)).collect();
        for (stack, sum) in &sums.sums {
            if let Some(node) = nodes.get_mut(place(*stack) as usize) {
                node.own.add(*sum);
            }
        }
        // Children come after their parents, so backwards everything below a node is complete before it.
        for at in (0..nodes.len()).rev() {
            let Some(node) = nodes.get_mut(at) else { continue };
            node.total.add(node.own);
            let (total, parent) = (node.total, node.parent);
            if at == 0 {
                continue;
            }
            let Some(parent_node) = nodes.get_mut(parent as usize) else { continue };
            parent_node.total.add(total);
            let next = std::mem::replace(&mut parent_node.first_child, number(at));
            if let Some(node) = nodes.get_mut(at) {
                node.next_sibling = next;
            }
        }
        View { group: sums.group, nodes }
    }
}

fn node(
    row: Option<&crate::generation::StackRow>,
    stack: u32,
    place: impl Fn(u32) -> u32,
    shown: &[Shown],
) -> ViewNode {
    let row = row.filter(|_| stack != ROOT);
    ViewNode {
        parent: row.map_or(0, |row| place(row.parent)),
        shown: row.and_then(|row| shown.get(row.frame as usize).copied().flatten()),
        own: Pair::default(),
        total: Pair::default(),
        first_child: NONE,
        next_sibling: NONE,
    }
}
