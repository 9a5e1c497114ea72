//! An interactive flame graph in one file that loads no others: SVG with a small script.
//!
//! The root is at the top. A click enlarges a frame, `/` or Ctrl-F searches by a regular expression and shows the share
//! that matches, Escape goes back. Without scripts, as in a preview, the picture still shows the names that fit.

mod color;
mod layout;
#[cfg(test)]
mod tests;

use self::layout::{Placed, WIDTH, place};
use crate::model::{Profile, Quantity};
use crate::tree::Tree;
use crate::xml::escape;

/// Height of a frame, in pixels.
const ROW: usize = 17;
/// Height of the room above the frames, in pixels.
const HEAD: usize = 56;
/// Height of the room below the frames, in pixels.
const FOOT: usize = 40;
/// Width of a wide letter, in pixels.
const LETTER: f64 = 7.2;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Appends the flame graph of a quantity.
pub fn write(profile: &Profile, quantity: Quantity, out: &mut Vec<u8>) {
    let mut tree = Tree::new();
    tree.add(profile, quantity, 0);
    tree.total_up();
    let (name, unit) = profile.quantity_name(quantity);
    let mut notes = vec![format!("{name} in {unit}")];
    let summary = profile.summary();
    if summary.lost > 0 {
        notes.push(format!("{} samples lost", summary.lost));
    }
    if summary.truncated > 0 {
        notes.push(format!("{} of {} stacks truncated", summary.truncated, summary.captured));
    }
    if summary.beyond_bounds > 0 {
        notes.push(format!("{} samples without a stack of their own", summary.beyond_bounds));
    }
    draw(&tree, &Picture { title: "Flame graph", notes, unit, differs: false }, out);
}

/// Appends the flame graph of two profiles. A frame's width is the mean of its shares in both, and its colour shows in
/// which the share is larger.
pub(crate) fn write_difference(tree: &Tree, out: &mut Vec<u8>) {
    let notes = vec!["share of each profile; red has grown, blue has shrunk".to_owned()];
    draw(tree, &Picture { title: "Differential flame graph", notes, unit: "", differs: true }, out);
}

struct Picture<'a> {
    title: &'a str,
    notes: Vec<String>,
    unit: &'a str,
    differs: bool,
}

fn draw(tree: &Tree, picture: &Picture<'_>, out: &mut Vec<u8>) {
    let (placed, left_out) = place(tree, picture.differs);
    let rows = placed.iter().map(|frame| frame.depth + 1).max().unwrap_or(1);
    let height = HEAD + rows * ROW + FOOT;
    let mut text = String::new();
    text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n");
    text.push_str(&format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\">\n<style>{STYLE}</style>\n<rect class=\"back\" width=\"100%\" height=\"100%\"/>\n"
    ));
    let mut notes = picture.notes.clone();
    if left_out > 0 {
        notes.push(format!("{left_out} frames too narrow to show"));
    }
    label(&mut text, "title", 600.0, 22, picture.title);
    label(&mut text, "notes", 600.0, 40, &notes.join(" · "));
    label(&mut text, "reset", 10.0, 22, "");
    label(&mut text, "search", 1190.0, 22, "Search");
    label(&mut text, "matched", 1190.0, 40, "");
    label(&mut text, "details", 10.0, height - 14, " ");
    text.push_str("<g id=\"frames\">\n");
    for frame in &placed {
        draw_frame(frame, tree, picture, &mut text);
    }
    text.push_str("</g>\n<script><![CDATA[\n");
    text.push_str(SCRIPT);
    text.push_str("\n]]></script>\n</svg>\n");
    out.extend_from_slice(text.as_bytes());
}

fn label(out: &mut String, id: &str, x: f64, y: usize, text: &str) {
    out.push_str(&format!("<text id=\"{id}\" x=\"{x}\" y=\"{y}\">"));
    escape(text, out);
    out.push_str("</text>\n");
}

fn draw_frame(frame: &Placed<'_>, tree: &Tree, picture: &Picture<'_>, out: &mut String) {
    let name = tree.label(frame.node).map_or("", |label| &label.name);
    let kind = tree.label(frame.node).map(|label| label.kind).unwrap_or_default();
    let (x, width) = (frame.start * WIDTH, frame.share * WIDTH);
    let y = HEAD + frame.depth * ROW;
    let (color, says) = if picture.differs {
        let change = frame.shares[1] - frame.shares[0];
        let [before, after] = frame.shares.map(|share| share * 100.0);
        (color::of_change(change), format!("{before:.2}% → {after:.2}% ({:+.2}%)", change * 100.0))
    } else {
        let (total, own, unit) = (frame.node.total[0], frame.node.own[0], picture.unit);
        (color::of_frame(name, kind), format!("{total} {unit}, {:.2}% (self {own})", frame.share * 100.0))
    };
    out.push_str(&format!(
        "<g class=\"f\" tabindex=\"0\" data-x=\"{:.8}\" data-w=\"{:.8}\" data-d=\"{}\"><title>",
        frame.start, frame.share, frame.depth
    ));
    escape(name, out);
    out.push_str(&format!(" — {says}</title>"));
    out.push_str(&format!(
        "<rect x=\"{x:.2}\" y=\"{y}\" width=\"{width:.2}\" height=\"{}\" fill=\"{color}\"/>",
        ROW - 1
    ));
    let letters = ((width - 6.0) / LETTER).floor();
    if letters >= 2.0 {
        out.push_str(&format!("<text x=\"{:.2}\" y=\"{}\">", x + 3.0, y + 12));
        escape(&fit(name, letters), out);
        out.push_str("</text>");
    }
    out.push_str("</g>\n");
}

/// The name, cut if there is room for fewer letters.
fn fit(name: &str, letters: f64) -> String {
    let count = name.chars().count();
    let room = (0..count).take_while(|&number| usize_to_f64(number) < letters).count();
    if room >= count {
        return name.to_owned();
    }
    name.chars().take(room.saturating_sub(2)).chain("..".chars()).collect()
}

/// A count of letters as a float.
fn usize_to_f64(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}
