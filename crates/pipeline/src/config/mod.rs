//! Configuration: the tree that `confmap` has read, made into a configuration that can run.
//!
//! ```text
//! confmap::Tree --environment/: OTEL_* fill in what is left out--> tree --components.rs, service/: types--> sections
//!    Config <--graph.rs: references between sections-- sections
//! ```
//!
//! Every fault is reported, not only the first, and each names its place.

mod components;
mod counterparts;
mod environment;
mod graph;
mod service;
#[cfg(test)]
pub(crate) mod shipped;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use confmap::{Context, Section, Tree, hint};
use serde_yaml_ng::Value;

pub use crate::components::ComponentId;
pub use confmap::{ConfigError, Environment, Fault, Faults, Location, SETTING_FLAG};
pub use graph::{Graph, Pipeline, Used};
pub use service::{
    LogEncoding, LogLevel, Logs, MetricReader, Metrics, MetricsLevel, Prometheus, Pull, PullExporter,
    Telemetry,
};

use components::{Components, components};
pub(crate) use service::Service;

use crate::components::{
    EXPORTERS, EXTENSIONS, ExporterConfig, ExtensionConfig, Factory, PROCESSORS, ProcessorConfig, RECEIVERS,
    ReceiverConfig,
};

/// Keys of the tree's root.
const SECTIONS: [&str; 5] = ["receivers", "processors", "exporters", "extensions", "service"];

/// A sound configuration: all components, the graph of those that run, and the agent's telemetry.
#[derive(Clone, Debug)]
pub struct Config {
    /// Every receiver that is configured, used or not.
    pub receivers: Configured<dyn ReceiverConfig>,
    /// Every processor that is configured, used or not.
    pub processors: Configured<dyn ProcessorConfig>,
    /// Every exporter that is configured, used or not.
    pub exporters: Configured<dyn ExporterConfig>,
    /// Every extension that is configured, used or not.
    pub extensions: Configured<dyn ExtensionConfig>,
    /// The components that run.
    pub graph: Graph,
    /// Settings of the agent's own logs and metrics.
    pub telemetry: Telemetry,
    /// Longest time that exporters may take to deliver the rest when they are stopped.
    pub shutdown_timeout: Duration,
    /// Environment variables that the configuration refers to without a default, and that are not set.
    pub unset: Vec<String>,
    /// Environment variables whose values are used changed, because of dollar signs in them.
    pub changed: Vec<String>,
    /// Components that are configured by an older name of their type, which still works.
    pub aliases: Vec<Alias>,
    /// The `service` section as it was read, for printing.
    service: Service,
}

/// An older name of a component type that the configuration uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The older name.
    pub alias: String,
    /// The name to use.
    pub name: &'static str,
}

impl fmt::Display for Alias {
    /// Writes the deprecation in the Collector's words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} alias is deprecated; use {:?} instead", self.alias, self.name)
    }
}

/// Components of one class, by id.
pub type Configured<C> = BTreeMap<ComponentId, Arc<C>>;

impl Config {
    /// Reads and merges `locations`, the later over the earlier: maps are joined, all else replaced.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with every fault, if all locations could be opened; else the first failure.
    pub fn load(locations: &[Location], environment: Environment<'_>) -> Result<Self, ConfigError> {
        let (config, faults) = Self::load_anyway(locations, environment)?;
        faults.or(config).map_err(ConfigError::Invalid)
    }

    /// The same as [`load`](Self::load), with the faults beside the parts that can be read. Not to be run.
    ///
    /// # Errors
    /// [`ConfigError`] if nothing can be read.
    pub fn load_anyway(
        locations: &[Location],
        environment: Environment<'_>,
    ) -> Result<(Self, Faults), ConfigError> {
        let mut tree = Tree::load(locations, environment)?;
        tree.fill(environment::defaults(&tree.root, environment))?;
        let context = tree.context().advised_by(counterparts::key);
        let (config, mut faults) = read(&context, tree.faults.clone());
        faults.locate(|path| context.place(path));
        Ok((Self { unset: tree.unset, changed: tree.changed, ..config }, faults))
    }

    /// Warnings of the references to variables and of the running exporters: settings that are sound but probably not
    /// meant.
    #[must_use]
    pub fn doubts(&self) -> Vec<String> {
        let doubts = |(id, config): (ComponentId, Arc<dyn ExporterConfig>)| {
            config.doubts().into_iter().map(move |doubt| format!("exporters::{id}::{doubt}"))
        };
        // The warning has the variable's name but not its value, which may be a secret.
        let changed = self.changed.iter().map(|name| {
            format!(
                "${{env:{name}}}: dollar signs in the variable's value are taken as references or escapes, so it is not \
                 used as it is: write ${{raw:env:{name}}} if it is to be taken byte for byte"
            )
        });
        changed.chain(self.graph.exporters().into_iter().flat_map(doubts)).collect()
    }

