//! The stacks of a query's samples, of one generation: a tree with sums.

use std::borrow::Cow;

use crate::query::Pair;
use crate::query::frames::{Frames, Shown, ShownFrames};
use crate::query::rules::Rules;
use crate::query::scan::{Count, Scan};
use crate::stacks::{ROOT, StackRow};
use crate::table::number;

/// No node.
const NONE: u32 = u32::MAX;

/// The stacks of a query's samples, of one generation. Node 0 is the root, and parents come before their children.
///
/// It lives for as long as an answer takes its part of it: at no time does an answer have the trees of two generations.
#[derive(Debug)]
pub(crate) struct View<'a> {
    scan: &'a Scan<'a>,
    pub rows: Cow<'a, [StackRow]>,
    /// What ends here and what comes through here, of each node.
    sums: Vec<(Pair, Pair)>,
    /// The first child that has samples and the next sibling, of each node.
    links: Vec<(u32, u32)>,
    shown: ShownFrames,
}

impl<'a> View<'a> {
    /// The stacks of so many samples of each pattern.
    pub(crate) fn of(scan: &'a Scan<'a>, counts: &[Count]) -> Self {
        let rows = scan.generation.stacks.rows();
        let mut sums = vec![(Pair::default(), Pair::default()); rows.len()];
        for (_, pattern, count) in scan.counted(counts) {
            let stack = scan.patterns.get(pattern as usize).map_or(ROOT, |row| row.stack);
            if let Some((own, total)) = sums.get_mut(stack as usize) {
                let sum = scan.sum(pattern, count);
                own.add(sum);
                total.add(sum);
            }
        }
        // Children come after their parents, so backwards everything below a node is complete before it.
        let mut links = vec![(NONE, NONE); rows.len()];
        for (at, row) in rows.iter().enumerate().skip(1).rev() {
            let total = sums.get(at).map(|(_, total)| *total).unwrap_or_default();
            if total.is_none() {
                continue;
            }
            if let Some((_, of_parent)) = sums.get_mut(row.parent as usize) {
                of_parent.add(total);
            }
            let next = links.get_mut(row.parent as usize).map(|(first, _)| std::mem::replace(first, number(at)));
            if let Some((_, sibling)) = links.get_mut(at) {
                *sibling = next.unwrap_or(NONE);
            }
        }
        Self { scan, rows, sums, links, shown: ShownFrames::of(scan.generation) }
    }

    pub(crate) fn own(&self, node: u32) -> Pair {
        self.sums.get(node as usize).map(|(own, _)| *own).unwrap_or_default()
    }

    pub(crate) fn total(&self, node: u32) -> Pair {
        self.sums.get(node as usize).map(|(_, total)| *total).unwrap_or_default()
    }

    pub(crate) fn parent(&self, node: u32) -> u32 {
        self.rows.get(node as usize).map_or(ROOT, |row| row.parent)
    }

    /// What a node is shown as; nothing of the root.
    pub(crate) fn shown(&mut self, node: u32, frames: &mut Frames, rules: &Rules) -> Shown {
        let row = self.rows.get(node as usize).filter(|_| node != ROOT)?;
        self.shown.get(row.frame, self.scan.generation, (frames, rules))
    }

    /// The first child with samples.
    pub(crate) fn first_child(&self, node: u32) -> Option<u32> {
        self.links.get(node as usize).map(|(first, _)| *first).filter(|&first| first != NONE)
    }

    /// The next sibling with samples.
    pub(crate) fn next_sibling(&self, node: u32) -> Option<u32> {
        self.links.get(node as usize).map(|(_, next)| *next).filter(|&next| next != NONE)
    }

    /// Calls `each` for every node that is shown, callers first: with its frame, its own and total sums (what is not
    /// shown below it belongs to it), and whether none of its callers is the same frame.
    pub(crate) fn walk(
        &mut self,
        frames: &mut Frames,
        rules: &Rules,
        mut each: impl FnMut(u32, Pair, Pair, bool),
    ) {
        let mut on_path: Vec<u32> = Vec::new();
        // The frame that stands for the callers of what is pending, and whether the frame is to be left again.
        let mut pending: Vec<(u32, Shown, bool)> = vec![(ROOT, None, false)];
        while let Some((at, above, is_leaving)) = pending.pop() {
            let shown = self.shown(at, frames, rules);
            if is_leaving {
                if let Some(count) = shown.and_then(|frame| on_path.get_mut(frame as usize)) {
                    *count -= 1;
                }
                continue;
            }
            match shown {
                Some(frame) => {
                    let len = on_path.len().max(frame as usize + 1);
                    on_path.resize(len, 0);
                    if let Some(count) = on_path.get_mut(frame as usize) {
                        each(frame, self.own(at), self.total(at), *count == 0);
                        *count += 1;
                        pending.push((at, above, true));
                    }
                }
                // What a hidden frame has of its own is its caller's.
                None => {
                    if let Some(above) = above.filter(|_| !self.own(at).is_none()) {
                        each(above, self.own(at), Pair::default(), false);
                    }
                }
            }
            let mut next = self.first_child(at);
            while let Some(child) = next {
                pending.push((child, shown.or(above), false));
                next = self.next_sibling(child);
            }
        }
    }
}
