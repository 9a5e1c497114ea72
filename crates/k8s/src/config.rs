//! The keys of the configuration.

use std::path::PathBuf;

use configtypes::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Default of `max_pods`: several times what a kubelet runs.
const DEFAULT_MAX_PODS: usize = 2048;
/// The largest [`Config::max_pods`].
const MOST_PODS: usize = 65_536;
/// Directory in which the kubelet puts a pod's token and the API server's certificates.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Most labels or annotations that can be named.
const MOST_KEYS: usize = 32;
/// Longest key of a label: a prefix of 253 bytes, a slash, a name of 63.
const LONGEST_KEY: usize = 317;

/// Pods, by the API server: key `processors::procinfo::k8s`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The node whose pods are asked for: that of the agent. Empty for the variable K8S_NODE_NAME of the agent's
    /// environment, which the pod's manifest sets to spec.nodeName.
    pub node: String,
    /// The API server, as https://HOST:PORT. Empty for the one of the cluster that the agent runs in.
    pub endpoint: String,
    /// File of the token to show to the API server; read again for each request, since the kubelet replaces it.
    pub token_file: PathBuf,
    /// File of the certificates (PEM) to verify the API server by; read again for each connection.
    pub ca_file: PathBuf,
    /// Facts that resources have of a pod.
    pub metadata: Vec<PodMetadata>,
    /// Labels of pods that resources have as k8s.pod.label.KEY. A * at the end stands for any rest.
    pub labels: Vec<String>,
    /// Annotations of pods that resources have as k8s.pod.annotation.KEY. A * at the end stands for any rest.
    pub annotations: Vec<String>,
    /// Parts of a pod that name the service of a program which has not been named otherwise, in the order of
    /// OpenTelemetry's conventions.
    pub service_from: Vec<ServiceSource>,
    /// Pods known at most, with those that have been deleted and may still be asked about.
    pub max_pods: usize,
}

/// Something that resources can say of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PodMetadata {
    /// Its name and UID.
    Pod,
    /// Its namespace.
    Namespace,
    /// The name that its specification gives the container.
    Container,
    /// The node that it runs on.
    Node,
    /// The owner that made it: a deployment, a job and so on.
    Owner,
}

/// Something of a pod that a service can be named by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceSource {
    /// Annotations that begin with resource.opentelemetry.io/.
    Annotations,
    /// The labels app.kubernetes.io/instance, /name and /version.
    Labels,
    /// The names of the owner, the pod, the namespace, the container and its image.
    Workload,
}

impl Default for Config {
    fn default() -> Self {
        let in_account = |name: &str| PathBuf::from(SERVICE_ACCOUNT).join(name);
        Self {
            node: String::new(),
            endpoint: String::new(),
            token_file: in_account("token"),
            ca_file: in_account("ca.crt"),
            metadata: vec![
                PodMetadata::Pod,
                PodMetadata::Namespace,
                PodMetadata::Container,
                PodMetadata::Node,
                PodMetadata::Owner,
            ],
            labels: Vec::new(),
            annotations: Vec::new(),
            service_from: vec![ServiceSource::Annotations, ServiceSource::Labels, ServiceSource::Workload],
            max_pods: DEFAULT_MAX_PODS,
        }
    }
}

impl Config {
    /// Every fault, by its key: what is wrong, what is expected; empty if there is none.
    #[must_use]
    pub fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if !self.endpoint.is_empty() && crate::connect::ApiEndpoint::parse(&self.endpoint).is_none() {
            faults.push(Fault::at(
                ["endpoint"],
                format!("{:?} is none, expected https://HOST or https://HOST:PORT", self.endpoint),
            ));
        }
        for (name, keys) in [("labels", &self.labels), ("annotations", &self.annotations)] {
            if let Some(fault) = keys_fault(keys) {
                faults.push(Fault::at([name], fault));
            }
        }
        if !(1..=MOST_PODS).contains(&self.max_pods) {
            let pods = self.max_pods;
            faults
                .push(Fault::at(["max_pods"], format!("{pods} is out of range, expected 1 to {MOST_PODS}")));
        }
        faults
    }
}

fn keys_fault(keys: &[String]) -> Option<String> {
    if keys.len() > MOST_KEYS {
        return Some(format!("has {} keys, expected at most {MOST_KEYS}", keys.len()));
    }
    let is_key = |key: &&String| {
        let fixed = key.strip_suffix('*').unwrap_or(key);
        !key.is_empty() && key.len() <= LONGEST_KEY && !fixed.contains('*')
    };
    let wrong = keys.iter().find(|key| !is_key(key))?;
    Some(format!("{wrong:?} is no key, expected 1 to {LONGEST_KEY} bytes with * at the end if at all"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        assert_eq!(Config::default().validate(), [""; 0]);
    }

    #[test]
    fn every_fault_is_reported_at_once_by_its_key() {
        let config = Config {
            endpoint: "http://127.0.0.1:1".to_owned(),
            labels: vec!["a".to_owned(), "*b*".to_owned()],
            annotations: vec![String::new(); 33],
            max_pods: 0,
            ..Config::default()
        };
        let keys: Vec<_> = config.validate().iter().map(|fault| fault.keys.join("::")).collect();
        assert_eq!(keys, ["endpoint", "labels", "annotations", "max_pods"]);
    }
}
