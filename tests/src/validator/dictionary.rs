//! Rules of the seven tables.

use std::collections::HashSet;

use super::at::At;
use super::check::{Check, Table};
use super::convention;
use super::rule::Rule;
use crate::otlp::wire::{AnyValue, Attribute, Dictionary, Function, Line, Link, Location, Mapping, Stack};

/// Checks every table, and marks the entries that tables use of each other.
pub(super) fn check(check: &mut Check<'_>) {
    sentinels(check);
    duplicates(check);
    let Dictionary { mapping_table, location_table, function_table, link_table, attribute_table, .. } =
        check.dictionary;
    // Sentinels have rules of their own; they need no build ID, name or frame type.
    for (n, entry) in mapping_table.iter().enumerate().skip(1) {
        mapping(check, entry, &Table::Mapping.at().item(n));
    }
    for (n, entry) in location_table.iter().enumerate().skip(1) {
        location(check, entry, &Table::Location.at().item(n));
    }
    for (n, entry) in function_table.iter().enumerate().skip(1) {
        function(check, entry, &Table::Function.at().item(n));
    }
    for (n, entry) in link_table.iter().enumerate().skip(1) {
        let is_id = |id: &str, len| id.len() == len && id.bytes().any(|digit| digit != b'0');
        let ids = is_id(&entry.trace_id, 32) && is_id(&entry.span_id, 16);
        check.expect(ids, &Table::Link.at().item(n), Rule::LinkLength, format_args!("{entry:?}"));
    }
    for (n, entry) in attribute_table.iter().enumerate().skip(1) {
        attribute(check, entry, &Table::Attribute.at().item(n));
    }
    for (n, entry) in check.dictionary.stack_table.iter().enumerate().skip(1) {
        let at = Table::Stack.at().item(n);
        check.expect(!entry.location_indices.is_empty(), &at, Rule::StackKnown, "no frames");
        for (frame, &index) in entry.location_indices.iter().enumerate() {
            let at = at.key("locationIndices").item(frame);
            check.follow(Table::Location, index, &at);
            check.expect(index != 0, &at, Rule::StackKnown, "the sentinel");
        }
    }
}

fn sentinels(check: &mut Check<'_>) {
    let dictionary = check.dictionary;
    let attribute = dictionary.attribute_table.first().is_some_and(|first| {
        // The Collector writes an empty value, where the specification has none.
        let bare = first.value.as_ref().is_none_or(|value| *value == AnyValue::default());
        bare && Attribute { value: None, ..first.clone() } == Attribute::default()
    });
    for (table, kept) in [
        (Table::Mapping, dictionary.mapping_table.first() == Some(&Mapping::default())),
        (Table::Location, dictionary.location_table.first() == Some(&Location::default())),
        (Table::Function, dictionary.function_table.first() == Some(&Function::default())),
        // A link of 16 and 8 zero bytes is refused: the specification allows it, but Parca does not.
        (Table::Link, dictionary.link_table.first() == Some(&Link::default())),
        (Table::String, dictionary.string_table.first().is_some_and(String::is_empty)),
        (Table::Attribute, attribute),
        (Table::Stack, dictionary.stack_table.first() == Some(&Stack::default())),
    ] {
        check.expect(kept, &table.at().item(0), Rule::Sentinel, "not the zero value");
    }
}

fn duplicates(check: &mut Check<'_>) {
    let dictionary = check.dictionary;
    unique(check, Table::Mapping, dictionary.mapping_table.iter());
    unique(check, Table::Location, dictionary.location_table.iter());
    unique(check, Table::Function, dictionary.function_table.iter());
    unique(check, Table::Link, dictionary.link_table.iter());
    unique(check, Table::String, dictionary.string_table.iter());
    // Numbers have no total equality, but their text has.
    unique(check, Table::Attribute, dictionary.attribute_table.iter().map(|entry| format!("{entry:?}")));
    unique(check, Table::Stack, dictionary.stack_table.iter());
}

fn unique<T: std::hash::Hash + Eq>(check: &mut Check<'_>, table: Table, entries: impl Iterator<Item = T>) {
    let mut seen = HashSet::new();
    for (n, entry) in entries.enumerate() {
        check.expect(seen.insert(entry), &table.at().item(n), Rule::NoDuplicate, "an earlier entry again");
    }
}

fn mapping(check: &mut Check<'_>, mapping: &Mapping, at: &At<'_>) {
    let Mapping { memory_start, memory_limit, filename_strindex, attribute_indices, .. } = mapping;
    let ordered = memory_start < memory_limit || (*memory_start, *memory_limit) == (0, 0);
    check.expect(ordered, at, Rule::MappingOrder, format_args!("{memory_start:#x}..{memory_limit:#x}"));
    let name = check.string(*filename_strindex, &at.key("filenameStrindex"));
    let attributes = check.attributes(attribute_indices, at);
    let named = attributes.iter().any(|(key, _)| key.starts_with(convention::BUILD_ID));
    check.expect(named, at, Rule::BuildIdPresent, name);
    let hashed = attributes.iter().any(|&(key, _)| key == convention::HTLHASH);
    check.expect(hashed, at, Rule::HtlhashPresent, name);
}

fn location(check: &mut Check<'_>, location: &Location, at: &At<'_>) {
    check.follow(Table::Mapping, location.mapping_index, &at.key("mappingIndex"));
    let known = location.mapping_index != 0 || !location.lines.is_empty();
    check.expect(known, at, Rule::LocationKnown, format_args!("only address {:#x}", location.address));
    for (n, line) in location.lines.iter().enumerate() {
        let at = &at.key("lines").item(n);
        let Line { function_index, line, column } = line;
        check.follow(Table::Function, *function_index, &at.key("functionIndex"));
        check.expect(*function_index != 0, at, Rule::FunctionNamed, "the sentinel");
        check.expect(*line >= 0 && *column >= 0, at, Rule::LineNumber, format_args!("{line}:{column}"));
    }
    let attributes = check.attributes(&location.attribute_indices, at);
    let typed = attributes.iter().any(|&(key, _)| key == convention::FRAME_TYPE);
    check.expect(typed, at, Rule::FrameType, "none");
}

fn function(check: &mut Check<'_>, function: &Function, at: &At<'_>) {
    let names = [
        check.string(function.name_strindex, &at.key("nameStrindex")),
        check.string(function.system_name_strindex, &at.key("systemNameStrindex")),
        check.string(function.filename_strindex, &at.key("filenameStrindex")),
    ];
    check.expect(names.iter().any(|name| !name.is_empty()), at, Rule::FunctionNamed, "no name");
    check.expect(function.start_line >= 0, at, Rule::LineNumber, function.start_line);
}

fn attribute(check: &mut Check<'_>, attribute: &Attribute, at: &At<'_>) {
    let key = check.string(attribute.key_strindex, &at.key("keyStrindex"));
    check.string(attribute.unit_strindex, &at.key("unitStrindex"));
    convention::check(check, key, attribute.value.as_ref(), at);
}
