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

use confmap::{Defaults, Dict, Environment, Fault, Value};

/// What `environment` gives to the keys that `root`, merged and expanded, leaves out.
pub(super) fn defaults(root: &Dict, environment: Environment<'_>) -> Defaults {
    let mut variables = Variables(Defaults::new("OTEL_* environment variables", LISTS));
    exporter::read(root, environment, &mut variables);
    resource::read(root, environment, &mut variables);
    variables.0
}

/// Lists that the variables add to.
const LISTS: &[&str] = &[resource::LIST];

/// What the variables give, so far.
struct Variables(Defaults);

impl Variables {
    /// Gives `value`, from the variable `name`, to the key at `path`.
    fn give(&mut self, path: &[&str], name: &str, value: Value) {
        self.0.set(path, value, &named(name));
    }

    /// Notes that the variable `name`, which belongs to `path`, cannot be used.
    fn refuse(&mut self, path: &[&str], name: &str, message: String) {
        let path = path.iter().map(|key| (*key).to_owned()).collect();
        self.0.refuse(Fault { path, message, source: Some(named(name)) });
    }
}

/// How a fault says where it is.
fn named(variable: &str) -> String {
    format!("environment variable {variable}")
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
