//! Which components run together: references between sections, resolved.

use std::collections::{BTreeMap, BTreeSet};

use super::components::{Components, ExporterConfig};
use super::fault::{Faults, hint};
use super::id::ComponentId;
use super::service;

/// The signal this agent carries.
const SIGNAL: &str = "profiles";
/// Signals that a Collector carries and this agent does not.
const OTHER_SIGNALS: [&str; 3] = ["traces", "metrics", "logs"];

/// The components that run, as configured.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Name of the pipeline.
    pub id: ComponentId,
    /// Where samples come from.
    pub receiver: receiver_ebpf::Config,
    /// What tells whose they are.
    pub processor: processor_procinfo::Config,
    /// Where they go, in the order they are listed. Never empty.
    pub exporters: Vec<(ComponentId, ExporterConfig)>,
}

/// Every component that is configured, used or not.
pub(super) struct Configured {
    pub(super) receivers: Components<receiver_ebpf::Config>,
    pub(super) processors: Components<processor_procinfo::Config>,
    pub(super) exporters: Components<ExporterConfig>,
}

impl Configured {
    /// The one pipeline that runs. `None` if there is a fault, which is then in `faults`.
    pub(super) fn resolve(
        &self,
        pipelines: &BTreeMap<String, service::Pipeline>,
        faults: &mut Faults,
    ) -> Option<Pipeline> {
        if self.receivers.is_empty() && !faults.touches(&["receivers"]) {
            faults.add(&[], "no receiver configuration specified in config");
        }
        if self.exporters.is_empty() && !faults.touches(&["exporters"]) {
            faults.add(&[], "no exporter configuration specified in config");
        }
        if pipelines.is_empty() && !faults.touches(&["service"]) {
            faults.add(&["service", "pipelines"], "service must have at least one pipeline");
        }
        let resolved: Vec<_> =
            pipelines.iter().filter_map(|(key, pipeline)| self.pipeline(key, pipeline, faults)).collect();
        if let [first, second, ..] = resolved.as_slice() {
            faults.add(
                &["service", "pipelines"],
                format!(
                    "only one pipeline can use the ebpf receiver, found {} and {}: list the exporters of both in one",
                    first.id, second.id
                ),
            );
        }
        resolved.into_iter().next()
    }

    fn pipeline(&self, key: &str, pipeline: &service::Pipeline, faults: &mut Faults) -> Option<Pipeline> {
        let path = ["service", "pipelines", key];
        let id = match ComponentId::parse(key) {
            Ok(id) if id.kind() == SIGNAL => id,
            Ok(id) if OTHER_SIGNALS.contains(&id.kind()) => {
                faults.add(&path, "telemetry type is not supported: this agent has only profiles pipelines");
                return None;
            }
            Ok(id) => {
                faults.add(
                    &path,
                    format!("unknown pipeline signal: {:?}{}", id.kind(), hint(id.kind(), [SIGNAL])),
                );
                return None;
            }
            Err(message) => {
                faults.add(&path, message);
                return None;
            }
        };
        check_shape(pipeline, &path, faults);
        let receivers = resolve("receiver", &pipeline.receivers, &self.receivers, &path, faults);
        let processors = resolve("processor", &pipeline.processors, &self.processors, &path, faults);
        let exporters = resolve("exporter", &pipeline.exporters, &self.exporters, &path, faults);
        let (_, receiver) = receivers?.into_iter().next()?;
        let (_, processor) = processors?.into_iter().next()?;
        Some(Pipeline { id, receiver, processor, exporters: exporters? })
    }
}

/// Counts the components of a pipeline.
fn check_shape(pipeline: &service::Pipeline, path: &[&str], faults: &mut Faults) {
    // A misspelt key leaves its list empty, which need not be said as well.
    if faults.touches(path) {
        return;
    }
    match pipeline.receivers.len() {
        0 => faults.add(path, "must have at least one receiver"),
        1 => {}
        _ => faults.add(path, "must have only one receiver: each would see the same samples"),
    }
    match pipeline.processors.len() {
        0 => faults.add(
            path,
            "must have the processor \"procinfo\": without it no sample is known by its executable",
        ),
        1 => {}
        _ => faults.add(path, "must have only one \"procinfo\" processor"),
    }
    if pipeline.exporters.is_empty() {
        faults.add(path, "must have at least one exporter");
    }
}

/// The components that `references` name, in that order; `None` if one is not sound.
fn resolve<C: Clone>(
    class: &str,
    references: &[String],
    configured: &Components<C>,
    path: &[&str],
    faults: &mut Faults,
) -> Option<Vec<(ComponentId, C)>> {
    // A section that could not be read at all: what it holds is not known.
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
            // Configured wrongly, which has been said.
            Some(None) => sound = false,
            None => {
                let ids: Vec<_> = configured.keys().map(ToString::to_string).collect();
                let hint = hint(reference, ids.iter().map(String::as_str));
                faults.add(path, format!("references {class} {reference:?} which is not configured{hint}"));
                sound = false;
            }
        }
    }
    sound.then_some(resolved)
}
