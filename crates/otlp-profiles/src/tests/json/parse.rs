//! OTLP/JSON to messages by the rules alone: every key is known, every type is the one demanded, and
//! a field that is missing has its default.

use std::collections::HashSet;

use base64::Engine as _;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::common::v1::*;
use opentelemetry_proto::tonic::profiles::v1development::*;
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde_json::{Map, Value};

pub(super) fn request(text: &str) -> ExportProfilesServiceRequest {
    message(serde_json::from_str(text).unwrap(), |o| ExportProfilesServiceRequest {
        resource_profiles: o.list("resourceProfiles", resource_profiles),
        dictionary: o.message("dictionary", dictionary),
    })
}

/// An object whose fields are taken out one by one; a field that is left at the end is unknown.
struct Object(Map<String, Value>);

fn message<T>(value: Value, read: impl FnOnce(&mut Object) -> T) -> T {
    let Value::Object(map) = value else { panic!("no object: {value}") };
    let mut object = Object(map);
    let message = read(&mut object);
    let unknown: HashSet<_> = object.0.keys().collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    message
}

impl Object {
    fn text(&mut self, key: &str) -> String {
        self.0.remove(key).map_or_else(String::new, |value| {
            let text = string(&value);
            assert!(!text.is_empty(), "default not left out");
            text
        })
    }

    fn int<T: TryFrom<i64> + Default>(&mut self, key: &str) -> T {
        self.0.remove(key).map_or_else(T::default, |value| {
            assert_ne!(value, 0, "default not left out");
            int(&value)
        })
    }

    fn long<T: std::str::FromStr + Default>(&mut self, key: &str) -> T {
        self.0.remove(key).map_or_else(T::default, |value| {
            assert_ne!(value, "0", "default not left out");
            long(&value)
        })
    }

    fn bytes(&mut self, key: &str, decode: fn(&str) -> Vec<u8>) -> Vec<u8> {
        decode(&self.text(key))
    }

    fn message<T>(&mut self, key: &str, read: impl FnOnce(&mut Object) -> T) -> Option<T> {
        self.0.remove(key).map(|value| message(value, read))
    }

    fn list<T>(&mut self, key: &str, read: impl Fn(&mut Object) -> T) -> Vec<T> {
        self.array(key, |value| message(value, &read))
    }

    fn array<T>(&mut self, key: &str, read: impl FnMut(Value) -> T) -> Vec<T> {
        let Some(value) = self.0.remove(key) else { return Vec::new() };
        let Value::Array(items) = value else { panic!("no array: {value}") };
        assert!(!items.is_empty(), "default not left out");
        items.into_iter().map(read).collect()
    }

    fn ints(&mut self, key: &str) -> Vec<i32> {
        self.array(key, |value| int(&value))
    }
}

