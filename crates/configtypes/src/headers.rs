//! Headers that are sent with each request.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Secret;

/// Names and their secret values, in the order they are written.
///
/// Read from a map, or from a list of `{name: ..., value: ...}`, as in the Collector; no name comes twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Secret)>);

impl Headers {
    /// Names and values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Value of the header `name`, as it is written.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// True if there are no headers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of headers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn push<E: de::Error>(&mut self, name: String, value: Secret) -> Result<(), E> {
        if self.get(&name).is_some() {
            return Err(E::custom(format!("duplicate keys in map-style list: [{name}]")));
        }
        self.0.push((name, value));
        Ok(())
    }
}

impl<N: Into<String>, V: Into<Secret>> FromIterator<(N, V)> for Headers {
    /// Keeps the last value of a name that comes twice.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut headers = Self::default();
        for (name, value) in pairs {
            let (name, value) = (name.into(), value.into());
            match headers.0.iter_mut().find(|(other, _)| *other == name) {
                Some((_, old)) => *old = value,
                None => headers.0.push((name, value)),
            }
        }
        headers
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MapOrList)
    }
}

/// One header in a list of `{name: ..., value: ...}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    name: String,
    #[serde(default)]
    value: Secret,
}

struct MapOrList;

impl<'de> de::Visitor<'de> for MapOrList {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers: a map of names to values, or a list of {name: ..., value: ...}")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Headers, E> {
        Ok(Headers::default())
    }

    fn visit_str<E: de::Error>(self, _secret: &str) -> Result<Headers, E> {
        Err(E::invalid_type(de::Unexpected::Other("text (not shown, since it may be secret)"), &self))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
        let mut headers = Headers::default();
        while let Some((name, value)) = map.next_entry()? {
            headers.push(name, value)?;
        }
        Ok(headers)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Headers, A::Error> {
        let mut headers = Headers::default();
        while let Some(Pair { name, value }) = list.next_element()? {
            headers.push(name, value)?;
        }
        Ok(headers)
    }
}

impl JsonSchema for Headers {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Headers".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<Secret>();
        json_schema!({
            "anyOf": [
                { "type": "object", "additionalProperties": value },
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": { "name": { "type": "string" }, "value": value },
                        "required": ["name"],
                        "additionalProperties": false,
                    },
                },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Headers, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn headers_are_a_map_or_a_list_of_pairs() {
        let expected: Headers = [("a", "1"), ("b", "2")].into_iter().collect();
        assert_eq!(read(r#"{"a": "1", "b": "2"}"#), Ok(expected.clone()));
        let list = r#"[{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]"#;
        assert_eq!(read(list), Ok(expected.clone()));
        assert_eq!(read("null"), Ok(Headers::default()));
        assert_eq!(expected.get("b").map(Secret::expose), Some("2"));
        assert_eq!(serde_json::to_string(&expected).unwrap(), r#"{"a":"[REDACTED]","b":"[REDACTED]"}"#);
    }

    #[test]
    fn a_text_in_their_place_is_refused_and_not_repeated() {
        let error = read(r#""Authorization: Bearer x7""#).unwrap_err();
        assert!(error.contains("expected headers: a map of names") && !error.contains("x7"), "{error}");
    }

    #[test]
    fn a_name_that_comes_twice_is_refused_in_the_collectors_words() {
        let error = read(r#"[{"name": "a"}, {"name": "a"}]"#).unwrap_err();
        assert!(error.starts_with("duplicate keys in map-style list: [a]"), "{error}");
        assert!(read("7").unwrap_err().contains("expected headers: a map of names to values"));
    }
}
