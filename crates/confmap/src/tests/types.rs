//! The values that a key of each type takes: strictly, and of a reference its original text where a string is wanted
//! (confmap's `e2e/types_test.go`).

use std::collections::BTreeMap;

use configtypes::{ByteSize, GoDuration, Headers, Secret};
use serde::Deserialize;

use super::*;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Typed {
    string: String,
    int: i64,
    uint: u16,
    float: f64,
    bool: bool,
    list: Vec<String>,
    map: BTreeMap<String, String>,
    optional: Option<String>,
    section: Option<Section>,
    secret: Secret,
    headers: Headers,
    duration: GoDuration,
    size: ByteSize,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Section {
    inner: u8,
}

/// The one key of `text` as it is read, or the fault.
fn read_with(text: &str, variable: &str) -> String {
    let environment = |name: &str| (name == "V").then(|| variable.to_owned());
    let tree = Tree::load(&[Location::Yaml(text.to_owned())], &environment).unwrap();
    assert!(tree.faults.as_slice().is_empty(), "{}", tree.faults);
    let context = Context {
        originals: &tree.originals,
        root: &tree.root,
        sources: &tree.sources,
        advise: |_path| None,
    };
    let mut faults = Faults::default();
    let typed: Option<Typed> = context.decode(&Value::from(tree.root.clone()), &[], &mut faults);
    if !faults.as_slice().is_empty() {
        let faults = faults.as_slice().iter().cloned();
        return faults
            .map(|fault| Fault { source: None, ..fault }.to_string())
            .collect::<Vec<_>>()
            .join("\n");
    }
    let typed = typed.unwrap();
    match text.split(':').next().unwrap() {
        "string" => typed.string,
        "int" => typed.int.to_string(),
        "uint" => typed.uint.to_string(),
        "float" => format!("{:?}", typed.float),
        "bool" => typed.bool.to_string(),
        "list" => format!("{:?}", typed.list),
        "map" => format!("{:?}", typed.map),
        "optional" => format!("{:?}", typed.optional),
        "section" => typed.section.map_or("off".to_owned(), |section| section.inner.to_string()),
        "secret" => typed.secret.expose().to_owned(),
        "headers" => {
            let pairs = typed.headers.iter().map(|(name, value)| format!("{name}={}", value.expose()));
            pairs.collect::<Vec<_>>().join(",")
        }
        "duration" => typed.duration.to_string(),
        "size" => typed.size.to_string(),
        other => panic!("no key {other}"),
    }
}

#[test]
fn a_reference_gives_a_string_its_text_and_other_types_their_value() {
    for (variable, key, expected) in [
        ("123", "int", "123"),
        ("123", "string", "123"),
        ("0123", "int", "83"),
        ("0123", "string", "0123"),
        ("0123", "secret", "0123"),
        ("0xdeadbeef", "int", "3735928559"),
        ("0xdeadbeef", "string", "0xdeadbeef"),
        ("\"0123\"", "string", "\"0123\""),
        ("!!str 0123", "string", "!!str 0123"),
        ("true", "bool", "true"),
        ("true", "string", "true"),
        ("1e3", "float", "1000.0"),
        ("1e3", "string", "1e3"),
        ("1111:1111:1111:1111:1111::", "string", "1111:1111:1111:1111:1111::"),
        ("2006-01-02T15:04:05Z", "string", "2006-01-02T15:04:05Z"),
        ("[a, b]", "list", "[\"a\", \"b\"]"),
        ("a,b", "list", "[\"a\", \"b\"]"),
        ("[a, b]", "string", "[a, b]"),
        ("{ a: b }", "map", "{\"a\": \"b\"}"),
        ("null", "string", "null"),
        ("~", "optional", "None"),
        ("", "string", ""),
        ("", "int", "0"),
        ("{ inner: 7 }", "section", "7"),
        ("{ a: b }", "headers", "a=b"),
        ("5s", "duration", "5s"),
        ("0123", "duration", "83ns"),
        ("4MiB", "size", "4MiB"),
        ("t", "bool", "bool: expected true or false, found \"t\""),
        ("23", "bool", "bool: expected true or false, found 23"),
        (
            "x",
            "int",
            "int: expected a whole number from -9223372036854775808 to 9223372036854775807, found \"x\"",
        ),
        ("70000", "uint", "uint: expected a whole number from 0 to 65535, found 70000"),
    ] {
        assert_eq!(read_with(&format!("{key}: ${{env:V}}"), variable), expected, "{variable} to {key}");
    }
    // Inside more text there is nothing but text.
    for variable in ["123", "0123", "true", "\"0123\"", "!!str 0123", "[a, b]"] {
        let expected = format!("inline field with {variable} expansion");
        assert_eq!(read_with("string: inline field with ${env:V} expansion", variable), expected);
    }
}

#[test]
fn a_key_takes_its_type_and_no_other() {
    for (text, expected) in [
        ("string: a", "a"),
        ("string: '0123'", "0123"),
        ("string: yes", "yes"),
        ("string: 0123", "string: expected a string, found 83"),
        ("string: true", "string: expected a string, found true"),
        ("string: [a]", "string: expected a string, found a list"),
        ("string:", ""),
        ("int: 0o17", "15"),
        (
            "int: '7'",
            "int: expected a whole number from -9223372036854775808 to 9223372036854775807, found \"7\"",
        ),
        (
            "int: 7.5",
            "int: expected a whole number from -9223372036854775808 to 9223372036854775807, found 7.5",
        ),
        ("float: 7", "7.0"),
        ("bool: yes", "bool: expected true or false, found \"yes\""),
        ("bool: 1", "bool: expected true or false, found 1"),
        ("bool: True", "true"),
        ("list: [a, b]", "[\"a\", \"b\"]"),
        ("list: a,b", "[\"a\", \"b\"]"),
        ("list: ''", "[]"),
        ("list: [1]", "list::0: expected a string, found 1"),
        ("list: { a: b }", "list: expected a list, found a map"),
        ("map: { a: b }", "{\"a\": \"b\"}"),
        ("map: [a]", "map: expected a map of keys, found a list"),
        ("section: {}", "0"),
        ("section: { inner: 300 }", "section::inner: expected a whole number from 0 to 255, found 300"),
        ("section: { iner: 3 }", "section: has invalid keys: iner (did you mean \"inner\"?)"),
        ("headers: { b: x, a: y }", "a=y,b=x"),
        ("headers: [{ name: b, value: x }, { name: a, value: y }]", "b=x,a=y"),
        (
            "headers: [{ name: a, value: x }, { name: a, value: y }]",
            "headers: duplicate keys in map-style list: [a]",
        ),
        (
            "headers: { a: 7 }",
            "headers::a: expected a string, found another value (not shown, since it is secret)",
        ),
        ("secret: 7", "secret: expected a string, found another value (not shown, since it is secret)"),
        ("secret:", ""),
        ("Int: 7", "has invalid keys: Int (did you mean \"int\"?)"),
    ] {
        assert_eq!(read_with(text, ""), expected, "{text}");
    }
}
