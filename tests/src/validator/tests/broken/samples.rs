//! Broken stacks, links, times and profiles.

use serde_json::json;

use super::{Broken, TABLES};
use crate::validator::Rule;
use crate::validator::tests::{PROFILE, set};

/// Stacks, links, times and profiles.
pub(super) fn samples() -> Vec<Broken> {
    vec![
        (set(PROFILE, "/samples/0/stackIndex", json!(0)), Rule::StackKnown, "PROFILE.samples[0].stackIndex"),
        (
            set(TABLES, "/stackTable/1/locationIndices/0", json!(0)),
            Rule::StackKnown,
            "dictionary.stackTable[1].locationIndices[0]",
        ),
        (
            set(TABLES, "/stackTable/3/locationIndices", json!([])),
            Rule::StackKnown,
            "dictionary.stackTable[3]",
        ),
        (set(TABLES, "/linkTable/1/spanId", json!("00")), Rule::LinkLength, "dictionary.linkTable[1]"),
        (
            set(TABLES, "/linkTable/1/spanId", json!("0000000000000000")),
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
