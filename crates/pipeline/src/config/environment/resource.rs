//! `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`: attributes of the agent itself.

use confmap::{Dict, Environment, Value};

use super::pairs;
use super::variables::{Variables, present, variable};

/// The path of the resource attributes.
const PATH: [&str; 3] = ["service", "telemetry", "resource"];
/// The key of their list form.
pub(super) const LIST: &str = "attributes";

const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// Reads the variables, apart from attributes that `root` names itself, if only to remove them.
pub(super) fn read(root: &Dict, environment: Environment<'_>, variables: &mut Variables) {
    let written = present(root, &PATH);
    let mut given: Vec<(&str, String, String)> = Vec::new();
    if let Some(value) = variable(environment, SERVICE_NAME) {
        given.push((SERVICE_NAME, "service.name".to_owned(), value));
    }
    if let Some(text) = variable(environment, ATTRIBUTES) {
        match pairs::parse(&text) {
            Ok(pairs) => given.extend(pairs.into_iter().map(|(key, value)| (ATTRIBUTES, key, value))),
            Err(message) => variables.refuse(&PATH, ATTRIBUTES, message),
        }
    }
    let list = match written {
        Some(Value::Dict(_, dict)) => dict.get(LIST),
        _ => None,
    };
    let is_written = |name: &str| match (list, written) {
        (Some(Value::Array(_, items)), _) => {
            items.iter().any(|item| item.find_ref("name").is_some_and(|found| found.as_str() == Some(name)))
        }
        (_, Some(Value::Dict(_, dict))) => dict.contains_key(name),
        _ => false,
    };
    let mut seen: Vec<String> = Vec::new();
    given.retain(|(_, name, _)| {
        let is_new = !is_written(name) && !seen.contains(name);
        seen.push(name.clone());
        is_new
    });
    let is_inline = matches!(written, Some(Value::Dict(_, dict)) if !dict.is_empty() && list.is_none());
    if is_inline {
        for (variable, name, value) in given {
            let path: Vec<_> = PATH.into_iter().chain([name.as_str()]).collect();
            variables.give(&path, variable, value.into());
        }
    } else if let Some((first, ..)) = given.first() {
        let first = *first;
        let pair = |(_, name, value): (&str, String, String)| {
            Value::from(Dict::from([("name".to_owned(), name.into()), ("value".to_owned(), value.into())]))
        };
        let items: Vec<Value> = given.into_iter().map(pair).collect();
        let path: Vec<_> = PATH.into_iter().chain([LIST]).collect();
        variables.give(&path, first, items.into());
    }
}
