//! Comparison of two profiles, each by its own total, so that a longer one does not look like a busier one.

use std::collections::BTreeMap;

use crate::folded;
use crate::model::{Profile, Quantity};
use crate::svg;
use crate::tree::Tree;

/// Appends a flame graph of two profiles. A frame's width is the mean of its shares in both profiles, and its colour
/// shows in which the share is larger: red in `after`, blue in `before`.
pub fn svg(before: (&Profile, Quantity), after: (&Profile, Quantity), out: &mut Vec<u8>) {
    let mut tree = Tree::new();
    tree.add(before.0, before.1, 0);
    tree.add(after.0, after.1, 1);
    tree.total_up();
    svg::write_difference(&tree, out);
}

/// Appends lines as `difffolded.pl -n` writes them: a stack, its value in `before` scaled to the total of `after`, and
/// its value in `after`.
pub fn folded(before: (&Profile, Quantity), after: (&Profile, Quantity), out: &mut Vec<u8>) {
    let mut stacks = BTreeMap::<String, [i128; 2]>::new();
    for (side, (profile, quantity)) in [before, after].into_iter().enumerate() {
        for (stack, value) in folded::stacks(profile, quantity) {
            if let Some(sum) = stacks.entry(stack).or_default().get_mut(side) {
                *sum += i128::from(value);
            }
        }
    }
    let total = |side: usize| stacks.values().filter_map(|values| values.get(side)).sum::<i128>();
    let (total_before, total_after) = (total(0), total(1));
    // Rounded by the running sum, so that the scaled values add up to the total exactly.
    let scale = |sum: i128| if total_before > 0 { sum.saturating_mul(total_after) / total_before } else { 0 };
    let mut sum = 0;
    for (stack, [before, after]) in &stacks {
        let scaled = scale(sum + before) - scale(sum);
        sum += before;
        out.extend_from_slice(format!("{stack} {scaled} {after}\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, profile};

    #[test]
    fn shares_are_compared_and_not_numbers() {
        let one = profile();
        let mut twice = profile();
        twice.merge(&profile(), &crate::Bounds::default());
        let mut out = Vec::new();
        folded((&one, Quantity::Captures), (&twice, Quantity::Captures), &mut out);
        let text = String::from_utf8(out).unwrap();
        for line in text.lines() {
            let mut numbers = line.rsplit(' ');
            assert_eq!(numbers.next(), numbers.next(), "{text}");
        }
    }

    #[test]
    fn hostile_names_stay_names() {
        let (one, two) = (crate::fixture::hostile(), profile());
        for (before, after) in [(&one, &two), (&two, &one), (&one, &one)] {
            let (before, after) = ((before, Quantity::Captures), (after, Quantity::Captures));
            let (mut picture, mut lines) = (Vec::new(), Vec::new());
            svg(before, after, &mut picture);
            folded(before, after, &mut lines);
            let (picture, lines) = (String::from_utf8(picture).unwrap(), String::from_utf8(lines).unwrap());
            let document = roxmltree::Document::parse(&picture).unwrap();
            assert_eq!(document.descendants().filter(|node| node.has_tag_name("script")).count(), 1);
            for text in [&picture, &lines] {
                assert!(!text.contains(|c: char| c != '\n' && textline::is_unseen(c)), "{text}");
            }
            for line in lines.lines() {
                let [after, before, stack] = line.rsplitn(3, ' ').collect::<Vec<_>>()[..] else {
                    panic!("{line}")
                };
                assert!(stack.split(';').all(|frame| !frame.is_empty()), "{line}");
                assert!(before.parse::<u64>().is_ok() && after.parse::<u64>().is_ok(), "{line}");
            }
        }
    }

    #[test]
    fn what_is_new_is_red_and_what_is_gone_is_blue() {
        let mut other = Fixture::new();
        let thread = other.thread(1, "/opt/app", None, "app");
        other.sample(1, thread, &[1]);
        let before = profile();
        let mut out = Vec::new();
        svg((&before, Quantity::Captures), (&other.profile, Quantity::Captures), &mut out);
        let text = String::from_utf8(out).unwrap();
        roxmltree::Document::parse(&text).unwrap();
        assert!(text.contains("83.33% → 100.00% (+16.67%)"), "{text}");
        assert!(text.contains("16.67% → 0.00% (-16.67%)"), "{text}");
    }
}
