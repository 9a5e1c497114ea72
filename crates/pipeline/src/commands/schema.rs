//! `pipeline schema`: JSON Schema (draft 2020-12) of the whole configuration, from the components' own.

use schemars::{JsonSchema as _, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::components::{EXPORTERS, EXTENSIONS, Factory, PROCESSORS, RECEIVERS};
use crate::config::Service;

/// Name of the schema of a reference, which may stand for any value.
const REFERENCE: &str = "Reference";

/// The schema of the configuration. Its keys are those that the code reads; its descriptions are their doc comments.
///
/// Text with a reference such as `${env:NAME}` may stand for any value, and so may null, which is the default.
#[must_use]
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut properties = Map::new();
    for (name, schema) in [
        ("receivers", class("Where samples come from.", RECEIVERS, &mut generator)),
        ("processors", class("What samples pass through.", PROCESSORS, &mut generator)),
        ("exporters", class("Where profiles go.", EXPORTERS, &mut generator)),
        ("extensions", class("What runs beside the pipelines.", EXTENSIONS, &mut generator)),
    ] {
        properties.insert(name.to_owned(), schema);
    }
    properties.insert("service".to_owned(), Service::json_schema(&mut generator).into());
    let mut definitions = generator.take_definitions(true);
    for definition in definitions.values_mut() {
        allow_references(definition);
        allow_nothing(definition);
    }
    for section in properties.values_mut() {
        allow_references(section);
        or_reference(section);
    }
    let reference = json!({
        "description": "Text with a reference to what is filled in when it is read.",
        "type": "string",
        "pattern": "\\$\\{",
    });
    definitions.insert(REFERENCE.to_owned(), reference);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of pipeline",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "$defs": definitions,
    })
}

/// The schema of a section: components by `type` or `type/name`.
fn class<C: ?Sized>(description: &str, factories: &[Factory<C>], generator: &mut SchemaGenerator) -> Value {
    let mut patterns = Map::new();
    for factory in factories {
        let schema = (factory.schema)(generator);
        let pattern = format!("^\\s*({})\\s*(/.+)?$", factory.names.join("|"));
        patterns.insert(pattern, schema.into());
    }
    json!({
        "description": description,
        "type": "object",
        "patternProperties": patterns,
        "additionalProperties": false,
    })
}

/// Lets references stand for the values of a map or list, however deep.
fn allow_references(schema: &mut Value) {
    let Value::Object(keywords) = schema else { return };
    for (keyword, value) in keywords {
        match (keyword.as_str(), value) {
            ("properties" | "patternProperties", Value::Object(values)) => {
                values.values_mut().for_each(|value| {
                    allow_references(value);
                    or_reference(value);
                });
            }
            ("additionalProperties" | "items", value @ Value::Object(_)) => {
                allow_references(value);
                or_reference(value);
            }
            ("anyOf" | "oneOf" | "allOf", Value::Array(choices)) => {
                choices.iter_mut().for_each(allow_references);
            }
            _ => {}
        }
    }
}

/// Lets a reference or null stand for a value, and text with commas for a list of texts. Description and default of the
/// value stay outside, where editors look for them. With `if` rather than `anyOf`, validators report a fault inside at
/// its own place.
fn or_reference(schema: &mut Value) {
    allow_nothing(schema);
    let Value::Object(keywords) = schema else { return };
    let mut outside = Map::new();
    for keyword in ["description", "default", "title", "writeOnly"] {
        if let Some(value) = keywords.remove(keyword) {
            outside.insert(keyword.to_owned(), value);
        }
    }
    outside.insert("if".to_owned(), json!({ "$ref": format!("#/$defs/{REFERENCE}") }));
    outside.insert("else".to_owned(), Value::Object(std::mem::take(keywords)));
    *keywords = outside;
}

/// Lets null stand for a value, which is its default; for a value that is defined elsewhere, its definition does so.
fn allow_nothing(schema: &mut Value) {
    let Value::Object(keywords) = schema else { return };
    let texts = keywords.get("items").is_some_and(|items| items.to_string().contains("\"string\""));
    match keywords.get_mut("type") {
        Some(Value::String(name)) => {
            let mut names = vec![json!(*name), json!("null")];
            if name == "array" && texts {
                names.push(json!("string"));
            }
            keywords.insert("type".to_owned(), names.into());
        }
        Some(Value::Array(names)) if !names.contains(&json!("null")) => names.push(json!("null")),
        _ => {}
    }
    for keyword in ["anyOf", "oneOf"] {
        let null = json!({ "type": "null" });
        if let Some(Value::Array(choices)) = keywords.get_mut(keyword)
            && !choices.contains(&null)
        {
            choices.push(null);
        }
    }
    if let Some(Value::Array(values)) = keywords.get_mut("enum") {
        values.push(Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::schema;

    fn faults(configuration: &Value) -> Vec<String> {
        let validator = jsonschema::draft202012::new(&schema()).unwrap();
        validator.iter_errors(configuration).map(|error| error.instance_path().to_string()).collect()
    }

    #[test]
    fn the_schema_is_one() {
        jsonschema::draft202012::meta::validate(&schema()).unwrap();
    }

    #[test]
    fn what_the_agent_reads_is_taken_and_what_it_refuses_is_not() {
        for (configuration, at) in [
            (json!({ "exporters": { "debug": null, "debug/two": { "window": "1m" } } }), None),
            (json!({ "receivers": { "ebpf": { "samples_per_second": "${env:RATE:-19}" } } }), None),
            (json!({ "exporters": { "file": { "rotation": {} } } }), None),
            (
                json!({ "exporters": { "file": { "rotation": { "max_size": 1 } } } }),
                Some("/exporters/file/rotation"),
            ),
            (json!({ "exporters": { "debg": {} } }), Some("/exporters")),
            (json!({ "exporters": { "debug": { "top": "many" } } }), Some("/exporters/debug/top")),
            (
                json!({ "service": { "telemetry": { "logs": { "level": "loud" } } } }),
                Some("/service/telemetry/logs/level"),
            ),
            (json!({ "exporter": {} }), Some("")),
        ] {
            let found = faults(&configuration);
            match at {
                None => assert_eq!(found, Vec::<String>::new(), "{configuration}"),
                Some(at) => {
                    assert!(found.len() == 1 && found[0].starts_with(at), "{configuration}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn every_shipped_configuration_is_valid() {
        for (name, text) in crate::config::shipped::shipped() {
            let configuration: Value = serde_yaml_ng::from_str(&text).unwrap();
            assert_eq!(faults(&configuration), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn every_key_of_every_component_says_what_it_is() {
        /// Keys without description, by their path.
        fn silent(schema: &Value, path: &str, found: &mut Vec<String>) {
            match schema {
                Value::Object(keywords) => {
                    for (keyword, value) in keywords {
                        // Items of lists have one description together.
                        if keyword == "items" {
                            continue;
                        }
                        if let ("properties", Value::Object(keys)) = (keyword.as_str(), value) {
                            let silent = keys.iter().filter(|(_, value)| value.get("description").is_none());
                            found.extend(silent.map(|(key, _)| format!("{path}/{key}")));
                        }
                        silent(value, &format!("{path}/{keyword}"), found);
                    }
                }
                Value::Array(items) => items.iter().for_each(|item| silent(item, path, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        silent(&schema(), "", &mut found);
        assert_eq!(found, Vec::<String>::new());
    }
}
