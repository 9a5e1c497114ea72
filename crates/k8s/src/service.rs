//! The name of a pod's service.
//!
//! Source: OpenTelemetry's semantic conventions, "Specify resource attributes using Kubernetes annotations": for each
//! attribute the first that is there of an annotation, well-known labels, and the names of the workload.

use std::collections::HashMap;

use pdata::{Attribute, names};

use crate::config::ServiceSource;
use crate::extract::{PodExtract, text};
use crate::image_reference;
use crate::object::ObjectMetadata;

/// Owners that name a service, the first that is there.
const NAMING: [&str; 6] = [
    names::K8S_DEPLOYMENT,
    names::K8S_REPLICASET,
    names::K8S_STATEFULSET,
    names::K8S_DAEMONSET,
    names::K8S_CRONJOB,
    names::K8S_JOB,
];

/// The attributes that all containers of a pod have.
pub(crate) fn of_pod(
    extract: &PodExtract,
    metadata: &ObjectMetadata,
    owners: &[(&'static str, String)],
) -> Vec<Attribute> {
    let mut attributes = Vec::new();
    if extract.names_services_by(ServiceSource::Annotations) {
        attributes.extend(extract.resource(metadata.annotations.as_ref()));
    }
    if extract.names_services_by(ServiceSource::Labels) {
        let label = |name: &str| label(metadata.labels.as_ref(), name);
        let name = label("instance").or_else(|| label("name"));
        add(&mut attributes, names::SERVICE_NAME, name);
        add(&mut attributes, names::SERVICE_VERSION, label("version"));
    }
    if extract.names_services_by(ServiceSource::Workload) {
        let owner = NAMING.iter().find_map(|key| owners.iter().find(|(owner, _)| owner == key));
        let owner = owner.map(|(_, name)| name.as_str());
        add(&mut attributes, names::SERVICE_NAME, owner.or(metadata.name.as_deref()));
        add(&mut attributes, names::SERVICE_NAMESPACE, metadata.namespace.as_deref());
    }
    attributes
}

/// The attributes that one container has beside those of its pod.
pub(crate) fn of_container(
    extract: &PodExtract,
    metadata: &ObjectMetadata,
    container: &str,
    image: Option<&str>,
) -> Vec<Attribute> {
    let mut attributes = Vec::new();
    if extract.names_services_by(ServiceSource::Workload) {
        add(&mut attributes, names::SERVICE_VERSION, image.and_then(image_reference::version));
        if let (Some(namespace), Some(pod)) = (&metadata.namespace, &metadata.name) {
            let instance = format!("{namespace}.{pod}.{container}");
            add(&mut attributes, names::SERVICE_INSTANCE, Some(&instance));
        }
    }
    attributes
}

fn label<'a>(labels: Option<&'a HashMap<String, String>>, name: &str) -> Option<&'a str> {
    let value = labels?.get(&format!("app.kubernetes.io/{name}"))?;
    Some(value.as_str()).filter(|value| !value.is_empty())
}

/// Adds a text unless there is one of that key.
fn add(attributes: &mut Vec<Attribute>, key: &'static str, value: Option<&str>) {
    if !attributes.iter().any(|attribute| attribute.key == key) {
        attributes.extend(value.and_then(|value| text(key, value)));
    }
}
