//! YAML text to trees.

use proptest::prelude::*;

use super::*;

/// The tree as JSON, and the faults, one a line.
fn read(text: &str) -> String {
    match parse(text) {
        Ok(document) => {
            let faults = document.faults.iter().map(|fault| format!(" !{}: {}", fault.line, fault.message));
            json(&document.root) + &faults.collect::<String>()
        }
        Err(fault) => format!("{}: {}", fault.line, fault.message),
    }
}

fn json(node: &Node) -> String {
    match &node.value {
        Yaml::Scalar(Scalar::String(text)) => format!("{text:?}"),
        Yaml::Scalar(scalar) => scalar.to_string(),
        Yaml::List(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(",")),
        Yaml::Map(entries) => {
            let entries = entries.iter().map(|(key, node)| format!("{}:{}", key.text, json(node)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
    }
}

#[test]
fn documents_become_trees() {
    for (text, expected) in [
        ("", "null"),
        ("# only a comment\n", "null"),
        ("---\n", "null"),
        ("a: 1\nb: [x, 'y', \"z\\n\"]\n", r#"{a:1,b:["x","y","z\n"]}"#),
        (
            "a:\n  b: |\n    one\n    two\n  c: >-\n    three\n    four\n",
            r#"{a:{b:"one\ntwo\n",c:"three four"}}"#,
        ),
        ("a: '0123'\nb: 0123\nc: !!str 0123\nd: ! 0123", r#"{a:"0123",b:83,c:"0123",d:"0123"}"#),
        ("a: !!int '7'\nb: !!float 7\nc: !!bool 'true'\nd: !!null ''", "{a:7,b:7,c:true,d:null}"),
        ("0123: x\ntrue: y\n1.5: z\n~: n", r#"{83:"x",true:"y",1.5:"z",null:"n"}"#),
        ("a: &x [1, 2]\nb: *x", "{a:[1,2],b:[1,2]}"),
        ("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3, r: 4}", "{a:{p:1,q:2},b:{q:3,r:4,p:1}}"),
        ("a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc: {<<: [*x, *y]}", "{a:{p:1},b:{p:2,q:2},c:{p:1,q:2}}"),
        ("a: '<<'\n'<<': b", "{a:\"<<\",<<:\"b\"}"),
        ("{}", "{}"),
        ("\u{feff}a: 1", "{a:1}"),
        ("%YAML 1.2\n---\na: 1\n...\n", "{a:1}"),
        ("a: x # no comment is x\nb: x#y", r#"{a:"x",b:"x#y"}"#),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn a_key_that_comes_twice_is_a_fault_that_names_both_lines_and_the_rest_is_read() {
    assert_eq!(
        read("a: 1\nb:\n  c: 1\n  d: 2\n  c: [3]\na: 2\n"),
        "{a:1,b:{c:1,d:2}} !5: mapping key \"c\" already defined at line 3 !6: mapping key \"a\" already defined at line 1"
    );
}

#[test]
fn what_is_no_yaml_is_refused_with_its_line() {
    for (text, line, words) in [
        ("a: 1\nb: [1\n", 2, "invalid YAML: "),
        ("a: 1\n b: 2\n", 2, "invalid YAML: "),
        ("a: b: c", 1, "invalid YAML: "),
        ("a: 1\nb: @x\n", 2, "invalid YAML: "),
        ("a:\n\t- b", 2, "invalid YAML: "),
        ("a: *x", 1, "invalid YAML: "),
        ("a: &x [*x]", 1, "an alias stands inside the value it refers to"),
        ("a: 1\n---\nb: 1\n", 2, "expected one YAML document, found another one"),
        ("a: !thing x", 1, "YAML tag !thing is not known here"),
        ("a: !!set {x}", 1, "YAML tag !!set is not known here"),
        ("a: !!int x", 1, "cannot decode \"x\" as a !!int"),
        ("? [a]\n: b", 1, "a key must be a string, found a list or a map"),
        ("a: 1\n<<: 7\n", 2, "map merge requires map or sequence of maps as the value"),
    ] {
        let read = read(text);
        assert!(read.starts_with(&format!("{line}: {words}")), "{text:?}: {read}");
    }
}

#[test]
fn nesting_and_aliases_are_bounded() {
    let deep = |depth| "[".repeat(depth) + &"]".repeat(depth);
    assert!(parse(&deep(MAX_DEPTH)).is_ok());
    assert_eq!(read(&deep(MAX_DEPTH + 1)), "1: nested more than 128 deep");
    assert!(read(&deep(100_000)).starts_with("1: "));
    let mut bomb = "a0: &a0 [x]\n".to_owned();
    for at in 1..20 {
        let inside = vec![format!("*a{}", at - 1); 10].join(", ");
        bomb += &format!("a{at}: &a{at} [{inside}]\n");
    }
    assert_eq!(read(&bomb), "6: more than 100000 values, those of aliases included");
}

#[test]
fn nodes_and_keys_know_their_lines() {
    let document = parse("a: 1\nb:\n  # why\n  c: [1,\n      2]\n").unwrap();
    let Yaml::Map(entries) = &document.root.value else { panic!("no map") };
    let (key, b) = &entries[1];
    assert_eq!(key.line, 2);
    let Yaml::Map(inner) = &b.value else { panic!("no map") };
    let (key, list) = &inner[0];
    let Yaml::List(items) = &list.value else { panic!("no list") };
    assert_eq!((key.line, list.line, items[1].line), (4, 4, 5));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Any text is a tree or is refused with a line that the text has.
    #[test]
    fn any_text_is_read_or_refused(text in "([-?:,\\[\\]{}#&*!|>'\"%@` \n\t]|a|<<|---|0|.){0,60}") {
        // A carriage return alone ends a line, too.
        let lines = text.matches(['\n', '\r']).count() + 1;
        match parse(&text) {
            Ok(document) => prop_assert!(document.faults.iter().all(|fault| (1..=lines).contains(&fault.line))),
            Err(fault) => prop_assert!((1..=lines).contains(&fault.line), "{fault:?}"),
        }
    }

    /// JSON is read as the same tree by YAML.
    #[test]
    fn json_is_yaml(text in "[ -~]{0,20}", number: i64, flag: bool) {
        let document = parse(&format!("{{\"a\": {text:?}, \"b\": [{number}, {flag}, null]}}"));
        let expected = format!("{{a:{text:?},b:[{number},{flag},null]}}");
        prop_assert_eq!(json(&document.unwrap().root), expected);
    }
}
