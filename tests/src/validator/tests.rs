use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Rule, validate};
use crate::otlp::{OtlpFile, resolve, wire};

const VALID: &str = include_str!("../../fixtures/valid.json");

const PROFILE: &str = "/resourceProfiles/0/scopeProfiles/0/profiles/0";

fn valid() -> Value {
    serde_json::from_str(VALID).unwrap()
}

/// What `validate` says of a request, as rules and places.
fn violations(request: Value) -> Vec<(Rule, String)> {
    let request = serde_json::from_value(request).expect("the request is OTLP");
    validate(&request).into_iter().map(|violation| (violation.rule, violation.at)).collect()
}

/// The valid request with `value` at `pointer`, from `from` on (`PROFILE` or "").
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

/// The valid request with a copy of what is at `copied` added to the list at `pointer`, both from `from` on.
fn add(from: &str, pointer: &str, copied: &str) -> Value {
    let copy = valid().pointer(&format!("{from}{copied}")).unwrap().clone();
    set(from, &format!("{pointer}/-"), copy)
}

/// One broken place for each rule (several where the rule has several sides): the request, the rule, the place.
fn broken() -> Vec<(Value, Rule, &'static str)> {
    let resource = "/resourceProfiles/0/resource";
    let tables = "/dictionary";
    vec![
        (set("", "/resourceProfiles", json!([])), Rule::NotEmpty, "resourceProfiles"),
        (set(PROFILE, "/samples", json!([])), Rule::NotEmpty, "PROFILE.samples"),
        (
            set("", "/resourceProfiles/1/scopeProfiles", json!([])),
            Rule::NotEmpty,
            "resourceProfiles[1].scopeProfiles",
        ),
        (
            set("", "/resourceProfiles/1/scopeProfiles/0/profiles", json!([])),
            Rule::NotEmpty,
            "resourceProfiles[1].scopeProfiles[0].profiles",
        ),
        (
            set("", "/resourceProfiles/1/resource", Value::Null),
            Rule::MessagePresent,
            "resourceProfiles[1].resource",
        ),
        (
            set("", "/resourceProfiles/1/scopeProfiles/0/scope", Value::Null),
            Rule::MessagePresent,
            "resourceProfiles[1].scopeProfiles[0].scope",
        ),
        (set(PROFILE, "/periodType", Value::Null), Rule::MessagePresent, "PROFILE.periodType"),
        (set(PROFILE, "/sampleType", Value::Null), Rule::MessagePresent, "PROFILE.sampleType"),
        (set(tables, "/mappingTable", json!([])), Rule::Sentinel, "dictionary.mappingTable[0]"),
        (set(tables, "/locationTable", json!([])), Rule::Sentinel, "dictionary.locationTable[0]"),
        (set(tables, "/functionTable", json!([])), Rule::Sentinel, "dictionary.functionTable[0]"),
        (set(tables, "/stringTable", json!([])), Rule::Sentinel, "dictionary.stringTable[0]"),
        (set(tables, "/attributeTable", json!([])), Rule::Sentinel, "dictionary.attributeTable[0]"),
        (set(tables, "/stackTable", json!([])), Rule::Sentinel, "dictionary.stackTable[0]"),
        (
            set(tables, "/mappingTable/0", json!({"memoryLimit": "1"})),
            Rule::Sentinel,
            "dictionary.mappingTable[0]",
        ),
        (
            set(tables, "/locationTable/0", json!({"address": "1"})),
            Rule::Sentinel,
            "dictionary.locationTable[0]",
        ),
        (
            set(tables, "/functionTable/0", json!({"startLine": "1"})),
            Rule::Sentinel,
            "dictionary.functionTable[0]",
        ),
        (
            set(
                tables,
                "/linkTable/0",
                json!({"traceId": "00000000000000000000000000000000", "spanId": "0000000000000000"}),
            ),
            Rule::Sentinel,
            "dictionary.linkTable[0]",
        ),
        (set(tables, "/stringTable/0", json!("x")), Rule::Sentinel, "dictionary.stringTable[0]"),
        (
            set(tables, "/attributeTable/0", json!({"unitStrindex": 1})),
            Rule::Sentinel,
            "dictionary.attributeTable[0]",
        ),
        (
            set(tables, "/stackTable/0", json!({"locationIndices": [1]})),
            Rule::Sentinel,
            "dictionary.stackTable[0]",
        ),
        (set(tables, "/linkTable", json!([])), Rule::Sentinel, "dictionary.linkTable[0]"),
        (
            set(PROFILE, "/samples/0/stackIndex", json!(4)),
            Rule::IndexInRange,
            "PROFILE.samples[0].stackIndex",
        ),
        (
            set(PROFILE, "/samples/0/attributeIndices/1", json!(-1)),
            Rule::IndexInRange,
            "PROFILE.samples[0].attributeIndices[1]",
        ),
        (
            set(tables, "/stackTable/1/locationIndices/1", json!(9)),
            Rule::IndexInRange,
            "dictionary.stackTable[1].locationIndices[1]",
        ),
        (
            set(PROFILE, "/sampleType/typeStrindex", json!(99)),
            Rule::IndexInRange,
            "PROFILE.sampleType.typeStrindex",
        ),
        (set(PROFILE, "/samples/0/linkIndex", json!(2)), Rule::IndexInRange, "PROFILE.samples[0].linkIndex"),
        (set(PROFILE, "/attributeIndices/0", json!(8)), Rule::IndexInRange, "PROFILE.attributeIndices[0]"),
        (
            set(tables, "/locationTable/1/mappingIndex", json!(2)),
            Rule::IndexInRange,
            "dictionary.locationTable[1].mappingIndex",
        ),
        (
            set(tables, "/locationTable/3/lines/0/functionIndex", json!(2)),
            Rule::IndexInRange,
            "dictionary.locationTable[3].lines[0].functionIndex",
        ),
        (
            set(tables, "/locationTable/1/attributeIndices/0", json!(8)),
            Rule::IndexInRange,
            "dictionary.locationTable[1].attributeIndices[0]",
        ),
        (
            set(tables, "/mappingTable/1/filenameStrindex", json!(-5)),
            Rule::IndexInRange,
            "dictionary.mappingTable[1].filenameStrindex",
        ),
        (
            set(tables, "/mappingTable/1/attributeIndices/1", json!(8)),
            Rule::IndexInRange,
            "dictionary.mappingTable[1].attributeIndices[1]",
        ),
        (
            set(tables, "/functionTable/1/nameStrindex", json!(99)),
            Rule::IndexInRange,
            "dictionary.functionTable[1].nameStrindex",
        ),
        (
            set(tables, "/attributeTable/6/unitStrindex", json!(99)),
            Rule::IndexInRange,
            "dictionary.attributeTable[6].unitStrindex",
        ),
        (
            set(
                tables,
                "/attributeTable/6/value",
                json!({"arrayValue": {"values": [{"stringValueStrindex": 99}]}}),
            ),
            Rule::IndexInRange,
            "dictionary.attributeTable[6].value.arrayValue.values[0].stringValueStrindex",
        ),
        (
            set(
                tables,
                "/attributeTable/6/value",
                json!({"kvlistValue": {"values": [{"key": "", "value": {"intValue": "1"}}]}}),
            ),
            Rule::AttributeComplete,
            "dictionary.attributeTable[6].value.kvlistValue.values[0]",
        ),
        (set(tables, "/stringTable/-", json!("cpu")), Rule::NoDuplicate, "dictionary.stringTable[14]"),
        (
            set(tables, "/stackTable/-", json!({"locationIndices": [3]})),
            Rule::NoDuplicate,
            "dictionary.stackTable[4]",
        ),
        (
            set(tables, "/functionTable/-", json!({"nameStrindex": 6})),
            Rule::NoDuplicate,
            "dictionary.functionTable[2]",
        ),
        (add(tables, "/mappingTable", "/mappingTable/1"), Rule::NoDuplicate, "dictionary.mappingTable[2]"),
        (add(tables, "/locationTable", "/locationTable/3"), Rule::NoDuplicate, "dictionary.locationTable[4]"),
        (add(tables, "/linkTable", "/linkTable/1"), Rule::NoDuplicate, "dictionary.linkTable[2]"),
        // The first entry again is a duplicate, too.
        (set(tables, "/linkTable/-", json!({})), Rule::NoDuplicate, "dictionary.linkTable[2]"),
        (
            add(tables, "/attributeTable", "/attributeTable/6"),
            Rule::NoDuplicate,
            "dictionary.attributeTable[8]",
        ),
        (
            set(tables, "/mappingTable/-", json!({"filenameStrindex": 5, "attributeIndices": [1, 2]})),
            Rule::NoOrphan,
            "dictionary.mappingTable[2]",
        ),
        (
            set(
                tables,
                "/locationTable/-",
                json!({"mappingIndex": 1, "address": "4701", "attributeIndices": [3]}),
            ),
            Rule::NoOrphan,
            "dictionary.locationTable[4]",
        ),
        (
            set(tables, "/functionTable/-", json!({"nameStrindex": 5})),
            Rule::NoOrphan,
            "dictionary.functionTable[2]",
        ),
        (set(PROFILE, "/samples/0/linkIndex", json!(0)), Rule::NoOrphan, "dictionary.linkTable[1]"),
        (
            set(tables, "/attributeTable/-", json!({"keyStrindex": 11, "value": {"intValue": "1"}})),
            Rule::NoOrphan,
            "dictionary.attributeTable[8]",
        ),
        (set(tables, "/stringTable/-", json!("unused")), Rule::NoOrphan, "dictionary.stringTable[14]"),
        (
            set(tables, "/stackTable/-", json!({"locationIndices": [2]})),
            Rule::NoOrphan,
            "dictionary.stackTable[4]",
        ),
        (
            set(tables, "/locationTable/1/attributeIndices", json!([3, 7])),
            Rule::UniqueKey,
            "dictionary.locationTable[1].attributeIndices[1]",
        ),
        (
            set(
                "",
                "/resourceProfiles/1/resource/attributes/1",
                json!({"key": "service.name", "value": {"stringValue": "x"}}),
            ),
            Rule::UniqueKey,
            "resourceProfiles[1].resource.attributes[1]",
        ),
        (
            set(resource, "/attributes/1", json!({"key": "", "value": {"stringValue": "x"}})),
            Rule::AttributeComplete,
            "resourceProfiles[0].resource.attributes[1]",
        ),
        (
            set(tables, "/attributeTable/6/value", Value::Null),
            Rule::AttributeComplete,
            "dictionary.attributeTable[6]",
        ),
        (
            set(PROFILE, "/samples/0/attributeIndices/1", json!(0)),
            Rule::AttributeComplete,
            "PROFILE.samples[0].attributeIndices[1]",
        ),
        (
            set(resource, "/attributes/4", json!({"keyStrindex": 5, "value": {"stringValue": "x"}})),
            Rule::AttributeInline,
            "resourceProfiles[0].resource.attributes[4]",
        ),
        (
            set(resource, "/attributes/0/key", json!("service.namespace")),
            Rule::AttributeRequired,
            "resourceProfiles[0].resource",
        ),
        (
            set(resource, "/attributes/1/value", json!({"stringValue": "4242"})),
            Rule::AttributeType,
            "resourceProfiles[0].resource.attributes[1]",
        ),
        (
            set(tables, "/attributeTable/4/value", json!({"intValue": "1"})),
            Rule::AttributeType,
            "dictionary.attributeTable[4]",
        ),
        (
            set(tables, "/mappingTable/1/memoryLimit", json!("4096")),
            Rule::MappingOrder,
            "dictionary.mappingTable[1]",
        ),
        (
            set(tables, "/mappingTable/1/attributeIndices", json!([])),
            Rule::BuildIdPresent,
            "dictionary.mappingTable[1]",
        ),
        (
            set(tables, "/mappingTable/1/attributeIndices", json!([1])),
            Rule::HtlhashPresent,
            "dictionary.mappingTable[1]",
        ),
        (
            set(tables, "/attributeTable/1/value/stringValue", json!("0AF6")),
            Rule::BuildIdFormat,
            "dictionary.attributeTable[1]",
        ),
        (
            set(tables, "/attributeTable/2/value/stringValue", json!("0af6")),
            Rule::BuildIdFormat,
            "dictionary.attributeTable[2]",
        ),
        (
            set(tables, "/functionTable/1", json!({"startLine": "3"})),
            Rule::FunctionNamed,
            "dictionary.functionTable[1]",
        ),
        (
            set(tables, "/locationTable/3/lines/0", json!({"functionIndex": 1, "line": "-1"})),
            Rule::LineNumber,
            "dictionary.locationTable[3].lines[0]",
        ),
        (
            set(tables, "/locationTable/3/lines/0", json!({"functionIndex": 1, "column": "-1"})),
            Rule::LineNumber,
            "dictionary.locationTable[3].lines[0]",
        ),
        (
            set(tables, "/functionTable/1", json!({"nameStrindex": 6, "startLine": "-1"})),
            Rule::LineNumber,
            "dictionary.functionTable[1]",
        ),
        (
            set(tables, "/attributeTable/7/value/stringValue", json!("rust")),
            Rule::FrameType,
            "dictionary.attributeTable[7]",
        ),
        (
            set(tables, "/attributeTable/3/value/stringValue", json!("luajit")),
            Rule::FrameType,
            "dictionary.attributeTable[3]",
        ),
        (
            set(tables, "/locationTable/2/attributeIndices", json!([])),
            Rule::FrameType,
            "dictionary.locationTable[2]",
        ),
        (
            set(tables, "/locationTable/3/lines", json!([])),
            Rule::LocationKnown,
            "dictionary.locationTable[3]",
        ),
        (set(PROFILE, "/samples/0/stackIndex", json!(0)), Rule::StackKnown, "PROFILE.samples[0].stackIndex"),
        (
            set(tables, "/stackTable/1/locationIndices/0", json!(0)),
            Rule::StackKnown,
            "dictionary.stackTable[1].locationIndices[0]",
        ),
        (
            set(tables, "/stackTable/3/locationIndices", json!([])),
            Rule::StackKnown,
            "dictionary.stackTable[3]",
        ),
        (set(tables, "/linkTable/1/spanId", json!("00")), Rule::LinkLength, "dictionary.linkTable[1]"),
        (
            set(tables, "/linkTable/1/spanId", json!("0000000000000000")),
            Rule::LinkLength,
            "dictionary.linkTable[1]",
        ),
        (set(PROFILE, "/samples/1/timestampsUnixNano", json!([])), Rule::TimesOnly, "PROFILE.samples[1]"),
        (set(PROFILE, "/samples/1/values", json!(["1"])), Rule::TimesOnly, "PROFILE.samples[1]"),
        (
            set(PROFILE, "/samples/1/timestampsUnixNano/0", json!("1785578405000000000")),
            Rule::TimeInWindow,
            "PROFILE.samples[1].timestampsUnixNano[0]",
        ),
        (
            set(PROFILE, "/samples/1/timestampsUnixNano/0", json!("1785578399999999999")),
            Rule::TimeInWindow,
            "PROFILE.samples[1].timestampsUnixNano[0]",
        ),
        (set(PROFILE, "/timeUnixNano", json!("86400000000000")), Rule::WallClock, "PROFILE.timeUnixNano"),
        (
            set(
                PROFILE,
                "/samples/1",
                json!({"stackIndex": 1, "attributeIndices": [5, 4], "linkIndex": 1, "timestampsUnixNano": ["1785578401000000000"]}),
            ),
            Rule::SampleIdentity,
            "PROFILE.samples[1]",
        ),
        (
            set(PROFILE, "/sampleType", json!({"typeStrindex": 3, "unitStrindex": 4})),
            Rule::CpuProfile,
            "PROFILE.sampleType",
        ),
        (set(PROFILE, "/period", json!("0")), Rule::CpuProfile, "PROFILE.period"),
        (set(PROFILE, "/profileId", json!("000102030405060708090a0b0c0d0e0f")), Rule::FieldUnset, "PROFILE"),
        (set(PROFILE, "/originalPayloadFormat", json!("pprof")), Rule::FieldUnset, "PROFILE"),
    ]
}

