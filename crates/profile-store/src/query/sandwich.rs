//! One function: who calls it, and what it calls.

use foldhash::HashMap;
use serde::Serialize;

use crate::query::frames::FrameView;
use crate::query::tree::{Tree, TreeBuilder, grow};
use crate::query::view::Views;
use crate::query::{Pair, Query, SMALLEST_PART};
use crate::store::Store;

/// Most nodes of the tree of callers before what is small is left out.
const MOST_CALLERS: usize = 200_000;

/// One function: who calls it, and what it calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sandwich {
    /// From the function outwards: the children of a node are its callers.
    pub callers: Tree,
    /// From the function inwards.
    pub callees: Tree,
}

/// The callers and callees of the functions with this name, in this module if one is named.
#[must_use]
pub fn sandwich(store: &Store, query: &Query, name: &str, module: Option<&str>) -> Sandwich {
    let mut views = Views::of(store, query);
    let is_meant =
        |frame: &FrameView| frame.name == name && module.is_none_or(|module| frame.module == module);
    let frames = 0..crate::table::number(views.frames.len());
    let wanted: Vec<bool> = frames.map(|frame| views.frames.get(frame).is_some_and(is_meant)).collect();
    let outermost = outermost(&views, &wanted);
    let callers = callers(&mut views, &outermost, name);
    Sandwich { callers, callees: grow(&mut views, outermost, name, false) }
}

/// Nodes of the wanted frames that have no such node among their callers: what is below one is counted once.
fn outermost(views: &Views, wanted: &[bool]) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    for (view, of) in (0..).zip(&views.views) {
        let mut is_inside = vec![false; of.nodes.len()];
        for (at, node) in (0_u32..).zip(&of.nodes) {
            let is_below = at > 0 && is_inside.get(node.parent as usize).copied().unwrap_or_default();
            let is_wanted =
                node.shown.is_some_and(|frame| wanted.get(frame as usize).copied().unwrap_or_default());
            if is_wanted && !is_below {
                found.push((view, at));
            }
            if let Some(inside) = is_inside.get_mut(at as usize) {
                *inside = is_below || is_wanted;
            }
        }
    }
    found
}

/// A node of the tree of callers.
#[derive(Default)]
struct Caller {
    frame: u32,
    total: Pair,
    /// What has no further caller.
    own: Pair,
    children: Vec<u32>,
}

fn callers(views: &mut Views, of: &[(u32, u32)], name: &str) -> Tree {
    let root = views.frames.number(FrameView::summary(name, ""));
    let mut nodes = vec![Caller { frame: root, ..Caller::default() }];
    let mut places: HashMap<(u32, u32), u32> = HashMap::default();
    for &(view, start) in of {
        let Some(first) = views.node((view, start)) else { continue };
        let (total, mut at, mut place) = (first.total, first.parent, 0_u32);
        add(&mut nodes, place, |node| node.total.add(total));
        // The root is node 0.
        while at != 0 && nodes.len() < MOST_CALLERS {
            let Some(node) = views.node((view, at)) else { break };
            at = node.parent;
            let Some(frame) = node.shown else { continue };
            let next = crate::table::number(nodes.len());
            let child = *places.entry((place, frame)).or_insert(next);
            if child == next {
                nodes.push(Caller { frame, ..Caller::default() });
                add(&mut nodes, place, |node| node.children.push(next));
            }
            place = child;
            add(&mut nodes, place, |node| node.total.add(total));
        }
        add(&mut nodes, place, |node| node.own.add(total));
    }
    write(views, &nodes)
}

fn add(nodes: &mut [Caller], at: u32, change: impl FnOnce(&mut Caller)) {
    if let Some(node) = nodes.get_mut(at as usize) {
        change(node);
    }
}

/// The tree without what is too small.
fn write(views: &mut Views, nodes: &[Caller]) -> Tree {
    let whole = nodes.first().map(|root| root.total).unwrap_or_default();
    let mut builder = TreeBuilder::default();
    let mut pending = vec![(0_u32, 0_u32)];
    while let Some((at, depth)) = pending.pop() {
        let Some(node) = nodes.get(at as usize) else { continue };
        builder.push(views, depth, node.frame, node.total, node.own);
        let total = |child: &u32| nodes.get(*child as usize).map(|node| node.total).unwrap_or_default();
        let (mut kept, rest): (Vec<u32>, Vec<u32>) =
            node.children.iter().partition(|child| total(child).is_part(whole, SMALLEST_PART));
        if !rest.is_empty() {
            let mut sum = Pair::default();
            rest.iter().for_each(|child| sum.add(total(child)));
            let frame = views.frames.number(FrameView::summary(&format!("other ({})", rest.len()), ""));
            builder.push(views, depth + 1, frame, sum, sum);
        }
        let name = |child: &u32| {
            nodes.get(*child as usize).and_then(|node| views.frames.get(node.frame)).map(|frame| &frame.name)
        };
        kept.sort_by(|a, b| name(b).cmp(&name(a)));
        pending.extend(kept.into_iter().map(|child| (child, depth + 1)));
    }
    builder.tree
}
