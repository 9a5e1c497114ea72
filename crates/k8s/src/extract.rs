//! The choice of facts that are kept of a pod: by the configuration, within bounds.

use std::borrow::Cow;
use std::collections::HashMap;

use pdata::{Attribute, AttributeValue};

use crate::config::{Config, PodMetadata, ServiceSource};

/// Longest text that is kept; whatever is longer is left out. Names are shorter, annotations may be 256 KiB.
const MAX_TEXT: usize = 1024;
/// Most labels, annotations and resource attributes kept of one pod, of each, and bytes of all of them.
const MAX_TEXTS: usize = 64;
const MAX_BYTES: usize = 8192;
/// The beginning of the keys of annotations that are attributes of the resource.
const RESOURCE_PREFIX: &str = "resource.opentelemetry.io/";

/// The facts that a configuration asks for.
#[derive(Clone, Debug)]
pub struct PodExtract {
    node: String,
    metadata: Vec<PodMetadata>,
    labels: Vec<String>,
    annotations: Vec<String>,
    service_from: Vec<ServiceSource>,
    may_say: fn(&str) -> bool,
}

impl PodExtract {
    /// The facts that `config` asks for of the pods of `node`. An annotation may only say attributes whose keys
    /// `may_say` is true for: those that nobody knows better.
    #[must_use]
    pub fn new(config: &Config, node: &str, may_say: fn(&str) -> bool) -> Self {
        Self {
            node: node.to_owned(),
            metadata: config.metadata.clone(),
            labels: config.labels.clone(),
            annotations: config.annotations.clone(),
            service_from: config.service_from.clone(),
            may_say,
        }
    }

    /// The node whose pods are kept.
    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    pub(crate) fn wants(&self, metadata: PodMetadata) -> bool {
        self.metadata.contains(&metadata)
    }

    pub(crate) fn names_services_by(&self, source: ServiceSource) -> bool {
        self.service_from.contains(&source)
    }

    /// Labels that have been asked for.
    pub(crate) fn labels(&self, labels: Option<&HashMap<String, String>>) -> Vec<Attribute> {
        listed("k8s.pod.label.", &self.labels, labels)
    }

    /// Annotations that have been asked for.
    pub(crate) fn annotations(&self, annotations: Option<&HashMap<String, String>>) -> Vec<Attribute> {
        listed("k8s.pod.annotation.", &self.annotations, annotations)
    }

    /// Attributes that annotations give the resource, by OpenTelemetry's convention.
    pub(crate) fn resource(&self, annotations: Option<&HashMap<String, String>>) -> Vec<Attribute> {
        let said = annotations.into_iter().flatten().filter_map(|(key, value)| {
            let key =
                key.strip_prefix(RESOURCE_PREFIX).filter(|key| !key.is_empty() && (self.may_say)(key))?;
            text(key.to_owned(), value)
        });
        bounded(said.collect())
    }
}

/// An attribute, unless its text is too long or there is none.
pub(crate) fn text(key: impl Into<Cow<'static, str>>, value: &str) -> Option<Attribute> {
    let is_kept = !value.is_empty() && value.len() <= MAX_TEXT;
    is_kept.then(|| Attribute { key: key.into(), value: AttributeValue::Text(value.into()) })
}

/// Entries of a map whose keys are in a list, under a name of their own. Their values may be empty: a label without one
/// says that it is there.
fn listed(prefix: &str, list: &[String], entries: Option<&HashMap<String, String>>) -> Vec<Attribute> {
    let is_listed = |key: &str| {
        list.iter().any(|listed| match listed.strip_suffix('*') {
            Some(beginning) => key.starts_with(beginning),
            None => key == listed,
        })
    };
    let found =
        entries.into_iter().flatten().filter(|(key, value)| is_listed(key) && value.len() <= MAX_TEXT);
    let attribute = |(key, value): (&String, &String)| Attribute {
        key: Cow::Owned(format!("{prefix}{key}")),
        value: AttributeValue::Text(value.as_str().into()),
    };
    bounded(found.map(attribute).collect())
}

/// The first of them by key, so that the same ones are kept each time.
fn bounded(mut attributes: Vec<Attribute>) -> Vec<Attribute> {
    attributes.sort_by(|a, b| a.key.cmp(&b.key));
    let mut room = MAX_BYTES;
    attributes.retain(|attribute| {
        let bytes = match &attribute.value {
            AttributeValue::Text(text) => attribute.key.len() + text.len(),
            _ => attribute.key.len(),
        };
        room.checked_sub(bytes).map(|left| room = left).is_some()
    });
    attributes.truncate(MAX_TEXTS);
    attributes
}
