//! Locations to trees. Each rule of the Collector has its table in a file of its own; expectations are the Collector's
//! results, by its documentation, its tests or its source.

mod expansion;
mod merge;
mod types;

use figment::value::{Dict, Num, Value};

use super::*;

fn environment(name: &str) -> Option<String> {
    match name {
        "DIGITS" => Some("0123".to_owned()),
        "NUMBER" => Some("42".to_owned()),
        "LIST" => Some("[debug]".to_owned()),
        "EMPTY" => Some(String::new()),
        "TEXT" => Some("text".to_owned()),
        "MAP" => Some("{ a: 1, b: { c: \"${env:NUMBER}\" } }".to_owned()),
        "CHAIN" => Some("${env:DIGITS}".to_owned()),
        "CURLY" => Some("{ not: yaml".to_owned()),
        "QUOTED" => Some("\"0123\"".to_owned()),
        "MONEY" => Some("pa$$word".to_owned()),
        "NESTS" => Some("a: ${env:NESTS}".to_owned()),
        "GROWS" => Some("[\"${env:GROWS}\", \"${env:GROWS}\"]".to_owned()),
        _ => None,
    }
}

/// The locations, merged and expanded.
fn tree(texts: &[&str]) -> Result<Tree, ConfigError> {
    let locations: Vec<_> = texts.iter().map(|text| Location::Yaml((*text).to_owned())).collect();
    Tree::load(&locations, &environment)
}

/// A value like JSON, with the keys of a map in alphabetical order.
fn shown(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match value {
        Value::Dict(_, dict) => {
            let entries = dict.iter().map(|(key, value)| format!("{key}: {}", shown(value)));
            format!("{{{}}}", list(entries.collect()))
        }
        Value::Array(_, items) => format!("[{}]", list(items.iter().map(shown).collect())),
        Value::String(_, text) => format!("{text:?}"),
        Value::Bool(_, value) => value.to_string(),
        Value::Num(_, Num::U64(value)) => value.to_string(),
        Value::Num(_, Num::I64(value)) => value.to_string(),
        Value::Num(_, number) => format!("{:?}", number.to_f64()),
        Value::Empty(..) => "null".to_owned(),
        Value::Char(_, c) => c.to_string(),
    }
}

/// The text by [`shown`] of the merged locations, or the faults.
fn merged(texts: &[&str]) -> String {
    match tree(texts) {
        Ok(tree) if tree.faults.as_slice().is_empty() => {
            let root: Dict = tree.root;
            shown(&Value::from(root))
        }
        Ok(tree) => tree.faults.to_string(),
        Err(error) => error.to_string(),
    }
}
