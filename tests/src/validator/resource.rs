//! Rules of resources, scopes and their contents.

use std::collections::HashSet;

use super::at::At;
use super::check::Check;
use super::rule::Rule;
use super::{convention, profile};
use crate::otlp::value;
use crate::otlp::wire::{KeyValue, ResourceProfiles, ScopeProfiles};

/// Attributes that name a resource, as text.
const REQUIRED: [&str; 2] = ["service.name", "process.executable.name"];

/// Checks every resource and its profiles, and marks the entries of tables that they use.
pub(super) fn check(check: &mut Check<'_>, resources: &[ResourceProfiles]) {
    let at = At::root("resourceProfiles");
    check.expect(!resources.is_empty(), &at, Rule::NotEmpty, "none");
    for (n, resource) in resources.iter().enumerate() {
        resource_profiles(check, resource, &at.item(n));
    }
}

fn resource_profiles(check: &mut Check<'_>, profiles: &ResourceProfiles, at: &At<'_>) {
    let attributes = match &profiles.resource {
        Some(resource) => resource.attributes.as_slice(),
        None => return check.broken(&at.key("resource"), Rule::MessagePresent, "none"),
    };
    attributes_of(check, attributes, &at.key("resource"));
    let strings = &check.dictionary.string_table;
    for required in REQUIRED {
        let named = |kv: &&KeyValue| value::key(kv, strings) == Some(required);
        let found = attributes.iter().find(named).and_then(|kv| value::text(kv.value.as_ref()?, strings));
        let there = found.is_some_and(|text| !text.is_empty());
        check.expect(there, &at.key("resource"), Rule::AttributeRequired, format_args!("no {required}"));
    }
    let at = at.key("scopeProfiles");
    check.expect(!profiles.scope_profiles.is_empty(), &at, Rule::NotEmpty, "none");
    for (n, scope) in profiles.scope_profiles.iter().enumerate() {
        scope_profiles(check, scope, &at.item(n));
    }
}

fn scope_profiles(check: &mut Check<'_>, profiles: &ScopeProfiles, at: &At<'_>) {
    match &profiles.scope {
        Some(scope) => attributes_of(check, &scope.attributes, &at.key("scope")),
        None => check.broken(&at.key("scope"), Rule::MessagePresent, "none"),
    }
    let at = at.key("profiles");
    check.expect(!profiles.profiles.is_empty(), &at, Rule::NotEmpty, "none");
    for (n, profile) in profiles.profiles.iter().enumerate() {
        profile::check(check, profile, &at.item(n));
    }
}

fn attributes_of(check: &mut Check<'_>, attributes: &[KeyValue], at: &At<'_>) {
    let strings = &check.dictionary.string_table;
    let mut seen = HashSet::new();
    for (n, attribute) in attributes.iter().enumerate() {
        let at = &at.key("attributes").item(n);
        let inline = attribute.key_strindex == 0;
        check.string(attribute.key_strindex, &at.key("keyStrindex"));
        let key = value::key(attribute, strings).unwrap_or_default();
        check.expect(seen.insert(key), at, Rule::UniqueKey, key);
        let reference = attribute.value.as_ref().and_then(|value| value.string_value_strindex);
        check.expect(inline && reference.is_none(), at, Rule::AttributeInline, "a reference");
        convention::check(check, key, attribute.value.as_ref(), at);
    }
}