/// The fixture keeps every rule: what the mutations break, they alone break.
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

/// Each mutation is found at its place; what else it breaks follows from it.
#[test]
fn every_broken_rule_is_reported_with_its_place() {
    for (request, rule, at) in broken() {
        let at = at.replace("PROFILE", "resourceProfiles[0].scopeProfiles[0].profiles[0]");
        let found = violations(request);
        assert!(found.contains(&(rule, at.clone())), "{rule:?} at {at} is not among {found:?}");
    }
}

/// No rule is there only in name.
#[test]
fn every_rule_is_broken_by_some_request() {
    let covered: BTreeSet<_> = broken().into_iter().map(|(_, rule, _)| rule).collect();
    assert_eq!(covered, Rule::ALL.into_iter().collect());
}

/// All faults come at once, not the first only.
#[test]
fn several_faults_are_all_reported() {
    let mut request = set(PROFILE, "/period", json!("0"));
    request["dictionary"]["linkTable"][1]["spanId"] = json!("00");
    let rules: Vec<_> = violations(request).into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(rules, [Rule::CpuProfile, Rule::LinkLength]);
}

/// What the Collector writes for the first attribute is as good as what the specification has.
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
    /// Whatever the indices are, they are followed or reported: no panic. What cannot be followed is
    /// never valid.
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

    /// Any bytes are a file or refused: no panic.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..VALID.len()) {
        _ = OtlpFile::parse(&bytes).map(|file| file.summary());
        let line = VALID.replace('\n', "");
        _ = OtlpFile::parse(line.as_bytes().get(..cut).unwrap_or_default()).map(|file| file.summary());
    }
}
