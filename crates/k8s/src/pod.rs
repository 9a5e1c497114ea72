//! The facts that are kept of one pod.

use std::sync::Arc;

use pdata::{Attribute, AttributeValue, names};

use crate::config::PodMetadata;
use crate::extract::{PodExtract, text};
use crate::object::{
    ContainerSpec, ContainerStatus, ObjectMetadata, OwnerReference, PodObject, PodSpec, PodStatus,
};
use crate::{metrics, owner, service};

/// Most containers kept of one pod, and most runs of each: of one that restarts, the last ones.
const MAX_CONTAINERS: usize = 256;
const MAX_RUNS: usize = 4;
/// Most bytes kept of all containers of one pod.
const MAX_CONTAINER_BYTES: usize = 16 << 10;
/// Longest UID or ID of a container.
const MAX_ID: usize = 128;
/// Annotation of the object that stands for a static pod: the UID by which the kubelet knows that pod itself.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// A pod, as far as it is of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    uid: Arc<str>,
    /// Attributes of what runs in any of its containers.
    identity: Arc<[Attribute]>,
    /// Attributes that name the service of what runs in the pod.
    service: Arc<[Attribute]>,
    containers: Vec<PodContainer>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct PodContainer {
    name: Arc<str>,
    /// IDs that the runtime has given it, the newest first.
    ids: Vec<Arc<str>>,
    identity: Vec<Attribute>,
    service: Vec<Attribute>,
}

/// Attributes of what runs in a container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFacts {
    /// Attributes of pod and container: the API server's word, which goes before that of the program.
    pub identity: Arc<[Attribute]>,
    /// Attributes that name the service of a program which has no other name for it.
    pub service: Arc<[Attribute]>,
    /// True if the container is known, not its pod alone.
    pub in_container: bool,
}

impl Pod {
    /// Reads a pod as the API has it, in JSON; `None` if it is none, has no UID, or is of another node.
    #[must_use]
    pub fn parse(json: &[u8], extract: &PodExtract) -> Option<Self> {
        Self::of(&serde_json::from_slice(json).ok()?, extract)
    }

    /// The pod that an object of the API describes; `None` if that has no UID, or is of another node.
    pub(crate) fn of(object: &PodObject, extract: &PodExtract) -> Option<Self> {
        let (metadata, spec) = (object.metadata.as_ref()?, object.spec.as_ref()?);
        if spec.node_name.as_deref() != Some(extract.node()) {
            return None;
        }
        let own_uid = metadata.uid.as_deref().filter(|uid| is_id(uid))?;
        let uid: Arc<str> = mirrored(metadata, extract.node()).unwrap_or(own_uid).into();
        let owners = owner::owners(metadata);
        let mut identity = Vec::new();
        let mut add = |metadata, key, value: Option<&str>| {
            let wanted = value.filter(|_| extract.wants(metadata));
            identity.extend(wanted.and_then(|value| text(key, value)));
        };
        add(PodMetadata::Pod, names::K8S_POD, metadata.name.as_deref());
        add(PodMetadata::Pod, names::POD_UID, Some(&uid));
        add(PodMetadata::Namespace, names::K8S_NAMESPACE, metadata.namespace.as_deref());
        add(PodMetadata::Node, names::K8S_NODE, spec.node_name.as_deref());
        for (key, name) in &owners {
            add(PodMetadata::Owner, key, Some(name));
        }
        identity.extend(extract.labels(metadata.labels.as_ref()));
        identity.extend(extract.annotations(metadata.annotations.as_ref()));
        let service = service::of_pod(extract, metadata, &owners);
        let read = |SpecifiedContainer { name, image, ids }| {
            let own_name =
                text(names::K8S_CONTAINER, &name).filter(|_| extract.wants(PodMetadata::Container));
            let service = service::of_container(extract, metadata, &name, image);
            PodContainer { identity: own_name.into_iter().collect(), service, name, ids }
        };
        let containers = bounded(containers(spec, object.status.as_ref()).into_iter().map(read));
        Some(Self { uid, identity: identity.into(), service: service.into(), containers })
    }

    /// The UID by which control groups name the pod.
    #[must_use]
    pub fn uid(&self) -> &Arc<str> {
        &self.uid
    }

    /// The attributes of what runs in the first of these containers that is one of the pod's; those of the pod alone if
    /// none is.
    #[must_use]
    pub fn facts<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> PodFacts {
        self.container(ids).map_or_else(|| self.facts_alone(), |at| self.facts_in(at))
    }

    /// The position of the first of these containers that is one of the pod's.
    pub(crate) fn container<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Option<usize> {
        let has = |container: &PodContainer, id: &str| container.ids.iter().any(|own| **own == *id);
        ids.into_iter().find_map(|id| self.containers.iter().position(|container| has(container, id)))
    }

    /// The attributes of what runs in the pod, without those of a container.
    pub(crate) fn facts_alone(&self) -> PodFacts {
        let (identity, service) = (Arc::clone(&self.identity), Arc::clone(&self.service));
        PodFacts { identity, service, in_container: false }
    }

    /// The attributes of what runs in the container at a position; they are copied each time.
    pub(crate) fn facts_in(&self, at: usize) -> PodFacts {
        let Some(container) = self.containers.get(at) else { return self.facts_alone() };
        let with = |all: &[Attribute], own: &[Attribute]| -> Arc<[Attribute]> {
            let is_new = |attribute: &&Attribute| all.iter().all(|other| other.key != attribute.key);
            all.iter().chain(own.iter().filter(is_new)).cloned().collect()
        };
        let identity = with(&self.identity, &container.identity);
        PodFacts { identity, service: with(&self.service, &container.service), in_container: true }
    }

