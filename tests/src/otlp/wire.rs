//! Messages of OTLP/JSON profiles: one struct per message of `opentelemetry.proto.profiles.v1development` 1.10, field
//! for field.
//!
//! Made by hand so that it shares nothing with the agent's encoder. Absent fields take protobuf's default; an unknown
//! key, a 64-bit integer as a JSON number or an id of another type is an error.

use serde::Deserialize;

use super::number;

/// `ExportProfilesServiceRequest`, and `ProfilesData`: one line of a file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JsonRequest {
    /// Profiles of each resource.
    #[serde(default)]
    pub resource_profiles: Vec<ResourceProfiles>,
    /// Tables that every index in the request points into.
    #[serde(default)]
    pub dictionary: Dictionary,
}

/// `ResourceProfiles`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ResourceProfiles {
    /// The process that was profiled.
    pub resource: Option<Resource>,
    /// Profiles of each instrumentation scope.
    pub scope_profiles: Vec<ScopeProfiles>,
    /// Schema of the resource's attributes.
    pub schema_url: String,
}

/// `Resource`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Resource {
    /// The resource's attributes, inline.
    pub attributes: Vec<KeyValue>,
    /// Number of attributes that did not fit.
    pub dropped_attributes_count: u32,
}

/// `ScopeProfiles`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ScopeProfiles {
    /// The program that made the profiles.
    pub scope: Option<Scope>,
    /// The profiles of the scope.
    pub profiles: Vec<Profile>,
    /// Schema of the scope's attributes.
    pub schema_url: String,
}

/// `InstrumentationScope`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Scope {
    /// Name of the program.
    pub name: String,
    /// Version of the program.
    pub version: String,
    /// The scope's attributes, inline.
    pub attributes: Vec<KeyValue>,
    /// Number of attributes that did not fit.
    pub dropped_attributes_count: u32,
}

/// `Profile`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Profile {
    /// Type and unit of a sample's value.
    pub sample_type: Option<ValueType>,
    /// The samples.
    pub samples: Vec<Sample>,
    /// Start, nanoseconds since the Unix epoch.
    #[serde(deserialize_with = "number::one")]
    pub time_unix_nano: u64,
    /// Length in nanoseconds; the end is not part of it.
    #[serde(deserialize_with = "number::one")]
    pub duration_nano: u64,
    /// Type and unit of the period between two samples.
    pub period_type: Option<ValueType>,
    /// The amount of the period type between two samples.
    #[serde(deserialize_with = "number::one")]
    pub period: i64,
    /// Identity, as hex.
    pub profile_id: String,
    /// Number of attributes that did not fit.
    pub dropped_attributes_count: u32,
    /// Format of the payload that the profile was converted from.
    pub original_payload_format: String,
    /// The original payload, in base64.
    pub original_payload: String,
    /// Indices of attributes.
    pub attribute_indices: Vec<i32>,
}

/// `Sample`: one identity (stack, attributes, link) and the instants at which it was captured.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Sample {
    /// Index of the stack.
    pub stack_index: i32,
    /// Indices of attributes.
    pub attribute_indices: Vec<i32>,
    /// Index of the link.
    pub link_index: i32,
    /// Values of the captures, unless each is one.
    #[serde(deserialize_with = "number::list")]
    pub values: Vec<i64>,
    /// Instants of the captures, nanoseconds since the Unix epoch.
    #[serde(deserialize_with = "number::list")]
    pub timestamps_unix_nano: Vec<u64>,
}

/// `ValueType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ValueType {
    /// Name, into the string table.
    pub type_strindex: i32,
    /// Unit, into the string table.
    pub unit_strindex: i32,
}

/// `ProfilesDictionary`: seven tables, each with its zero value first.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Dictionary {
    /// Mapped files.
    pub mapping_table: Vec<Mapping>,
    /// Places in code.
    pub location_table: Vec<Location>,
    /// Functions.
    pub function_table: Vec<Function>,
    /// Spans.
    pub link_table: Vec<Link>,
    /// Strings.
    pub string_table: Vec<String>,
    /// Attributes.
    pub attribute_table: Vec<Attribute>,
    /// Stacks.
    pub stack_table: Vec<Stack>,
}

/// `Mapping`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Mapping {
    /// First address.
    #[serde(deserialize_with = "number::one")]
    pub memory_start: u64,
    /// First address after the mapping.
    #[serde(deserialize_with = "number::one")]
    pub memory_limit: u64,
    /// Offset in the file at which the mapping starts.
    #[serde(deserialize_with = "number::one")]
    pub file_offset: u64,
    /// The file, into the string table.
    pub filename_strindex: i32,
    /// Indices of attributes.
    pub attribute_indices: Vec<i32>,
}

/// `Location`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Location {
    /// Index of the mapping; 0 if there is none.
    pub mapping_index: i32,
    /// Address as the mapped file's own headers use it.
    #[serde(deserialize_with = "number::one")]
    pub address: u64,
    /// Functions, innermost first.
    pub lines: Vec<Line>,
    /// Indices of attributes.
    pub attribute_indices: Vec<i32>,
}

/// `Line`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Line {
    /// Index of the function.
    pub function_index: i32,
    /// Line in the source, from 1; 0 if not known.
    #[serde(deserialize_with = "number::one")]
    pub line: i64,
    /// Column in the source, from 1; 0 if not known.
    #[serde(deserialize_with = "number::one")]
    pub column: i64,
}

/// `Function`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Function {
    /// Name for people, into the string table.
    pub name_strindex: i32,
    /// Name as the system has it, into the string table.
    pub system_name_strindex: i32,
    /// Source file, into the string table.
    pub filename_strindex: i32,
    /// First line in the source; 0 if not known.
    #[serde(deserialize_with = "number::one")]
    pub start_line: i64,
}

/// `Link`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Link {
    /// 16 bytes as hex.
    pub trace_id: String,
    /// 8 bytes as hex.
    pub span_id: String,
}

/// `Stack`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Stack {
    /// Indices of locations, leaf first.
    pub location_indices: Vec<i32>,
}

/// `KeyValueAndUnit`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Attribute {
    /// Key, into the string table.
    pub key_strindex: i32,
    /// Value.
    pub value: Option<AnyValue>,
    /// UCUM unit, into the string table.
    pub unit_strindex: i32,
}

/// `KeyValue`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct KeyValue {
    /// Key.
    pub key: String,
    /// Value.
    pub value: Option<AnyValue>,
    /// Key by reference: legal, and not understood by most readers.
    pub key_strindex: i32,
}

/// `AnyValue`: at most one of its fields is set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AnyValue {
    /// Text.
    pub string_value: Option<String>,
    /// Truth.
    pub bool_value: Option<bool>,
    /// Integer.
    #[serde(deserialize_with = "number::optional")]
    pub int_value: Option<i64>,
    /// Number.
    pub double_value: Option<f64>,
    /// Several values.
    pub array_value: Option<ArrayValue>,
    /// Several keys and values.
    pub kvlist_value: Option<KeyValueList>,
    /// Bytes, base64.
    pub bytes_value: Option<String>,
    /// Text by reference: legal, and not understood by most readers.
    pub string_value_strindex: Option<i32>,
}

/// `ArrayValue`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ArrayValue {
    /// The values.
    pub values: Vec<AnyValue>,
}

/// `KeyValueList`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct KeyValueList {
    /// The keys and values.
    pub values: Vec<KeyValue>,
}
