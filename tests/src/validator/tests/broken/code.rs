//! Broken mappings, functions and locations.

use serde_json::json;

use super::{Broken, TABLES};
use crate::validator::Rule;
use crate::validator::tests::set;

/// Mappings, functions and locations that lack a fact, or have impossible ones.
pub(super) fn code() -> Vec<Broken> {
    vec![
        (
            set(TABLES, "/mappingTable/1/memoryLimit", json!("4096")),
            Rule::MappingOrder,
            "dictionary.mappingTable[1]",
        ),
        (
            set(TABLES, "/mappingTable/1/attributeIndices", json!([])),
            Rule::BuildIdPresent,
            "dictionary.mappingTable[1]",
        ),
        (
            set(TABLES, "/mappingTable/1/attributeIndices", json!([1])),
            Rule::HtlhashPresent,
            "dictionary.mappingTable[1]",
        ),
        (
            set(TABLES, "/attributeTable/1/value/stringValue", json!("0AF6")),
            Rule::BuildIdFormat,
            "dictionary.attributeTable[1]",
        ),
        (
            set(TABLES, "/attributeTable/2/value/stringValue", json!("0af6")),
            Rule::BuildIdFormat,
            "dictionary.attributeTable[2]",
        ),
        (
            set(TABLES, "/functionTable/1", json!({"startLine": "3"})),
            Rule::FunctionNamed,
            "dictionary.functionTable[1]",
        ),
        (
            set(TABLES, "/locationTable/3/lines/0", json!({"functionIndex": 1, "line": "-1"})),
            Rule::LineNumber,
            "dictionary.locationTable[3].lines[0]",
        ),
        (
            set(TABLES, "/locationTable/3/lines/0", json!({"functionIndex": 1, "column": "-1"})),
            Rule::LineNumber,
            "dictionary.locationTable[3].lines[0]",
        ),
        (
            set(TABLES, "/functionTable/1", json!({"nameStrindex": 6, "startLine": "-1"})),
            Rule::LineNumber,
            "dictionary.functionTable[1]",
        ),
        (
            set(TABLES, "/attributeTable/7/value/stringValue", json!("rust")),
            Rule::FrameType,
            "dictionary.attributeTable[7]",
        ),
        (
            set(TABLES, "/attributeTable/3/value/stringValue", json!("luajit")),
            Rule::FrameType,
            "dictionary.attributeTable[3]",
        ),
        (
            set(TABLES, "/locationTable/2/attributeIndices", json!([])),
            Rule::FrameType,
            "dictionary.locationTable[2]",
        ),
        (
            set(TABLES, "/locationTable/3/lines", json!([])),
            Rule::LocationKnown,
            "dictionary.locationTable[3]",
        ),
    ]
}
