//! Keys of a grouping: the facts by which images are put together.

use std::time::Duration;

use configtypes::Fault;
use pdata::names;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A fact that images of one group have in common.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupBy {
    /// The executable, by its path; a kernel thread by its name.
    Executable,
    /// The process, whatever programs it executed one after the other.
    Process,
    /// The process that forked this one.
    Parent,
    /// The session, by its leader.
    Session,
    /// The container.
    Container,
    /// The pod, by its UID.
    #[serde(alias = "k8s.pod")]
    Pod,
    /// The deployment that made the pod, in its namespace.
    #[serde(alias = "k8s.deployment")]
    Deployment,
    /// The namespace of the pod.
    #[serde(alias = "k8s.namespace")]
    Namespace,
    /// The service: its name and namespace.
    Service,
    /// The systemd unit, with its slice.
    Unit,
    /// The effective user.
    Owner,
    /// The value of an attribute, by its name.
    #[serde(untagged)]
    Attribute(String),
}

impl GroupBy {
    /// Names of the attributes whose values a group has in common; empty for a fact that is no attribute of an image.
    pub(super) fn attributes(&self) -> &[&'static str] {
        match self {
            Self::Executable | Self::Process | Self::Parent | Self::Attribute(_) => &[],
            Self::Session => &[names::SESSION_LEADER],
            Self::Container => &[
                names::CONTAINER_NAME,
                names::CONTAINER_ID,
                names::CONTAINER_RUNTIME,
                names::OUTER_CONTAINER_ID,
                names::POD_UID,
            ],
            Self::Pod => &[names::POD_UID],
            Self::Deployment => &[names::K8S_DEPLOYMENT, names::K8S_NAMESPACE],
            Self::Namespace => &[names::K8S_NAMESPACE],
            Self::Service => &[names::SERVICE_NAME, names::SERVICE_NAMESPACE],
            Self::Unit => &[names::UNIT, names::USER_UNIT, names::SLICE],
            Self::Owner => &[names::OWNER, names::USER_ID],
        }
    }

    /// Names of the attributes that follow from the fact without being part of it: they may be known of some members
    /// and not of others, which were there before their pod's name was known.
    pub(super) const fn details(&self) -> &[&'static str] {
        match self {
            Self::Pod => &[names::K8S_POD, names::K8S_NAMESPACE],
            _ => &[],
        }
    }

    /// The key's name as the head of a column.
    #[must_use]
    pub fn title(&self) -> &str {
        match self {
            Self::Executable => "executable",
            Self::Process => "process",
            Self::Parent => "parent",
            Self::Session => "session",
            Self::Container => "container",
            Self::Pod => "pod",
            Self::Deployment => "deployment",
            Self::Namespace => "namespace",
            Self::Service => "service",
            Self::Unit => "unit",
            Self::Owner => "owner",
            Self::Attribute(name) => name,
        }
    }
}

/// The faults in the values of the keys `group_by` and `fold_shorter_than`, if there are any.
#[must_use]
pub fn group_faults(by: &[GroupBy], shorter_than: Duration) -> Vec<Fault> {
    let unknown = by.iter().filter_map(|by| match by {
        // Every attribute's name has a namespace; a word without one is most likely misspelt.
        GroupBy::Attribute(name) if !name.contains('.') => Some(Fault::at(
            ["group_by"],
            format!(
                "{name:?} is nothing to group by, expected executable, process, parent, session, container, pod, \
                 deployment, namespace, service, unit, owner, or the name of an attribute, such as k8s.node.name"
            ),
        )),
        _ => None,
    });
    let alone = (by.is_empty() && !shorter_than.is_zero()).then(|| {
        let expected =
            "expected what short-lived processes are put together by, such as [parent, executable]";
        Fault::at(["group_by"], format!("is empty, but fold_shorter_than is {shorter_than:?}: {expected}"))
    });
    unknown.chain(alone).collect()
}
