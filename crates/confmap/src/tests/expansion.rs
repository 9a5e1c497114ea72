//! References in a tree: where they count, what they become, and which dollar signs are left. `expand/tests.rs` tests
//! the expansion of single values.

use super::*;

#[test]
fn references_in_values_become_what_they_refer_to() {
    for (name, text, expected) in [
        ("a number", "a: ${env:NUMBER}", "{a: 42}"),
        ("without a scheme it is env", "a: ${NUMBER}", "{a: 42}"),
        ("YAML's octal", "a: ${env:DIGITS}", "{a: 83}"),
        ("a text", "a: ${env:TEXT}", "{a: \"text\"}"),
        ("quotes are part of a text", "a: ${env:QUOTED}", "{a: \"\\\"0123\\\"\"}"),
        ("a list", "a: ${env:LIST}", "{a: [\"debug\"]}"),
        ("a map, and what is in it", "a: ${env:MAP}", "{a: {a: 1, b: {c: 42}}}"),
        ("a reference to a reference", "a: ${env:CHAIN}", "{a: 83}"),
        ("in a list", "a: [\"${env:NUMBER}\", x]", "{a: [42, \"x\"]}"),
        ("quoted in the file it is the same", "a: '${env:NUMBER}'", "{a: 42}"),
        ("in a block of text", "a: |\n  x ${env:NUMBER}\n", "{a: \"x 42\\n\"}"),
        ("inside a text it is text", "a: x${env:NUMBER}", "{a: \"x42\"}"),
        ("two make a text, not a number", "a: ${env:NUMBER}${env:NUMBER}", "{a: \"4242\"}"),
        ("empty is null", "a: ${env:EMPTY}", "{a: null}"),
        ("not set is null", "a: ${env:UNSET}", "{a: null}"),
        ("empty has no use for a default", "a: ${env:EMPTY:-7}", "{a: null}"),
        ("not set has", "a: ${env:UNSET:-7}", "{a: 7}"),
        ("an empty default", "a: ${env:UNSET:-}", "{a: null}"),
        ("a default that is a list", "a: ${env:UNSET:-[1, 2]}", "{a: [1, 2]}"),
        ("a default that is a reference", "a: ${env:UNSET:-${env:NUMBER}}", "{a: 42}"),
        ("YAML in place", "a: ${yaml:[1, 2]}", "{a: [1, 2]}"),
        ("what is no YAML is text", "a: ${env:CURLY}", "{a: \"{ not: yaml\"}"),
        ("keys are not expanded", "${env:TEXT}: 1", "{${env:TEXT}: 1}"),
        ("a bare dollar sign stays", "a: $NUMBER", "{a: \"$NUMBER\"}"),
        ("two make one", "a: $$NUMBER", "{a: \"$NUMBER\"}"),
        ("two before a brace escape", "a: $${env:NUMBER}", "{a: \"${env:NUMBER}\"}"),
        ("three do not", "a: $$${env:NUMBER}", "{a: \"$42\"}"),
        ("in what a reference gives, too", "a: ${env:MONEY}", "{a: \"pa$word\"}"),
        ("raw is text, whatever it looks like", "a: ${raw:env:DIGITS}", "{a: \"0123\"}"),
        ("raw keeps its dollar signs", "a: ${raw:env:MONEY}", "{a: \"pa$$word\"}"),
        ("keys keep their dollar signs", "$$: $$", "{$$: \"$\"}"),
    ] {
        assert_eq!(merged(&[text]), expected, "{name}: {text}");
    }
}

#[test]
fn variables_that_are_not_set_are_named_once() {
    let unset = |text: &str| tree(&[text]).unwrap().unset;
    assert_eq!(unset("a: ${env:X}\nb: ${X} ${env:Y}"), ["X", "Y"]);
    assert_eq!(unset("a: ${env:X:-}\nb: ${env:EMPTY}\nc: $${env:Y}"), Vec::<String>::new());
}

#[test]
fn variables_whose_values_are_changed_are_named_once() {
    let changed = |text: &str| tree(&[text]).unwrap().changed;
    assert_eq!(changed("a: ${env:MONEY}\nb: [\"${MONEY}\", \"${env:CHAIN}\"]"), ["MONEY", "CHAIN"]);
    assert_eq!(changed("a: ${raw:env:MONEY}\nb: ${env:TEXT}"), Vec::<String>::new());
}

#[test]
fn what_cannot_be_expanded_is_a_fault_at_its_place_and_the_rest_is_read() {
    assert_eq!(
        merged(&["{ a: { b: '${env:NOT-A-NAME}' }, c: ['${http://x}'] }"]),
        "a::b: environment variable \"NOT-A-NAME\" has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$\n       \
         c::0: scheme \"http\" is not supported for uri \"http://x\" (valid values: [env, file, yaml, raw])"
    );
}

#[test]
fn what_grows_without_end_is_refused_soon() {
    for text in ["a: ${env:GROWS}", "a: ${env:NESTS}"] {
        let faults = tree(&[text]).unwrap().faults;
        let reported: Vec<_> = faults.as_slice().iter().map(|fault| fault.message.as_str()).collect();
        assert_eq!(reported, ["references expand to more than 67108864 bytes"], "{text}");
    }
}
