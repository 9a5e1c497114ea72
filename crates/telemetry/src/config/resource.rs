//! The section `service::telemetry::resource`: the agent's description of itself.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap as _, Serializer};
use serde::{Deserialize, Serialize};

/// Attributes by name; one without a value removes the agent's own attribute of that name.
///
/// Written in the Collector's form, `attributes: [{name: ..., value: ...}]`, or in its older form: names and values in
/// one map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// Names such as `service.name`.
    pub attributes: BTreeMap<String, Option<String>>,
}

/// One attribute in the list.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Attribute {
    name: String,
    #[serde(default)]
    value: Option<Scalar>,
    /// Type of the value; values that are not text are written as text.
    #[serde(default, rename = "type", skip_serializing)]
    _type: Option<String>,
}

/// Any value but a list or a map, as text.
#[derive(Debug)]
struct Scalar(String);

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ResourceVisitor)
    }
}

struct ResourceVisitor;

impl<'de> Visitor<'de> for ResourceVisitor {
    type Value = Resource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with a list `attributes` of names and values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Resource, A::Error> {
        let mut attributes = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "attributes" => {
                    let list = map.next_value::<Option<Vec<Attribute>>>()?.unwrap_or_default();
                    attributes.extend(
                        list.into_iter()
                            .map(|Attribute { name, value, .. }| (name, value.map(|value| value.0))),
                    );
                }
                // The key names the version by which names are to be understood; ours are text.
                "schema_url" => drop(map.next_value::<Option<String>>()?),
                _ => {
                    let value = map.next_value::<Option<Scalar>>()?;
                    attributes.insert(key, value.map(|value| value.0));
                }
            }
        }
        Ok(Resource { attributes })
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;

        impl Visitor<'_> for ScalarVisitor {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, a number or a truth value")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar(value.to_owned()))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
        }

        deserializer.deserialize_any(ScalarVisitor)
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let attribute = |(name, value): (&String, &Option<String>)| Attribute {
            name: name.clone(),
            value: value.clone().map(Scalar),
            _type: None,
        };
        let list: Vec<_> = self.attributes.iter().map(attribute).collect();
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("attributes", &list)?;
        map.end()
    }
}

impl JsonSchema for Resource {
    fn schema_name() -> Cow<'static, str> {
        "Resource".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        let scalar = ["string", "number", "boolean", "null"];
        json_schema!({
            "type": "object",
            "description": "What the agent says it is. An attribute of no value takes away what it says by itself.",
            "properties": {
                "attributes": {
                    "description": "Attributes by name; of no value, one that is taken away.",
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "additionalProperties": false,
                        "properties": {
                            "name": { "type": "string" },
                            "value": { "type": scalar },
                            "type": { "type": "string" },
                        },
                    },
                },
                "schema_url": {
                    "description": "Known from the Collector, and not used.",
                    "type": ["string", "null"],
                },
            },
            "additionalProperties": { "type": scalar },
        })
    }
}
