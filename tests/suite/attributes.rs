//! The table of attributes in `docs/metadata.md`, against the names in the code.

use std::collections::BTreeSet;
use std::fs;

use tests::workspace;

/// Files that name attributes of resources, and whether a file names others, too: those then say so.
const NAMES: [(&str, bool); 3] = [
    ("../crates/pdata/src/names.rs", false),
    ("../crates/processor-procinfo/src/sources/names.rs", false),
    ("../crates/otlp-profiles/src/attributes.rs", true),
];
/// Further files in which attributes are named where they are made.
const OTHERS: [&str; 2] = ["../crates/processor-procinfo/src/host.rs", "../crates/k8s/src/extract.rs"];
/// Bytes beside those of key and example that an attribute takes: tags and lengths.
const AROUND: usize = 16;

fn text(file: &str) -> String {
    fs::read_to_string(workspace::file(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The first text between two marks.
fn between(text: &str, mark: char) -> Option<&str> {
    text.split(mark).nth(1)
}

/// Names of the attributes that resources have, as the code has them; one that ends with a dot has more behind it.
fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (file, has_others) in NAMES {
        let mut comment = String::new();
        for line in text(file).lines().map(str::trim) {
            if let Some(more) = line.strip_prefix("///") {
                comment.push_str(more);
            } else if line.contains("const ") {
                let is_of_resource = !has_others || comment.trim_start().starts_with("Resource");
                let name = between(line, '"').filter(|name| name.contains('.') && is_of_resource);
                names.extend(name.map(str::to_owned));
                comment.clear();
            }
        }
    }
    assert!(names.contains("procinfo.loader.path") && names.contains("process.vpid"), "{names:?}");
    names
}

/// Rows of the tables of attributes: attribute, example, source and bytes.
fn rows(page: &str) -> Vec<[&str; 4]> {
    let mut rows = Vec::new();
    let mut is_table = false;
    for line in page.lines() {
        let cells: Vec<&str> = line
            .strip_prefix('|')
            .map(|line| line.trim_end_matches('|').split('|').map(str::trim).collect())
            .unwrap_or_default();
        is_table = !cells.is_empty() && (is_table || cells.last() == Some(&"bytes"));
        // The choice that asks for the attribute may stand before it.
        if let [.., attribute, example, source, bytes] = cells[..]
            && is_table
            && bytes != "bytes"
            && !bytes.starts_with("---")
        {
            rows.push([attribute, example, source, bytes]);
        }
    }
    rows
}

/// Every attribute that a resource can have is on the page, and every row of the page is of one, with an example, its
/// source and its cost.
#[test]
fn every_attribute_is_documented_and_every_documented_one_is_there() {
    let page = text("../docs/metadata.md");
    let names = names();
    for name in &names {
        let documented = if name.ends_with('.') { format!("`{name}") } else { format!("`{name}`") };
        assert!(page.contains(&documented), "{name} is not in docs/metadata.md");
    }
    let code: String = OTHERS.iter().map(|file| text(file)).collect();
    let rows = rows(&page);
    assert!(rows.len() > 40, "{rows:?}");
    for [attribute, example, source, bytes] in rows {
        let name = between(attribute, '`').unwrap_or_else(|| panic!("{attribute} is no attribute"));
        let (prefix, _) = name.rsplit_once('.').expect("names of attributes have dots");
        let prefix = format!("{prefix}.");
        let is_there = names.contains(name)
            || names.contains(&prefix)
            || code.contains(&format!("\"{name}\""))
            || code.contains(&format!("\"{prefix}\""))
            // Whatever users say.
            || name == "k8s.cluster.name";
        assert!(is_there, "{name} is not in the code");
        let value = between(example, '`').unwrap_or_else(|| panic!("{name} has no example: {example}"));
        assert!(!source.is_empty(), "{name} has no source");
        let bytes: usize = bytes.parse().unwrap_or_else(|error| panic!("{name}: {bytes}: {error}"));
        let length = if example.contains("(64 digits)") { 64 } else { value.len() };
        assert!(
            (name.len() + 2..=name.len() + length + AROUND).contains(&bytes),
            "{name} takes {bytes} bytes"
        );
    }
}
