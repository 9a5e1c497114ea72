//! OTLP/JSON as it is on the line; fields that are not needed are skipped.

use serde::Deserialize;

use super::Long;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct JsonRequest {
    pub(super) resource_profiles: Vec<ResourceProfiles>,
    pub(super) dictionary: Dictionary,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ResourceProfiles {
    pub(super) resource: Resource,
    pub(super) scope_profiles: Vec<ScopeProfiles>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Resource {
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct KeyValue {
    pub(super) key: String,
    pub(super) value: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ScopeProfiles {
    pub(super) profiles: Vec<Profile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Profile {
    #[serde(deserialize_with = "long")]
    pub(super) time_unix_nano: u64,
    #[serde(deserialize_with = "long")]
    pub(super) duration_nano: u64,
    pub(super) attribute_indices: Vec<usize>,
    pub(super) samples: Vec<Sample>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Sample {
    pub(super) attribute_indices: Vec<usize>,
    pub(super) timestamps_unix_nano: Vec<Long>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Dictionary {
    string_table: Vec<String>,
    attribute_table: Vec<Attribute>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Attribute {
    key_strindex: usize,
    value: Value,
}

impl Dictionary {
    /// Key and value of each attribute; `None` for an index outside its table.
    pub(super) fn attributes(&self, indices: &[usize]) -> impl Iterator<Item = Option<(&str, &Value)>> {
        indices.iter().map(|&index| {
            let attribute = self.attribute_table.get(index)?;
            Some((self.string_table.get(attribute.key_strindex)?.as_str(), &attribute.value))
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Value {
    string_value: Option<String>,
    int_value: Option<Long>,
}

impl Value {
    pub(super) fn text(&self) -> Option<&str> {
        self.string_value.as_deref()
    }

    /// The number; -1 if the value is none.
    pub(super) fn int(&self) -> i64 {
        self.int_value.map_or(-1, |value| value.0)
    }
}

impl Long {
    /// The number; 0 if it is negative.
    pub(super) fn unsigned(self) -> u64 {
        u64::try_from(self.0).unwrap_or_default()
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum TextOrNumber {
    Text(String),
    Number(i64),
}

impl TryFrom<TextOrNumber> for Long {
    type Error = std::num::ParseIntError;

    fn try_from(value: TextOrNumber) -> Result<Self, Self::Error> {
        match value {
            TextOrNumber::Text(text) => text.parse().map(Self),
            TextOrNumber::Number(number) => Ok(Self(number)),
        }
    }
}

fn long<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Long::deserialize(deserializer).map(Long::unsigned)
}
