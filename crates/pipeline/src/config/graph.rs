//! The graph of components that run together: references between sections, resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use confmap::{Fault, Faults, hint};

use super::components::Components;
use super::counterparts;
use super::service;
use crate::components::{
    ComponentId, ExporterConfig, ExtensionConfig, ProcessorConfig, ProcessorPosition, ReceiverConfig,
};

/// The signal that this agent carries.
const SIGNAL: &str = "profiles";
/// Signals that a Collector carries and this agent does not.
const OTHER_SIGNALS: [&str; 3] = ["traces", "metrics", "logs"];

/// A component that is used: its id and its configuration.
pub type Used<C> = (ComponentId, Arc<C>);

/// The components that run.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The extensions that run beside the pipelines, in the order in which they start.
    pub extensions: Vec<Used<dyn ExtensionConfig>>,
    /// The pipelines, by id. Never empty.
    pub pipelines: Vec<Pipeline>,
}

/// One pipeline. Pipelines may share a receiver and exporters, each of which then runs once.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Name of the pipeline.
    pub id: ComponentId,
    /// The receiver that the samples come from.
    pub receiver: Used<dyn ReceiverConfig>,
    /// The processors that samples pass through, in this order. One of them finds the process of each sample.
    pub processors: Vec<Used<dyn ProcessorConfig>>,
    /// The exporters that samples go to. Never empty.
    pub exporters: Vec<Used<dyn ExporterConfig>>,
}

impl Pipeline {
    /// True if `other` has the same id, receiver and processors; its exporters may differ.
    #[must_use]
    pub fn same_but_exporters(&self, other: &Self) -> bool {
        let same =
            |(a, b): (&Used<dyn ProcessorConfig>, &Used<dyn ProcessorConfig>)| a.0 == b.0 && a.1.same(&*b.1);
        self.id == other.id
            && self.receiver.0 == other.receiver.0
            && self.processors.len() == other.processors.len()
            && self.processors.iter().zip(&other.processors).all(same)
    }
}

/// Every component that is configured, used or not.
pub(super) struct Configured {
    pub(super) receivers: Components<dyn ReceiverConfig>,
    pub(super) processors: Components<dyn ProcessorConfig>,
    pub(super) exporters: Components<dyn ExporterConfig>,
    pub(super) extensions: Components<dyn ExtensionConfig>,
}

impl Configured {
    /// The components that run, connected. Every fault is added to `faults`; if there is a fault, the graph is of no
    /// use.
    pub(super) fn resolve(&self, service: &service::Service, faults: &mut Faults) -> Graph {
        if self.receivers.is_empty() && !faults.touches(&["receivers"]) {
            faults.add(&[], "no receiver configuration specified in config");
        }
        if self.exporters.is_empty() && !faults.touches(&["exporters"]) {
            faults.add(&[], "no exporter configuration specified in config");
        }
        if service.pipelines.is_empty() && !faults.touches(&["service"]) {
            faults.add(&["service", "pipelines"], "service must have at least one pipeline");
        }
        let path = ["service", "extensions"];
        let extensions = resolve("extension", &service.extensions, &self.extensions, &path, faults);
        let pipelines = service.pipelines.iter();
        let pipelines: Vec<_> =
            pipelines.filter_map(|(key, pipeline)| self.pipeline(key, pipeline, faults)).collect();
        let graph = Graph { extensions: extensions.unwrap_or_default(), pipelines };
        graph.check_extensions(faults);
        graph
    }

    fn pipeline(&self, key: &str, pipeline: &service::Pipeline, faults: &mut Faults) -> Option<Pipeline> {
        let path = ["service", "pipelines", key];
        let id = match pipeline_id(key) {
            Ok(id) => id,
            Err(message) => {
                faults.add(&path, message);
                return None;
            }
        };
        // A misspelt key leaves its list empty, which is not reported as well.
        let is_read = !faults.touches(&path);
        if is_read {
            check_shape(pipeline, &path, faults);
        }
        let receivers = resolve("receiver", &pipeline.receivers, &self.receivers, &path, faults);
        let processors = resolve("processor", &pipeline.processors, &self.processors, &path, faults);
        let exporters = resolve("exporter", &pipeline.exporters, &self.exporters, &path, faults);
        if let Some(fault) = processors.as_deref().filter(|_| is_read).and_then(misplaced) {
            faults.add(&path, fault);
        }
        let receiver = receivers?.into_iter().next()?;
        Some(Pipeline { id, receiver, processors: processors?, exporters: exporters? })
    }
}

