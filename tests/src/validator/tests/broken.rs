//! Broken requests for each rule, several if a rule has several sides.

mod code;
mod samples;

use serde_json::{Value, json};

use super::{PROFILE, add, set};
use crate::validator::Rule;

/// A request, the rule that it breaks, and the place.
type Broken = (Value, Rule, &'static str);

const RESOURCE: &str = "/resourceProfiles/0/resource";
const TABLES: &str = "/dictionary";

/// All broken requests.
pub(super) fn broken() -> Vec<Broken> {
    [presence(), indices(), entries(), attributes(), code::code(), samples::samples()].concat()
}

/// Parts that are missing, and tables whose first entry is not empty.
fn presence() -> Vec<Broken> {
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
        (set(TABLES, "/mappingTable", json!([])), Rule::Sentinel, "dictionary.mappingTable[0]"),
        (set(TABLES, "/locationTable", json!([])), Rule::Sentinel, "dictionary.locationTable[0]"),
        (set(TABLES, "/functionTable", json!([])), Rule::Sentinel, "dictionary.functionTable[0]"),
        (set(TABLES, "/stringTable", json!([])), Rule::Sentinel, "dictionary.stringTable[0]"),
        (set(TABLES, "/attributeTable", json!([])), Rule::Sentinel, "dictionary.attributeTable[0]"),
        (set(TABLES, "/stackTable", json!([])), Rule::Sentinel, "dictionary.stackTable[0]"),
        (
            set(TABLES, "/mappingTable/0", json!({"memoryLimit": "1"})),
            Rule::Sentinel,
            "dictionary.mappingTable[0]",
        ),
        (
            set(TABLES, "/locationTable/0", json!({"address": "1"})),
            Rule::Sentinel,
            "dictionary.locationTable[0]",
        ),
        (
            set(TABLES, "/functionTable/0", json!({"startLine": "1"})),
            Rule::Sentinel,
            "dictionary.functionTable[0]",
        ),
        (
            set(
                TABLES,
                "/linkTable/0",
                json!({"traceId": "00000000000000000000000000000000", "spanId": "0000000000000000"}),
            ),
            Rule::Sentinel,
            "dictionary.linkTable[0]",
        ),
        (set(TABLES, "/stringTable/0", json!("x")), Rule::Sentinel, "dictionary.stringTable[0]"),
        (
            set(TABLES, "/attributeTable/0", json!({"unitStrindex": 1})),
            Rule::Sentinel,
            "dictionary.attributeTable[0]",
        ),
        (
            set(TABLES, "/stackTable/0", json!({"locationIndices": [1]})),
            Rule::Sentinel,
            "dictionary.stackTable[0]",
        ),
        (set(TABLES, "/linkTable", json!([])), Rule::Sentinel, "dictionary.linkTable[0]"),
    ]
}

/// Indices that lead out of their tables.
fn indices() -> Vec<Broken> {
    vec![
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
            set(TABLES, "/stackTable/1/locationIndices/1", json!(9)),
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
            set(TABLES, "/locationTable/1/mappingIndex", json!(2)),
            Rule::IndexInRange,
            "dictionary.locationTable[1].mappingIndex",
        ),
        (
            set(TABLES, "/locationTable/3/lines/0/functionIndex", json!(2)),
            Rule::IndexInRange,
            "dictionary.locationTable[3].lines[0].functionIndex",
        ),
        (
            set(TABLES, "/locationTable/1/attributeIndices/0", json!(8)),
            Rule::IndexInRange,
            "dictionary.locationTable[1].attributeIndices[0]",
        ),
        (
            set(TABLES, "/mappingTable/1/filenameStrindex", json!(-5)),
            Rule::IndexInRange,
            "dictionary.mappingTable[1].filenameStrindex",
        ),
        (
            set(TABLES, "/mappingTable/1/attributeIndices/1", json!(8)),
            Rule::IndexInRange,
            "dictionary.mappingTable[1].attributeIndices[1]",
        ),
        (
            set(TABLES, "/functionTable/1/nameStrindex", json!(99)),
            Rule::IndexInRange,
            "dictionary.functionTable[1].nameStrindex",
        ),
        (
            set(TABLES, "/attributeTable/6/unitStrindex", json!(99)),
            Rule::IndexInRange,
            "dictionary.attributeTable[6].unitStrindex",
        ),
        (
            set(
                TABLES,
                "/attributeTable/6/value",
                json!({"arrayValue": {"values": [{"stringValueStrindex": 99}]}}),
            ),
            Rule::IndexInRange,
            "dictionary.attributeTable[6].value.arrayValue.values[0].stringValueStrindex",
        ),
    ]
}

