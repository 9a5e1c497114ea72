//! A figment provider of Collector YAML: one location, parsed. Its references are still to be expanded, since the
//! Collector expands the merged configuration.

use std::collections::BTreeMap;

use figment::value::{Dict, Empty, Map, Tag, Value};
use figment::{Metadata, Profile, Provider, Source};

use crate::fault::Fault;
use crate::location::Location;
use crate::yaml::{self, MAX_DEPTH, Node, Scalar, Yaml};

/// Separator of keys inside a key.
const DELIMITER: &str = "::";

/// Places of one provider's values, by the values' paths.
pub(crate) type Places = BTreeMap<Vec<String>, String>;

/// The configuration of one location.
#[derive(Debug)]
pub(crate) struct CollectorYaml {
    name: String,
    dict: Dict,
    /// Number of this location among the providers; see [`Sources`](crate::sources::Sources).
    pub(crate) index: usize,
    /// Places of the location's values: `agent.yaml:12`.
    pub(crate) places: Places,
    /// Faults that leave the location readable.
    pub(crate) faults: Vec<Fault>,
}

impl CollectorYaml {
    /// Parses the text of one location.
    ///
    /// # Errors
    /// The fault that leaves it unreadable.
    pub(crate) fn parse(location: &Location, text: &str) -> Result<Self, Fault> {
        let place = |line| location.place(line, text);
        let document = yaml::parse(text).map_err(|fault| unplaced(fault.message, place(fault.line)))?;
        let faults = document.faults.into_iter().map(|fault| unplaced(fault.message, place(fault.line)));
        let mut builder = ValueBuilder { place: &place, places: Places::new(), path: Vec::new() };
        let dict = match document.root.value {
            Yaml::Scalar(Scalar::Null) => Dict::new(),
            Yaml::Map(_) => match builder.value(document.root) {
                Value::Dict(_, dict) => dict,
                _ => Dict::new(),
            },
            _ => {
                let message = "expected a map of keys at the top".to_owned();
                return Err(unplaced(message, place(document.root.line)));
            }
        };
        Ok(Self {
            name: location.to_string(),
            index: 0,
            faults: faults.collect(),
            places: builder.places,
            dict,
        })
    }
}

/// A fault of a whole text, which has no path.
fn unplaced(message: String, place: String) -> Fault {
    Fault { path: Vec::new(), message, source: Some(place) }
}

impl Provider for CollectorYaml {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone()).source(Source::Custom(self.index.to_string()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

/// Turns the YAML tree into figment's values, and notes the place of each.
struct ValueBuilder<'a> {
    place: &'a dyn Fn(usize) -> String,
    places: Places,
    path: Vec<String>,
}

impl ValueBuilder<'_> {
    fn value(&mut self, node: Node) -> Value {
        match node.value {
            Yaml::Scalar(scalar) => scalar_value(scalar),
            Yaml::List(items) => {
                let items = items.into_iter().enumerate();
                Value::from(
                    items.map(|(at, item)| self.at(at.to_string(), item.line, item)).collect::<Vec<_>>(),
                )
            }
            Yaml::Map(entries) => {
                let mut dict = Dict::new();
                for (key, node) in entries {
                    let depth = self.path.len();
                    // Keys are no deeper than values may be, so that code that walks the tree may recurse.
                    let mut keys: Vec<_> = key.text.splitn(MAX_DEPTH, DELIMITER).map(str::to_owned).collect();
                    let last = keys.pop().unwrap_or_default();
                    for key_of_map in &keys {
                        self.path.push(key_of_map.clone());
                        self.places.entry(self.path.clone()).or_insert_with(|| (self.place)(key.line));
                    }
                    let value = self.at(last.clone(), key.line, node);
                    self.path.truncate(depth);
                    let nested = keys.into_iter().rev().fold((last, value), |(key, value), outer| {
                        (outer, Value::from(Dict::from([(key, value)])))
                    });
                    join(&mut dict, nested);
                }
                Value::from(dict)
            }
        }
    }

    fn at(&mut self, key: String, line: usize, node: Node) -> Value {
        self.path.push(key);
        self.places.insert(self.path.clone(), (self.place)(line));
        let value = self.value(node);
        self.path.pop();
        value
    }
}

/// Sets a key, or joins its map with the map that the key has already: `a::b: 1` beside `a: {c: 2}`.
fn join(dict: &mut Dict, (key, value): (String, Value)) {
    match (dict.get_mut(&key), value) {
        (Some(Value::Dict(_, inner)), Value::Dict(_, more)) => {
            more.into_iter().for_each(|entry| join(inner, entry));
        }
        (_, value) => {
            dict.insert(key, value);
        }
    }
}

/// The value of a scalar.
pub(crate) fn scalar_value(scalar: Scalar) -> Value {
    match scalar {
        Scalar::Null => null(),
        Scalar::Bool(value) => Value::from(value),
        Scalar::Unsigned(value) => Value::from(value),
        Scalar::Signed(value) => Value::from(value),
        Scalar::Float(value) => Value::from(value),
        Scalar::String(text) => Value::from(text),
    }
}

/// The value that stands for YAML's `null`.
pub(crate) fn null() -> Value {
    Value::Empty(Tag::Default, Empty::Unit)
}

/// The value of a YAML tree that stands in the place of a reference: without places, tagged like the reference.
pub(crate) fn untracked(node: Node, tag: Tag) -> Value {
    let nowhere = |_| String::new();
    let mut builder = ValueBuilder { place: &nowhere, places: Places::new(), path: Vec::new() };
    let mut value = builder.value(node);
    retag(&mut value, tag);
    value
}

/// Marks a value and all values in it with `tag`.
pub(crate) fn retag(value: &mut Value, tag: Tag) {
    let own = match value {
        Value::String(own, _)
        | Value::Char(own, _)
        | Value::Bool(own, _)
        | Value::Num(own, _)
        | Value::Empty(own, _) => own,
        Value::Dict(own, dict) => {
            dict.values_mut().for_each(|value| retag(value, tag));
            own
        }
        Value::Array(own, items) => {
            items.iter_mut().for_each(|value| retag(value, tag));
            own
        }
    };
    *own = tag;
}