/// Checks the numbers of a pipeline's receivers and exporters.
fn check_shape(pipeline: &service::Pipeline, path: &[&str], faults: &mut Faults) {
    match pipeline.receivers.len() {
        0 => faults.add(path, "must have at least one receiver"),
        1 => {}
        _ => faults.add(path, "must have only one receiver: each would see the same samples"),
    }
    if pipeline.exporters.is_empty() {
        faults.add(path, "must have at least one exporter");
    }
}

impl Graph {
    /// The receivers that run, each once.
    #[must_use]
    pub fn receivers(&self) -> BTreeMap<ComponentId, Arc<dyn ReceiverConfig>> {
        self.pipelines.iter().map(|pipeline| pipeline.receiver.clone()).collect()
    }

    /// The exporters that run, each once.
    #[must_use]
    pub fn exporters(&self) -> BTreeMap<ComponentId, Arc<dyn ExporterConfig>> {
        self.pipelines.iter().flat_map(|pipeline| pipeline.exporters.iter().cloned()).collect()
    }

    /// Checks that the extensions that exporters name are started.
    fn check_extensions(&self, faults: &mut Faults) {
        let ids: Vec<_> = self.extensions.iter().map(|(id, _)| id.to_string()).collect();
        for (exporter, config) in self.exporters() {
            for (key, extension) in config.extensions() {
                if ComponentId::parse(&extension).is_ok_and(|id| ids.contains(&id.to_string())) {
                    continue;
                }
                let hint = hint(&extension, ids.iter().map(String::as_str));
                let path = ["exporters".to_owned(), exporter.to_string()].into_iter();
                let path = path.chain(key.split("::").map(str::to_owned)).collect();
                let message = format!(
                    "references extension {extension:?} which is not listed in service::extensions{hint}"
                );
                faults.push(Fault { path, message, source: None });
            }
        }
    }
}

/// The id in `key`, if a pipeline of this agent can have it.
fn pipeline_id(key: &str) -> Result<ComponentId, String> {
    let id = ComponentId::parse(key)?;
    match id.kind() {
        SIGNAL => Ok(id),
        kind if OTHER_SIGNALS.contains(&kind) => {
            Err("telemetry type is not supported: this agent has only profiles pipelines".to_owned())
        }
        kind => Err(format!("unknown pipeline signal: {kind:?}{}", hint(kind, [SIGNAL]))),
    }
}

/// The fault of a pipeline's processors, if one is missing or at a wrong position.
fn misplaced(processors: &[Used<dyn ProcessorConfig>]) -> Option<String> {
    let is_attribution =
        |(_, config): &&Used<dyn ProcessorConfig>| config.position() == ProcessorPosition::Attribution;
    match processors.iter().filter(is_attribution).count() {
        0 => {
            return Some(
                "must have the processor \"procinfo\": without it no sample is known by its executable"
                    .to_owned(),
            );
        }
        1 => {}
        _ => return Some("must have only one \"procinfo\" processor".to_owned()),
    }
    let mut after = processors.iter().skip_while(|used| !is_attribution(used));
    let (attribution, _) = after.next()?;
    let (late, _) = after.find(|(_, config)| config.position() == ProcessorPosition::BeforeAttribution)?;
    let (late, attribution) = (late.to_string(), attribution.to_string());
    Some(format!("processor {late:?} must come before {attribution:?}, which costs more than what it drops"))
}

/// The components that `references` name, in that order; `None` if a reference is faulty.
fn resolve<C: ?Sized>(
    class: &str,
    references: &[String],
    configured: &Components<C>,
    path: &[&str],
    faults: &mut Faults,
) -> Option<Vec<Used<C>>> {
    // A section that could not be read at all: its components are not known.
    if configured.is_empty() && faults.touches(&[format!("{class}s")]) {
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut resolved = Vec::new();
    let mut sound = true;
    for reference in references {
        let id = match ComponentId::parse(reference) {
            Ok(id) => id,
            Err(message) => {
                faults.add(path, message);
                sound = false;
                continue;
            }
        };
        if !seen.insert(id.clone()) {
            faults.add(path, format!("references {class} {reference:?} multiple times"));
            sound = false;
            continue;
        }
        match configured.get(&id) {
            Some(Some(config)) => resolved.push((id, config.clone())),
            // A faulty component, whose fault has been added already.
            Some(None) => sound = false,
            None => {
                let ids: Vec<_> = configured.keys().map(ToString::to_string).collect();
                let hint = match counterparts::component(&format!("{class}s"), id.kind()) {
                    Some(advice) => format!(": {advice}"),
                    None => hint(reference, ids.iter().map(String::as_str)),
                };
                faults.add(path, format!("references {class} {reference:?} which is not configured{hint}"));
                sound = false;
            }
        }
    }
    sound.then_some(resolved)
}
