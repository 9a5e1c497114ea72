//! A figment provider of Collector YAML: one location, parsed and expanded.

use std::collections::BTreeMap;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};
use serde_yaml_ng::Value as Yaml;

use super::ConfigError;
use super::expand::{Environment, Expanded, Expander};
use super::location::Location;

/// Deepest nesting, references included.
const MAX_DEPTH: usize = 128;

/// The text behind values that are references, by their path: a key that wants a string gets the text,
/// so that `${env:TOKEN}` may be `0123` or `true`.
pub(super) type Originals = BTreeMap<Vec<String>, String>;

/// One location's configuration.
#[derive(Debug)]
pub(super) struct CollectorYaml {
    name: String,
    dict: Dict,
    /// Texts behind references.
    pub(super) originals: Originals,
    /// Environment variables referred to that are not set and have no default.
    pub(super) unset: Vec<String>,
}

impl CollectorYaml {
    /// Reads, parses and expands one location.
    pub(super) fn read(location: &Location, environment: Environment<'_>) -> Result<Self, ConfigError> {
        Self::parse(location, &location.read(environment)?, environment)
    }

    fn parse(location: &Location, text: &str, environment: Environment<'_>) -> Result<Self, ConfigError> {
        let name = location.to_string();
        let malformed = |reason: String| ConfigError::Yaml { location: name.clone(), reason };
        let mut yaml: Yaml = serde_yaml_ng::from_str(text).map_err(|error| malformed(error.to_string()))?;
        yaml.apply_merge().map_err(|error| malformed(error.to_string()))?;
        let mut reader = Reader {
            expander: Expander::new(environment),
            compound_keys: location.has_compound_keys(),
            originals: Originals::new(),
            path: Vec::new(),
        };
        let dict = match yaml {
            Yaml::Null => Dict::new(),
            yaml => match reader.value(yaml).map_err(malformed)? {
                Value::Dict(_, dict) => dict,
                _ => return Err(malformed("expected a map of keys at the top".to_owned())),
            },
        };
        Ok(Self { name, dict, originals: reader.originals, unset: reader.expander.unset })
    }
}

impl Provider for CollectorYaml {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

/// Turns YAML into figment's values, expanding as it goes.
struct Reader<'a> {
    expander: Expander<'a>,
    compound_keys: bool,
    originals: Originals,
    path: Vec<String>,
}

impl Reader<'_> {
    fn value(&mut self, yaml: Yaml) -> Result<Value, String> {
        if self.path.len() > MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} deep"));
        }
        Ok(match yaml {
            Yaml::Null => null(),
            Yaml::Bool(value) => Value::from(value),
            Yaml::Number(number) => number_value(&number),
            Yaml::String(text) => self.string(&text)?,
            Yaml::Sequence(items) => {
                let items = items.into_iter().enumerate();
                let items = items.map(|(at, item)| self.at(at.to_string(), |this| this.value(item)));
                Value::from(items.collect::<Result<Vec<_>, _>>()?)
            }
            Yaml::Mapping(entries) => Value::from(self.map(entries)?),
            Yaml::Tagged(tagged) => return Err(self.refuse(&format!("YAML tag {} is not known", tagged.tag))),
        })
    }

    fn map(&mut self, entries: serde_yaml_ng::Mapping) -> Result<Dict, String> {
        let mut dict = Dict::new();
        for (key, value) in entries {
            let key = match key {
                Yaml::String(key) => key,
                Yaml::Bool(key) => key.to_string(),
                Yaml::Number(key) => key.to_string(),
                _ => return Err(self.refuse("keys must be strings")),
            };
            if self.compound_keys && key.contains("::") {
                self.compound(&mut dict, key.split("::").map(str::to_owned).collect(), value)?;
            } else {
                let value = self.at(key.clone(), |this| this.value(value))?;
                dict.insert(key, value);
            }
        }
        Ok(dict)
    }

    /// Sets `a::b::c` inside `dict`, making the maps on the way.
    fn compound(&mut self, dict: &mut Dict, mut keys: Vec<String>, value: Yaml) -> Result<(), String> {
        let depth = self.path.len();
        self.path.extend(keys.iter().cloned());
        let value = self.value(value)?;
        self.path.truncate(depth);
        let Some(last) = keys.pop() else { return Ok(()) };
        let mut into = dict;
        for key in keys {
            let entry = into.entry(key).or_insert_with(|| Value::from(Dict::new()));
            match entry {
                Value::Dict(_, inner) => into = inner,
                _ => return Err(self.refuse("a key inside a value that is no map")),
            }
        }
        into.insert(last, value);
        Ok(())
    }

    fn string(&mut self, text: &str) -> Result<Value, String> {
        let expanded = self.expander.expand(text).map_err(|error| self.refuse(&error.to_string()))?;
        Ok(match expanded {
            Expanded::Text(text) => Value::from(text),
            Expanded::Unset => {
                self.originals.insert(self.path.clone(), String::new());
                null()
            }
            Expanded::Reference(original) => {
                self.originals.insert(self.path.clone(), original.clone());
                match serde_yaml_ng::from_str::<Yaml>(&original) {
                    Ok(yaml) if !yaml.is_string() => self.value(yaml)?,
                    // Of a string, the text itself: quotes, blanks and line breaks are part of it.
                    _ => self.string(&original)?,
                }
            }
        })
    }

    fn at<T>(&mut self, key: String, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(key);
        let value = read(self);
        self.path.pop();
        value
    }

    /// `what`, with its place.
    fn refuse(&self, what: &str) -> String {
        if self.path.is_empty() { what.to_owned() } else { format!("{}: {what}", self.path.join("::")) }
    }
}

/// The value that stands for YAML's `null`.
fn null() -> Value {
    Value::Empty(figment::value::Tag::Default, figment::value::Empty::Unit)
}

fn number_value(number: &serde_yaml_ng::Number) -> Value {
    if let Some(value) = number.as_u64() {
        Value::from(value)
    } else if let Some(value) = number.as_i64() {
        Value::from(value)
    } else {
        Value::from(number.as_f64().unwrap_or(f64::NAN))
    }
}