/// Entries of tables that are there twice, or that no other refers to.
fn entries() -> Vec<Broken> {
    vec![
        (set(TABLES, "/stringTable/-", json!("cpu")), Rule::NoDuplicate, "dictionary.stringTable[14]"),
        (
            set(TABLES, "/stackTable/-", json!({"locationIndices": [3]})),
            Rule::NoDuplicate,
            "dictionary.stackTable[4]",
        ),
        (
            set(TABLES, "/functionTable/-", json!({"nameStrindex": 6})),
            Rule::NoDuplicate,
            "dictionary.functionTable[2]",
        ),
        (add(TABLES, "/mappingTable", "/mappingTable/1"), Rule::NoDuplicate, "dictionary.mappingTable[2]"),
        (add(TABLES, "/locationTable", "/locationTable/3"), Rule::NoDuplicate, "dictionary.locationTable[4]"),
        (add(TABLES, "/linkTable", "/linkTable/1"), Rule::NoDuplicate, "dictionary.linkTable[2]"),
        // The first entry again is a duplicate, too.
        (set(TABLES, "/linkTable/-", json!({})), Rule::NoDuplicate, "dictionary.linkTable[2]"),
        (
            add(TABLES, "/attributeTable", "/attributeTable/6"),
            Rule::NoDuplicate,
            "dictionary.attributeTable[8]",
        ),
        (
            set(TABLES, "/mappingTable/-", json!({"filenameStrindex": 5, "attributeIndices": [1, 2]})),
            Rule::NoOrphan,
            "dictionary.mappingTable[2]",
        ),
        (
            set(
                TABLES,
                "/locationTable/-",
                json!({"mappingIndex": 1, "address": "4701", "attributeIndices": [3]}),
            ),
            Rule::NoOrphan,
            "dictionary.locationTable[4]",
        ),
        (
            set(TABLES, "/functionTable/-", json!({"nameStrindex": 5})),
            Rule::NoOrphan,
            "dictionary.functionTable[2]",
        ),
        (set(PROFILE, "/samples/0/linkIndex", json!(0)), Rule::NoOrphan, "dictionary.linkTable[1]"),
        (
            set(TABLES, "/attributeTable/-", json!({"keyStrindex": 11, "value": {"intValue": "1"}})),
            Rule::NoOrphan,
            "dictionary.attributeTable[8]",
        ),
        (set(TABLES, "/stringTable/-", json!("unused")), Rule::NoOrphan, "dictionary.stringTable[14]"),
        (
            set(TABLES, "/stackTable/-", json!({"locationIndices": [2]})),
            Rule::NoOrphan,
            "dictionary.stackTable[4]",
        ),
    ]
}

/// Attributes that contradict each other, or lack a part.
fn attributes() -> Vec<Broken> {
    vec![
        (
            set(
                TABLES,
                "/attributeTable/6/value",
                json!({"kvlistValue": {"values": [{"key": "", "value": {"intValue": "1"}}]}}),
            ),
            Rule::AttributeComplete,
            "dictionary.attributeTable[6].value.kvlistValue.values[0]",
        ),
        (
            set(TABLES, "/locationTable/1/attributeIndices", json!([3, 7])),
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
            set(RESOURCE, "/attributes/1", json!({"key": "", "value": {"stringValue": "x"}})),
            Rule::AttributeComplete,
            "resourceProfiles[0].resource.attributes[1]",
        ),
        (
            set(TABLES, "/attributeTable/6/value", Value::Null),
            Rule::AttributeComplete,
            "dictionary.attributeTable[6]",
        ),
        (
            set(PROFILE, "/samples/0/attributeIndices/1", json!(0)),
            Rule::AttributeComplete,
            "PROFILE.samples[0].attributeIndices[1]",
        ),
        (
            set(RESOURCE, "/attributes/4", json!({"keyStrindex": 5, "value": {"stringValue": "x"}})),
            Rule::AttributeInline,
            "resourceProfiles[0].resource.attributes[4]",
        ),
        (
            set(RESOURCE, "/attributes/0/key", json!("service.namespace")),
            Rule::AttributeRequired,
            "resourceProfiles[0].resource",
        ),
        (
            set(RESOURCE, "/attributes/1/value", json!({"stringValue": "4242"})),
            Rule::AttributeType,
            "resourceProfiles[0].resource.attributes[1]",
        ),
        (
            set(TABLES, "/attributeTable/4/value", json!({"intValue": "1"})),
            Rule::AttributeType,
            "dictionary.attributeTable[4]",
        ),
    ]
}
