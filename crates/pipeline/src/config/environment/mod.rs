//! Values of OpenTelemetry's environment variables for keys that the configuration leaves out: a layer below every
//! file.
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
mod variables;

use confmap::{Defaults, Dict, Environment};

use variables::Variables;

/// Values from `environment` for the keys that `root`, merged and expanded, leaves out.
pub(super) fn defaults(root: &Dict, environment: Environment<'_>) -> Defaults {
    let mut variables = Variables(Defaults::new("OTEL_* environment variables", LISTS));
    exporter::read(root, environment, &mut variables);
    resource::read(root, environment, &mut variables);
    variables.0
}

/// Lists that the variables append to.
const LISTS: &[&str] = &[resource::LIST];
