//! Several locations become one: maps are joined, all else replaced, null erases (confmap's README, koanf's merge).

use super::*;

/// Name of a case, locations, and the tree that they make together.
const TABLE: [(&str, &[&str], &str); 25] = [
    ("maps are joined", &["a: { b: 1 }", "a: { c: 2 }"], "{a: {b: 1, c: 2}}"),
    (
        "joined at every depth",
        &["a: { b: { c: 1 } }", "a: { b: { d: 2 }, e: 3 }"],
        "{a: {b: {c: 1, d: 2}, e: 3}}",
    ),
    ("the later wins", &["a: 1", "a: 2", "a: 3"], "{a: 3}"),
    ("lists are replaced", &["a: [1, 2, 3]", "a: [4]"], "{a: [4]}"),
    ("an empty list replaces", &["a: [1]", "a: []"], "{a: []}"),
    ("lists of maps are replaced", &["a: [{ b: 1 }]", "a: [{ c: 2 }]"], "{a: [{c: 2}]}"),
    ("null erases a map", &["a: { b: 1 }", "a:"], "{a: null}"),
    ("null erases a list", &["a: [1]", "a: ~"], "{a: null}"),
    ("null erases a scalar", &["a: 1", "a: null"], "{a: null}"),
    ("an empty map does not erase", &["a: { b: 1 }", "a: {}"], "{a: {b: 1}}"),
    ("a map over null", &["a:", "a: { b: 1 }"], "{a: {b: 1}}"),
    ("what null erased does not come back", &["a: { b: 1 }", "a:", "a: { c: 2 }"], "{a: {c: 2}}"),
    ("a scalar replaces a map", &["a: { b: 1 }", "a: 2"], "{a: 2}"),
    ("a map replaces a scalar", &["a: 2", "a: { b: 1 }"], "{a: {b: 1}}"),
    ("a map replaces a list", &["a: [1]", "a: { b: 1 }"], "{a: {b: 1}}"),
    ("an empty location changes nothing", &["a: 1", ""], "{a: 1}"),
    ("two colons separate keys", &["a::b::c: 1"], "{a: {b: {c: 1}}}"),
    ("and join what is there", &["a: { b: { d: 2 } }", "a::b::c: 1"], "{a: {b: {c: 1, d: 2}}}"),
    ("in one text, too", &["{ a: { b: 1 }, a::c: 2 }"], "{a: {b: 1, c: 2}}"),
    ("in an id", &["a::file/x::path: p"], "{a: {file/x: {path: \"p\"}}}"),
    ("below a key", &["a: { b::c: 1 }"], "{a: {b: {c: 1}}}"),
    ("with null for a value", &["a: { b: { c: 1 } }", "a::b: null"], "{a: {b: null}}"),
    ("keys are as they are written", &["A: 1", "a: 2"], "{A: 1, a: 2}"),
    ("a dot separates nothing", &["a.b: 1"], "{a.b: 1}"),
    (
        "anchors and merge keys are YAML's",
        &["{ x: &x { p: 1 }, y: { <<: *x, q: 2 } }"],
        "{x: {p: 1}, y: {p: 1, q: 2}}",
    ),
];

#[test]
fn locations_are_merged_as_in_the_collector() {
    for (name, texts, expected) in TABLE {
        assert_eq!(merged(texts), expected, "{name}: {texts:?}");
    }
}

#[test]
fn references_are_expanded_once_all_is_merged() {
    for (name, texts, expected) in [
        ("a map over a reference to a map", ["a: ${env:MAP}", "a: { d: 1 }"], "{a: {d: 1}}"),
        ("a reference over a map", ["a: { d: 1 }", "a: ${env:MAP}"], "{a: {a: 1, b: {c: 42}}}"),
        ("a reference that is replaced is not looked at", ["a: ${env:NOT-A-NAME}", "a: 1"], "{a: 1}"),
    ] {
        assert_eq!(merged(&texts), expected, "{name}");
    }
    assert_eq!(tree(&["a: ${env:UNSET}", "a: 1"]).unwrap().unset, Vec::<String>::new());
}

#[test]
fn a_setting_is_the_last_word_and_sets_one_key() {
    let base = Location::Yaml("{ a: { b: 1, c: [1, 2] }, d: 0 }".to_owned());
    let set = |text| Location::parse_setting(text).unwrap();
    for (name, settings, expected) in [
        ("a key", vec!["a.b=2"], "{a: {b: 2, c: [1, 2]}, d: 0}"),
        ("the last of two", vec!["a.b=2", "a.b=3"], "{a: {b: 3, c: [1, 2]}, d: 0}"),
        ("a list is replaced", vec!["a.c=[3]"], "{a: {b: 1, c: [3]}, d: 0}"),
        ("a map is joined", vec!["a={ e: 1 }"], "{a: {b: 1, c: [1, 2], e: 1}, d: 0}"),
        ("nothing erases", vec!["a="], "{a: null, d: 0}"),
        ("an equal sign in the value", vec!["d=x=y"], "{a: {b: 1, c: [1, 2]}, d: \"x=y\"}"),
        ("colons as in the files", vec!["a::b=2"], "{a: {b: 2, c: [1, 2]}, d: 0}"),
        ("a reference", vec!["d=${env:NUMBER}"], "{a: {b: 1, c: [1, 2]}, d: 42}"),
    ] {
        let locations: Vec<_> = std::iter::once(base.clone()).chain(settings.into_iter().map(set)).collect();
        let tree = Tree::load(&locations, &environment).unwrap();
        assert_eq!(shown(&Value::from(tree.root)), expected, "{name}");
    }
    let alone = Tree::load(&[set("a=1")], &environment);
    assert!(matches!(alone, Err(ConfigError::NoLocation)), "a setting alone is no configuration");
}
