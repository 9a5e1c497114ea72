//! `type[/name]`, as the Collector has it (`component/identifiable.go`).

use super::*;

#[test]
fn ids_of_components_are_those_of_the_collector() {
    let long = "a".repeat(64);
    let longest = "n".repeat(1024);
    for (id, reported) in [
        ("debug", None),
        ("debug/2", None),
        ("' debug / 2 '", None),
        ("debug/a/b", None),
        ("debug/\u{fc}n\u{ef}", None),
        ("debug/a.b-c_d", None),
        (&format!("debug/{longest}"), None),
        (&format!("debug/{longest}n"), Some("exporters: invalid character(s) in name")),
        ("''", Some("exporters: id must not be empty")),
        ("' '", Some("exporters: id must not be empty")),
        ("debug/", Some("exporters: in \"debug/\" id: the part after / should not be empty")),
        ("/a", Some("exporters: in \"/a\" id: the part before / should not be empty")),
        ("1debug", Some("exporters: invalid character(s) in type \"1debug\"")),
        ("de-bug", Some("exporters: invalid character(s) in type \"de-bug\"")),
        ("de bug", Some("exporters: invalid character(s) in type \"de bug\"")),
        (&long, Some("exporters: invalid character(s) in type")),
        ("debug/a b", Some("exporters: invalid character(s) in name \"a b\"")),
        ("debug/a$b", Some("exporters: invalid character(s) in name \"a$b\"")),
        ("Debug", Some("exporters: unknown type: \"Debug\" for id: \"Debug\" (did you mean \"debug\"?)")),
        ("nobody", Some("exporters: unknown type: \"nobody\" for id: \"nobody\" (valid values: [debug, ")),
        ("7", Some("exporters: invalid character(s) in type \"7\"")),
    ] {
        let text = format!("exporters: {{ ? {id} : {{}} }}");
        match reported {
            Some(reported) => assert!(faults(&text).starts_with(reported), "{id}: {}", faults(&text)),
            None => assert!(load(&[SOUND, &text]).is_ok(), "{id}: {}", faults(&text)),
        }
    }
    assert_eq!(
        faults("exporters: { debug/a: {}, 'debug / a': {} }"),
        "exporters: duplicate name \"debug/a\" after unmarshaling"
    );
}

#[test]
fn references_name_ids_with_blanks_or_without() {
    let config = load(&[SOUND, "service::pipelines::profiles::exporters: [' file / b ']"]).unwrap();
    assert_eq!(exporters(&config), 1);
}

#[test]
fn a_type_can_be_named_by_its_older_name() {
    let text =
        "exporters: { otlp: { endpoint: 'localhost:4317' }, otlp_grpc/b: { endpoint: 'localhost:4317' } }";
    let config = load(&[SOUND, text]).unwrap();
    let reported: Vec<_> = config.aliases.iter().map(ToString::to_string).collect();
    assert_eq!(reported, ["\"otlp\" alias is deprecated; use \"otlp_grpc\" instead"]);
}
