//! The labels of series, and the choice of them that users have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The executable's path.
pub(crate) const PATH: &str = "process_executable_path";
/// The executable's name.
pub(crate) const NAME: &str = "process_executable_name";
/// The reason why records were lost.
pub(crate) const REASON: &str = "reason";
/// Labels that the exporter itself makes: no constant label may have one of these names, whatever labels the user
/// chooses.
pub(crate) const OWN_LABELS: [&str; 14] = [
    PATH,
    NAME,
    REASON,
    CONTAINER_ID,
    CONTAINER_NAME,
    POD_UID,
    K8S_POD,
    K8S_NAMESPACE,
    K8S_DEPLOYMENT,
    K8S_CONTAINER,
    SERVICE_NAME,
    SERVICE_NAMESPACE,
    UNIT,
    OWNER,
];

const CONTAINER_ID: &str = "container_id";
const CONTAINER_NAME: &str = "container_name";
const POD_UID: &str = "k8s_pod_uid";
const K8S_POD: &str = "k8s_pod_name";
const K8S_NAMESPACE: &str = "k8s_namespace_name";
const K8S_DEPLOYMENT: &str = "k8s_deployment_name";
const K8S_CONTAINER: &str = "k8s_container_name";
const SERVICE_NAME: &str = "service_name";
const SERVICE_NAMESPACE: &str = "service_namespace";
const UNIT: &str = "procinfo_systemd_unit";
const OWNER: &str = "process_owner";

/// A fact that series are distinguished by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// The executable: `process_executable_name` and `process_executable_path`.
    Executable,
    /// The container: `container_id`.
    ContainerId,
    /// The container's name, where its control group has it: `container_name`.
    ContainerName,
    /// The pod: `k8s_pod_uid`.
    PodUid,
    /// The pod by its name: `k8s_pod_name` and `k8s_namespace_name`.
    Pod,
    /// The pod's namespace: `k8s_namespace_name`.
    Namespace,
    /// The deployment that made the pod: `k8s_deployment_name` and `k8s_namespace_name`.
    Deployment,
    /// The container, as the pod's specification names it: `k8s_container_name`.
    K8sContainer,
    /// The service: `service_name`, without one the name of the program; and `service_namespace`.
    ServiceName,
    /// The systemd unit: `procinfo_systemd_unit`.
    Unit,
    /// The effective user: `process_owner`.
    Owner,
}

impl Label {
    /// Names of the labels that this fact has, each with the name of the image's attribute that is its value.
    pub(crate) const fn attributes(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Executable => &[],
            Self::ContainerId => &[(CONTAINER_ID, pdata::names::CONTAINER_ID)],
            Self::ContainerName => &[(CONTAINER_NAME, pdata::names::CONTAINER_NAME)],
            Self::PodUid => &[(POD_UID, pdata::names::POD_UID)],
            Self::Pod => &[(K8S_POD, pdata::names::K8S_POD), (K8S_NAMESPACE, pdata::names::K8S_NAMESPACE)],
            Self::Namespace => &[(K8S_NAMESPACE, pdata::names::K8S_NAMESPACE)],
            Self::Deployment => &[
                (K8S_DEPLOYMENT, pdata::names::K8S_DEPLOYMENT),
                (K8S_NAMESPACE, pdata::names::K8S_NAMESPACE),
            ],
            Self::K8sContainer => &[(K8S_CONTAINER, pdata::names::K8S_CONTAINER)],
            Self::ServiceName => &[
                (SERVICE_NAME, pdata::names::SERVICE_NAME),
                (SERVICE_NAMESPACE, pdata::names::SERVICE_NAMESPACE),
            ],
            Self::Unit => &[(UNIT, pdata::names::UNIT)],
            Self::Owner => &[(OWNER, pdata::names::OWNER)],
        }
    }
}
