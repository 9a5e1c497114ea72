//! Positions of frames in the picture.

use crate::tree::{Node, Tree};

/// Width of the picture, in pixels.
pub(super) const WIDTH: f64 = 1200.0;
/// Smallest share of the whole that is drawn: a tenth of a pixel.
const SMALLEST: f64 = 0.1 / WIDTH;
/// Greatest depth of a frame that is drawn.
const DEEPEST: usize = 1000;

/// A frame with its position, in shares of the whole.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    pub(super) node: &'a Node,
    pub(super) depth: usize,
    pub(super) start: f64,
    pub(super) share: f64,
    /// The frame's share of each of two profiles.
    pub(super) shares: [f64; 2],
}

/// The frames that can be seen, callers first, and the number of those that cannot.
pub(super) fn place(tree: &Tree, differs: bool) -> (Vec<Placed<'_>>, usize) {
    let totals = tree.nodes.first().map_or([0; 2], |root| root.total);
    let children = tree.children();
    let mut placed = Vec::new();
    let mut next = vec![(0, 0.0)];
    while let Some((number, start)) = next.pop() {
        let Some(node) = tree.nodes.get(number) else { continue };
        let shares = shares(node.total, totals);
        let share = width(shares, differs);
        if share < SMALLEST || node.depth > DEEPEST {
            continue;
        }
        let mut at = start;
        for &child in children.get(number).map_or(&[][..], |children| children) {
            next.push((child, at));
            let Some(child) = tree.nodes.get(child) else { continue };
            at += width(self::shares(child.total, totals), differs);
        }
        placed.push(Placed { node, depth: node.depth, start, share, shares });
    }
    let left_out = tree.nodes.len().saturating_sub(placed.len().max(1));
    (placed, left_out)
}

fn shares(of: [i64; 2], totals: [i64; 2]) -> [f64; 2] {
    let share = |side: usize| match (of.get(side), totals.get(side)) {
        (Some(&of), Some(&total)) if total > 0 => as_f64(of) / as_f64(total),
        _ => 0.0,
    };
    [share(0), share(1)]
}

fn width([first, second]: [f64; 2], differs: bool) -> f64 {
    if differs { f64::midpoint(first, second) } else { first }
}

/// A value as a float, whose digits suffice for a picture.
#[allow(clippy::cast_precision_loss, reason = "a share of a picture")]
fn as_f64(value: i64) -> f64 {
    value as f64
}