    /// Every key of the configuration with its value; secrets as `[REDACTED]` unless inside
    /// [`configtypes::secret::unredacted`].
    #[must_use]
    pub fn shown(&self) -> Value {
        let class = |shown: Vec<(&ComponentId, Value)>| {
            let entries = shown.into_iter().map(|(id, value)| (Value::from(id.to_string()), value));
            Value::Mapping(entries.collect())
        };
        // The section came from YAML, or is a default, so it can be YAML.
        let service = serde_yaml_ng::to_value(&self.service).unwrap_or_default();
        let sections = [
            ("receivers", class(self.receivers.iter().map(|(id, config)| (id, config.shown())).collect())),
            ("processors", class(self.processors.iter().map(|(id, config)| (id, config.shown())).collect())),
            ("exporters", class(self.exporters.iter().map(|(id, config)| (id, config.shown())).collect())),
            ("extensions", class(self.extensions.iter().map(|(id, config)| (id, config.shown())).collect())),
            ("service", service),
        ];
        Value::Mapping(sections.into_iter().map(|(name, value)| (Value::from(name), value)).collect())
    }
}

/// Reads the sections and resolves the references between them.
fn read(context: &Context<'_>, mut faults: Faults) -> (Config, Faults) {
    let root = context.root;
    if root.is_empty() {
        faults.add(&[], "empty configuration file");
    }
    for (key, value) in root.iter().filter(|(key, _)| !SECTIONS.contains(&key.as_str())) {
        let path = std::slice::from_ref(key);
        let hint = match counterparts::key(path) {
            // An empty section of the Collector's asks for nothing.
            Some(_) if is_empty(value) => continue,
            Some(advice) => format!(": {advice}"),
            None => hint(key, SECTIONS),
        };
        let message = format!("has invalid keys: {key}{hint}");
        let source = context.place(path);
        faults.push(Fault { path: Vec::new(), message, source });
    }
    let service = root.get("service").map_or_else(
        || Some(Service::default()),
        |value| {
            let section = Section::new(value, vec!["service".to_owned()], context);
            section.read(&mut faults, Service::validate)
        },
    );
    let read = graph::Configured {
        receivers: components("receivers", root.get("receivers"), RECEIVERS, context, &mut faults),
        processors: components("processors", root.get("processors"), PROCESSORS, context, &mut faults),
        exporters: components("exporters", root.get("exporters"), EXPORTERS, context, &mut faults),
        extensions: components("extensions", root.get("extensions"), EXTENSIONS, context, &mut faults),
    };
    let aliases = [
        aliases(&read.receivers, RECEIVERS),
        aliases(&read.processors, PROCESSORS),
        aliases(&read.exporters, EXPORTERS),
        aliases(&read.extensions, EXTENSIONS),
    ]
    .concat();
    // In an empty file more is missing than need be reported.
    let resolved = service.as_ref().filter(|_| !root.is_empty());
    let graph = resolved.map(|service| read.resolve(service, &mut faults)).unwrap_or_default();
    let service = service.unwrap_or_default();
    let config = Config {
        receivers: sound(read.receivers),
        processors: sound(read.processors),
        exporters: sound(read.exporters),
        extensions: sound(read.extensions),
        graph,
        telemetry: service.telemetry.clone(),
        shutdown_timeout: service.shutdown_timeout,
        unset: Vec::new(),
        changed: Vec::new(),
        aliases,
        service,
    };
    (config, faults)
}

/// True if a section is empty.
fn is_empty(section: &confmap::Value) -> bool {
    match section {
        confmap::Value::Empty(..) => true,
        confmap::Value::Dict(_, entries) => entries.is_empty(),
        _ => false,
    }
}

/// The older names of types that components use in their ids.
fn aliases<C: ?Sized>(components: &Components<C>, factories: &[Factory<C>]) -> Vec<Alias> {
    let alias = |id: &ComponentId| {
        let name = Factory::find(factories, id.kind())?.name();
        (name != id.kind()).then(|| Alias { alias: id.kind().to_owned(), name })
    };
    components.keys().filter_map(alias).collect()
}

/// The components that could be read.
fn sound<C: ?Sized>(components: Components<C>) -> Configured<C> {
    components.into_iter().filter_map(|(id, config)| Some((id, config?))).collect()
}