fn string(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn int<T: TryFrom<i64>>(value: &Value) -> T {
    T::try_from(value.as_i64().unwrap()).ok().unwrap()
}

fn long<T: std::str::FromStr>(value: &Value) -> T {
    string(value).parse().ok().unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    assert_eq!(text, text.to_lowercase());
    text.as_bytes()
        .chunks(2)
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect()
}

fn base64(text: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

fn resource_profiles(o: &mut Object) -> ResourceProfiles {
    ResourceProfiles {
        resource: o.message("resource", |o| Resource {
            attributes: o.list("attributes", key_value),
            dropped_attributes_count: o.int("droppedAttributesCount"),
            entity_refs: o.list("entityRefs", |o| EntityRef {
                schema_url: o.text("schemaUrl"),
                r#type: o.text("type"),
                id_keys: o.array("idKeys", |value| string(&value)),
                description_keys: o.array("descriptionKeys", |value| string(&value)),
            }),
        }),
        scope_profiles: o.list("scopeProfiles", |o| ScopeProfiles {
            scope: o.message("scope", |o| InstrumentationScope {
                name: o.text("name"),
                version: o.text("version"),
                attributes: o.list("attributes", key_value),
                dropped_attributes_count: o.int("droppedAttributesCount"),
            }),
            profiles: o.list("profiles", profile),
            schema_url: o.text("schemaUrl"),
        }),
        schema_url: o.text("schemaUrl"),
    }
}

fn key_value(o: &mut Object) -> KeyValue {
    KeyValue { key: o.text("key"), value: o.message("value", any_value), key_strindex: o.int("keyStrindex") }
}

fn any_value(o: &mut Object) -> AnyValue {
    assert!(o.0.len() <= 1, "{:?}", o.0);
    let Some(key) = o.0.keys().next().cloned() else { return AnyValue::default() };
    let value = match key.as_str() {
        "arrayValue" => {
            let values = o.message(&key, |o| o.list("values", any_value)).unwrap();
            return AnyValue { value: Some(any_value::Value::ArrayValue(ArrayValue { values })) };
        }
        "kvlistValue" => {
            let values = o.message(&key, |o| o.list("values", key_value)).unwrap();
            return AnyValue { value: Some(any_value::Value::KvlistValue(KeyValueList { values })) };
        }
        _ => o.0.remove(&key).unwrap(),
    };
    let value = match key.as_str() {
        "stringValue" => any_value::Value::StringValue(string(&value)),
        "boolValue" => any_value::Value::BoolValue(value.as_bool().unwrap()),
        "intValue" => any_value::Value::IntValue(long(&value)),
        "doubleValue" => any_value::Value::DoubleValue(match value.as_str() {
            Some("Infinity") => f64::INFINITY,
            Some("-Infinity") => f64::NEG_INFINITY,
            Some(other) => panic!("{other}"),
            None => value.as_f64().unwrap(),
        }),
        "bytesValue" => any_value::Value::BytesValue(base64(&string(&value))),
        "stringValueStrindex" => any_value::Value::StringValueStrindex(int(&value)),
        other => panic!("{other}"),
    };
    AnyValue { value: Some(value) }
}

fn value_type(o: &mut Object) -> ValueType {
    ValueType { type_strindex: o.int("typeStrindex"), unit_strindex: o.int("unitStrindex") }
}

fn profile(o: &mut Object) -> Profile {
    Profile {
        sample_type: o.message("sampleType", value_type),
        samples: o.list("samples", |o| Sample {
            stack_index: o.int("stackIndex"),
            attribute_indices: o.ints("attributeIndices"),
            link_index: o.int("linkIndex"),
            values: o.array("values", |value| long(&value)),
            timestamps_unix_nano: o.array("timestampsUnixNano", |value| long(&value)),
        }),
        time_unix_nano: o.long("timeUnixNano"),
        duration_nano: o.long("durationNano"),
        period_type: o.message("periodType", value_type),
        period: o.long("period"),
        profile_id: o.bytes("profileId", hex),
        dropped_attributes_count: o.int("droppedAttributesCount"),
        original_payload_format: o.text("originalPayloadFormat"),
        original_payload: o.bytes("originalPayload", base64),
        attribute_indices: o.ints("attributeIndices"),
    }
}

fn dictionary(o: &mut Object) -> ProfilesDictionary {
    ProfilesDictionary {
        mapping_table: o.list("mappingTable", |o| Mapping {
            memory_start: o.long("memoryStart"),
            memory_limit: o.long("memoryLimit"),
            file_offset: o.long("fileOffset"),
            filename_strindex: o.int("filenameStrindex"),
            attribute_indices: o.ints("attributeIndices"),
        }),
        location_table: o.list("locationTable", |o| Location {
            mapping_index: o.int("mappingIndex"),
            address: o.long("address"),
            lines: o.list("lines", |o| Line {
                function_index: o.int("functionIndex"),
                line: o.long("line"),
                column: o.long("column"),
            }),
            attribute_indices: o.ints("attributeIndices"),
        }),
        function_table: o.list("functionTable", |o| Function {
            name_strindex: o.int("nameStrindex"),
            system_name_strindex: o.int("systemNameStrindex"),
            filename_strindex: o.int("filenameStrindex"),
            start_line: o.long("startLine"),
        }),
        link_table: o.list("linkTable", |o| Link {
            trace_id: o.bytes("traceId", hex),
            span_id: o.bytes("spanId", hex),
        }),
        string_table: o.array("stringTable", |value| string(&value)),
        attribute_table: o.list("attributeTable", |o| KeyValueAndUnit {
            key_strindex: o.int("keyStrindex"),
            value: o.message("value", any_value),
            unit_strindex: o.int("unitStrindex"),
        }),
        stack_table: o.list("stackTable", |o| Stack { location_indices: o.ints("locationIndices") }),
    }
}