    /// Bytes that the pod takes, whoever else has parts of it.
    pub(crate) fn footprint(&self) -> usize {
        let containers: usize = self.containers.iter().map(PodContainer::footprint).sum();
        size_of::<Self>() + self.uid.len() + bytes(&self.identity) + bytes(&self.service) + containers
    }

    /// Keeps the IDs of runs that the API server does not report any more: it reports the last two of each container,
    /// and samples of the one before may still come.
    pub(crate) fn remember_runs_of(&mut self, older: &Self) {
        let bytes: usize = self.containers.iter().map(PodContainer::footprint).sum();
        let mut room = MAX_CONTAINER_BYTES.saturating_sub(bytes);
        for container in &mut self.containers {
            let before = older.containers.iter().find(|before| before.name == container.name);
            for id in before.iter().flat_map(|before| &before.ids) {
                let takes = of_text(id);
                if container.ids.len() < MAX_RUNS && takes <= room && !container.ids.contains(id) {
                    room -= takes;
                    container.ids.push(Arc::clone(id));
                }
            }
        }
    }
}

impl PodContainer {
    /// Bytes that the container takes.
    fn footprint(&self) -> usize {
        let ids: usize = self.ids.iter().map(of_text).sum();
        size_of::<Self>() + of_text(&self.name) + ids + bytes(&self.identity) + bytes(&self.service)
    }
}

impl PodFacts {
    /// Bytes that the attributes take, whoever else has parts of them.
    pub(crate) fn footprint(&self) -> usize {
        bytes(&self.identity) + bytes(&self.service)
    }
}

/// Bytes that attributes take; unlike [`Attribute::footprint`] the same however many there are who share a text.
fn bytes(attributes: &[Attribute]) -> usize {
    let of = |attribute: &Attribute| {
        let AttributeValue::Text(text) = &attribute.value else { return attribute.key.len() };
        attribute.key.len() + of_text(text)
    };
    size_of_val(attributes) + attributes.iter().map(of).sum::<usize>()
}

/// Bytes that a shared text takes, with its reference and its two counts.
fn of_text(text: &Arc<str>) -> usize {
    text.len() + size_of::<Arc<str>>() + 2 * size_of::<usize>()
}

/// The UID of the static pod that an object stands for. The kubelet makes such objects, in the name of its node; no pod
/// of the API server has a UID of that shape, so that no annotation takes another pod's place.
fn mirrored<'a>(metadata: &'a ObjectMetadata, node: &str) -> Option<&'a str> {
    let of_node = |owner: &OwnerReference| {
        owner.controller == Some(true)
            && owner.kind.as_deref() == Some("Node")
            && owner.name.as_deref() == Some(node)
    };
    let hash = metadata.annotations.as_ref()?.get(MIRROR)?;
    let is_hash = hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hash && metadata.owner_references.iter().flatten().any(of_node)).then_some(hash)
}

/// The containers that there is room for; the pod is counted if there is not for all.
fn bounded(containers: impl Iterator<Item = PodContainer>) -> Vec<PodContainer> {
    let (mut room, mut kept, mut is_cut) = (MAX_CONTAINER_BYTES, Vec::new(), false);
    for container in containers {
        match room.checked_sub(container.footprint()) {
            Some(left) => {
                room = left;
                kept.push(container);
            }
            None => is_cut = true,
        }
    }
    if is_cut {
        metrics::refused("containers");
    }
    kept
}

/// A container, as specification and status of its pod have it.
struct SpecifiedContainer<'a> {
    name: Arc<str>,
    image: Option<&'a str>,
    ids: Vec<Arc<str>>,
}

/// Each container that has a name, its image, and the IDs of its runs, the newest first.
fn containers<'a>(spec: &'a PodSpec, status: Option<&'a PodStatus>) -> Vec<SpecifiedContainer<'a>> {
    let specs = [&spec.containers, &spec.init_containers, &spec.ephemeral_containers];
    let specs = specs.into_iter().flatten().flatten();
    let statuses = status.map(|status| {
        [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses]
    });
    let statuses: Vec<&ContainerStatus> = statuses.into_iter().flatten().flatten().flatten().collect();
    let read = |container: &'a ContainerSpec| {
        let name = container.name.as_deref().filter(|name| !name.is_empty())?;
        let status = statuses.iter().find(|status| status.name.as_deref() == Some(name));
        let ids = status.map(|status| runs(status)).unwrap_or_default();
        Some(SpecifiedContainer { name: name.into(), image: container.image.as_deref(), ids })
    };
    specs.filter_map(read).take(MAX_CONTAINERS).collect()
}

/// IDs of the last runs of a container, the newest first.
fn runs(status: &ContainerStatus) -> Vec<Arc<str>> {
    let ended = |state: &'_ Option<crate::object::ContainerState>| {
        state.as_ref().and_then(|state| state.terminated.as_ref()?.container_id.clone())
    };
    let mut ids: Vec<Arc<str>> = Vec::new();
    for id in
        [status.container_id.clone(), ended(&status.state), ended(&status.last_state)].into_iter().flatten()
    {
        // `containerd://<id>`.
        let id = id.split_once("://").map_or(id.as_str(), |(_, id)| id);
        if is_id(id) && !ids.iter().any(|known| **known == *id) {
            ids.push(id.into());
        }
    }
    ids
}

fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len())
}

#[cfg(test)]
mod tests;
