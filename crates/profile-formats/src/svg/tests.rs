//! Tests of profiles as flame graphs.

use std::process::Command;

use proptest::prelude::*;

use super::*;
use crate::fixture::{any_profile, hostile, profile};

fn svg(profile: &Profile) -> String {
    let mut out = Vec::new();
    write(profile, profile.main_quantity(), &mut out);
    String::from_utf8(out).unwrap()
}

/// Parses the picture as XML; returns the titles of its frames.
fn titles(svg: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(svg).unwrap();
    let allowed = ["svg", "style", "rect", "text", "g", "title", "script"];
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        assert!(allowed.contains(&node.tag_name().name()), "{node:?}");
        assert!(node.attributes().all(|attribute| !attribute.name().contains("href")), "{node:?}");
    }
    assert_eq!(document.descendants().filter(|node| node.has_tag_name("script")).count(), 1);
    let titles = document.descendants().filter(|node| node.has_tag_name("title"));
    titles.map(|node| node.text().unwrap_or_default().to_owned()).collect()
}

#[test]
fn frames_have_their_name_and_how_much_of_what_there_is_they_have() {
    let titles = titles(&svg(&profile()));
    assert_eq!(titles[0], "all — 6 count, 100.00% (self 0)");
    assert!(titles.contains(&"inlined;odd — 3 count, 50.00% (self 3)".to_owned()), "{titles:?}");
    assert!(titles.contains(&"main — 5 count, 83.33% (self 0)".to_owned()), "{titles:?}");
}

#[test]
fn hostile_names_stay_text() {
    let svg = svg(&hostile());
    let titles = titles(&svg);
    assert_eq!(titles[0], "all — 72 count, 100.00% (self 0)");
    assert!(titles.iter().any(|title| title.contains("<script>alert(1)</script>")));
    assert!(!svg.contains(|c: char| c != '\n' && textline::is_unseen(c)));
}

proptest! {
    /// Any profile, however broken, becomes a picture.
    #[test]
    fn any_profile_becomes_a_picture(profile in any_profile()) {
        titles(&svg(&profile));
    }
}

/// Node can parse the script.
#[test]
#[ignore = "needs Node"]
fn the_script_is_one() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/svg/script.js");
    assert!(Command::new("node").args(["--check", file]).status().unwrap().success());
}
