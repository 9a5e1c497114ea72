mod broken;

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use self::broken::broken;
use super::{Rule, validate};
use crate::otlp::{OtlpFile, resolve, wire};

const VALID: &str = include_str!("../../fixtures/valid.json");

const PROFILE: &str = "/resourceProfiles/0/scopeProfiles/0/profiles/0";

fn valid() -> Value {
    serde_json::from_str(VALID).unwrap()
}

/// The violations of a request, as rules and places.
fn violations(request: Value) -> Vec<(Rule, String)> {
    let request = serde_json::from_value(request).expect("the request is OTLP");
    validate(&request).into_iter().map(|violation| (violation.rule, violation.at)).collect()
}

/// The valid request with `value` at `pointer`, below `from` (`PROFILE` or "").
fn set(from: &str, pointer: &str, value: Value) -> Value {
    let mut request = valid();
    let pointer = format!("{from}{pointer}");
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = request.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"));
    match parent {
        Value::Array(list) if key == "-" => list.push(value),
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        parent => parent[key] = value,
    }
    request
}

/// The valid request with a copy of the value at `copied` added to the list at `pointer`, both below `from`.
fn add(from: &str, pointer: &str, copied: &str) -> Value {
    let copy = valid().pointer(&format!("{from}{copied}")).unwrap().clone();
    set(from, &format!("{pointer}/-"), copy)
}

/// The fixture breaks no rule, so violations of a mutated fixture come from the mutation.
#[test]
fn a_valid_request_breaks_no_rule() {
    assert_eq!(violations(valid()), []);
}

/// Time off the CPU is measured by values, one beside each time.
#[test]
fn a_profile_of_time_off_the_cpu_has_values() {
    let mut request = valid();
    let strings = request["dictionary"]["stringTable"].as_array_mut().unwrap();
    let name = strings.len();
    strings.push(json!("off_cpu"));
    let profile = &mut request["resourceProfiles"][0]["scopeProfiles"][0]["profiles"][0];
    let kind = json!({"typeStrindex": name, "unitStrindex": 4});
    profile["sampleType"] = kind.clone();
    profile["periodType"] = kind;
    for sample in profile["samples"].as_array_mut().unwrap() {
        let times = sample["timestampsUnixNano"].as_array().unwrap().len();
        sample["values"] = json!(vec!["5"; times]);
    }
    assert_eq!(violations(request.clone()), []);
    let values =
        &mut request["resourceProfiles"][0]["scopeProfiles"][0]["profiles"][0]["samples"][1]["values"];
    *values = json!([]);
    let rules: Vec<_> = violations(request).into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(rules, [Rule::TimesOnly]);
}

/// Each mutation is reported at its place; further violations follow from it.
#[test]
fn every_broken_rule_is_reported_with_its_place() {
    for (request, rule, at) in broken() {
        let at = at.replace("PROFILE", "resourceProfiles[0].scopeProfiles[0].profiles[0]");
        let found = violations(request);
        assert!(found.contains(&(rule, at.clone())), "{rule:?} at {at} is not among {found:?}");
    }
}

/// Every rule is broken by some mutation.
#[test]
fn every_rule_is_broken_by_some_request() {
    let covered: BTreeSet<_> = broken().into_iter().map(|(_, rule, _)| rule).collect();
    assert_eq!(covered, Rule::ALL.into_iter().collect());
}

/// All faults are reported, not the first only.
#[test]
fn several_faults_are_all_reported() {
    let mut request = set(PROFILE, "/period", json!("0"));
    request["dictionary"]["linkTable"][1]["spanId"] = json!("00");
    let rules: Vec<_> = violations(request).into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(rules, [Rule::CpuProfile, Rule::LinkLength]);
}

/// The Collector's first attribute is accepted as well as the specification's.
#[test]
fn an_empty_value_in_the_first_attribute_is_a_sentinel() {
    assert_eq!(violations(set("/dictionary", "/attributeTable/0", json!({"value": {}}))), []);
}

/// Every number in a request, for a caller that changes them.
fn numbers(value: &mut Value) -> Vec<&mut Value> {
    match value {
        Value::Number(_) => vec![value],
        Value::Array(list) => list.iter_mut().flat_map(numbers).collect(),
        Value::Object(map) => map.values_mut().flat_map(numbers).collect(),
        _ => vec![],
    }
}

proptest! {
    /// Any indices are resolved or reported, without a panic. A request with an index that cannot be resolved is never
    /// valid.
    #[test]
    fn any_indices_are_followed_or_reported(
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<i32>(), -2..20]), 0..8),
    ) {
        let mut request = valid();
        for (which, index) in changes {
            let mut numbers = numbers(&mut request);
            **which.get_mut(&mut numbers) = json!(index);
        }
        let request: wire::JsonRequest = serde_json::from_value(request).unwrap();
        let violations = validate(&request);
        if resolve(&request).is_err() {
            prop_assert!(violations.iter().any(|violation| violation.rule == Rule::IndexInRange));
        }
    }

    /// Any bytes are read as a file or refused, without a panic.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..VALID.len()) {
        _ = OtlpFile::parse(&bytes).map(|file| file.summary());
        let line = VALID.replace('\n', "");
        _ = OtlpFile::parse(line.as_bytes().get(..cut).unwrap_or_default()).map(|file| file.summary());
    }
}
