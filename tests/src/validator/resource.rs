//! Rules of resources, scopes and what they hold.

use super::at::At;
use super::check::Check;
use super::rule::Rule;
use super::{convention, profile};
use crate::otlp::wire::{KeyValue, ResourceProfiles, ScopeProfiles};

/// Attributes that name a resource, as text.
const REQUIRED: [&str; 2] = ["service.name", "process.executable.name"];

/// Checks every resource and its profiles, and marks what they use of the tables.
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
    inline(check, attributes, &at.key("resource"));
    for key in REQUIRED {
        let text = attributes
            .iter()
            .find(|kv| kv.key == key)
            .and_then(|kv| kv.value.as_ref()?.string_value.as_ref());
        let there = text.is_some_and(|text| !text.is_empty());
        check.expect(there, &at.key("resource"), Rule::AttributeRequired, format_args!("no {key}"));
    }
    let at = at.key("scopeProfiles");
    check.expect(!profiles.scope_profiles.is_empty(), &at, Rule::NotEmpty, "none");
    for (n, scope) in profiles.scope_profiles.iter().enumerate() {
        scope_profiles(check, scope, &at.item(n));
    }
}

fn scope_profiles(check: &mut Check<'_>, profiles: &ScopeProfiles, at: &At<'_>) {
    match &profiles.scope {
        Some(scope) => inline(check, &scope.attributes, &at.key("scope")),
        None => check.broken(&at.key("scope"), Rule::MessagePresent, "none"),
    }
    let at = at.key("profiles");
    check.expect(!profiles.profiles.is_empty(), &at, Rule::NotEmpty, "none");
    for (n, profile) in profiles.profiles.iter().enumerate() {
        profile::check(check, profile, &at.item(n));
    }
}

fn inline(check: &mut Check<'_>, attributes: &[KeyValue], at: &At<'_>) {
    for (n, KeyValue { key, value, key_strindex }) in attributes.iter().enumerate() {
        let at = &at.key("attributes").item(n);
        let earlier = attributes.iter().take(n).all(|kv| kv.key != *key);
        check.expect(earlier, at, Rule::UniqueKey, key);
        let referenced = value.as_ref().is_some_and(|value| value.string_value_strindex.is_some());
        check.expect(*key_strindex == 0 && !referenced, at, Rule::AttributeInline, "a reference");
        convention::check(check, key, value.as_ref(), at);
    }
}
