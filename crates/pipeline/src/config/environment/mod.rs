//! What OpenTelemetry's environment variables give to keys that the configuration leaves out: a layer below
//! every file.
//!
//! `OTEL_EXPORTER_OTLP_PROFILES_*`, and where that is not set `OTEL_EXPORTER_OTLP_*`, belong to every exporter
//! `otlp_grpc` and `otlp_http`; `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` to the agent's own
//! `service::telemetry::resource`. Rules: the specification's "OTLP Exporter Configuration" and "General SDK
//! Configuration"; an empty variable is as if it were not set. A value in a file wins, always.

mod exporter;
mod pairs;
mod resource;
#[cfg(test)]
mod tests;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider, Source};

use super::expand::Environment;
use super::fault::Fault;
use super::provider::Places;

/// What the variables give.
#[derive(Debug, Default)]
pub(super) struct OtelVariables {
    dict: Dict,
    /// Which of the providers it is; see [`Sources`](super::sources::Sources).
    pub(super) index: usize,
    /// Which variable each value came from.
    pub(super) places: Places,
    /// Variables with values that cannot be used.
    pub(super) faults: Vec<Fault>,
}

impl OtelVariables {
    /// What `environment` gives to the keys that `root`, merged and expanded, leaves out.
    pub(super) fn read(root: &Dict, environment: Environment<'_>) -> Self {
        let mut variables = Self::default();
        exporter::read(root, environment, &mut variables);
        resource::read(root, environment, &mut variables);
        variables
    }

    /// Gives `value`, from the variable `name`, to the key at `path`.
    fn give(&mut self, path: &[&str], name: &str, value: Value) {
        let owned: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
        for depth in 1..=owned.len() {
            let place = owned.get(..depth).unwrap_or_default();
            self.places.entry(place.to_vec()).or_insert_with(|| named(name));
        }
        insert(&mut self.dict, path, value);
    }

    /// Notes that the variable `name`, which belongs to `path`, cannot be used.
    fn refuse(&mut self, path: &[&str], name: &str, message: String) {
        let path = path.iter().map(|key| (*key).to_owned()).collect();
        self.faults.push(Fault { path, message, source: Some(named(name)) });
    }
}

/// How a fault says where it is.
fn named(variable: &str) -> String {
    format!("environment variable {variable}")
}

impl Provider for OtelVariables {
    fn metadata(&self) -> Metadata {
        Metadata::named("OTEL_* environment variables").source(Source::Custom(self.index.to_string()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

/// The value of a variable; `None` if it is not set or empty.
fn variable(environment: Environment<'_>, name: &str) -> Option<String> {
    environment(name).filter(|value| !value.is_empty())
}

/// The value at `path`, if there is one and it is not null.
fn present<'v>(root: &'v Dict, path: &[&str]) -> Option<&'v Value> {
    let (first, rest) = path.split_first()?;
    let value = root.get(*first)?;
    match (value, rest) {
        (Value::Empty(..), _) => None,
        (value, []) => Some(value),
        (Value::Dict(_, dict), rest) => present(dict, rest),
        _ => None,
    }
}

fn insert(dict: &mut Dict, path: &[&str], value: Value) {
    match path {
        [] => {}
        [last] => {
            dict.insert((*last).to_owned(), value);
        }
        [first, rest @ ..] => {
            let entry = dict.entry((*first).to_owned()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, inner) = entry {
                insert(inner, rest, value);
            }
        }
    }
}

/// Puts `defaults` where `root` has nothing, or null.
pub(super) fn fill(root: &mut Dict, defaults: Dict) {
    for (key, default) in defaults {
        match (root.get_mut(&key), default) {
            (Some(Value::Dict(_, inner)), Value::Dict(_, defaults)) => fill(inner, defaults),
            (None | Some(Value::Empty(..)), default) => {
                root.insert(key, default);
            }
            (Some(Value::Array(_, items)), Value::Array(_, more)) if key == resource::LIST => {
                items.extend(more)
            }
            _ => {}
        }
    }
}
