//! Attributes whose type and form the semantic conventions (1.44) fix.

use super::at::At;
use super::check::Check;
use super::rule::Rule;
use crate::otlp::value;
use crate::otlp::wire::AnyValue;

/// Prefix of the keys of build IDs, which go on mappings.
pub(super) const BUILD_ID: &str = "process.executable.build_id.";

/// Key of the build ID of every file that could be read.
pub(super) const HTLHASH: &str = "process.executable.build_id.htlhash";

/// Key of the kind of code at a location.
pub(super) const FRAME_TYPE: &str = "profile.frame.type";

/// Kinds of code that every reader knows. `rust` and `luajit` are in the conventions but make
/// devfiler refuse the request.
pub(super) const FRAME_TYPES: [&str; 11] =
    ["beam", "cpython", "dotnet", "go", "jvm", "kernel", "native", "perl", "php", "ruby", "v8js"];

const INTEGERS: [&str; 4] = ["process.pid", "process.parent_pid", "thread.id", "cpu.logical_number"];

const STRINGS: [&str; 9] = [
    "service.name",
    "container.id",
    "process.executable.path",
    "process.executable.name",
    "process.command",
    "process.creation.time",
    "thread.name",
    "profile.stack.truncated",
    FRAME_TYPE,
];

/// Checks that a conventional attribute has its conventional type and form, and that any other has a value.
pub(super) fn check(check: &mut Check<'_>, key: &str, value: Option<&AnyValue>, at: &At<'_>) {
    check.expect(!key.is_empty(), at, Rule::AttributeComplete, "no key");
    let value = match value {
        Some(value) if *value != AnyValue::default() => value,
        _ => return check.broken(at, Rule::AttributeComplete, format_args!("no value for {key:?}")),
    };
    references(check, value, &at.key("value"));
    let text = value::text(value, &check.dictionary.string_table);
    let build_id = key.strip_prefix(BUILD_ID);
    if INTEGERS.contains(&key) {
        check.expect(value.int_value.is_some(), at, Rule::AttributeType, format_args!("{key} is no integer"));
    }
    if STRINGS.contains(&key) || build_id.is_some() {
        check.expect(text.is_some(), at, Rule::AttributeType, format_args!("{key} is no text"));
    }
    let text = text.unwrap_or_default();
    let well_formed = match build_id {
        Some("gnu") => is_hex(text) && text.len() <= 40,
        Some("htlhash") => is_hex(text) && text.len() == 32,
        Some("go") => !text.is_empty(),
        Some(_) => false,
        None => true,
    };
    check.expect(well_formed, at, Rule::BuildIdFormat, format_args!("{key}={text:?}"));
    if key == FRAME_TYPE {
        check.expect(FRAME_TYPES.contains(&text), at, Rule::FrameType, text);
    }
}

/// Checks that references in a value, however deep, are within the string table, and that its keys are complete.
fn references(check: &mut Check<'_>, value: &AnyValue, at: &At<'_>) {
    if let Some(index) = value.string_value_strindex {
        check.string(index, &at.key("stringValueStrindex"));
    }
    for (n, value) in value.array_value.iter().flat_map(|array| &array.values).enumerate() {
        references(check, value, &at.key("arrayValue").key("values").item(n));
    }
    for (n, pair) in value.kvlist_value.iter().flat_map(|list| &list.values).enumerate() {
        let list = at.key("kvlistValue");
        let at = &list.key("values").item(n);
        let named = check.string(pair.key_strindex, &at.key("keyStrindex"));
        let complete = !(named.is_empty() && pair.key.is_empty());
        check.expect(complete, at, Rule::AttributeComplete, "no key");
        if let Some(value) = &pair.value {
            references(check, value, &at.key("value"));
        }
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty()
        && text.len().is_multiple_of(2)
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
