//! The owners of a pod: those that made it.

use std::collections::HashMap;

use jiff::Timestamp;
use pdata::names;

use crate::object::ObjectMetadata;

/// Label that a deployment's replica set puts on its pods; the set's own name ends with it.
const TEMPLATE_HASH: &str = "pod-template-hash";
/// The longest time from the minute in a job's name to the creation of the job's pod: its cron job may have been
/// suspended, or its controller away.
const LATEST_START_MINUTES: i64 = 7 * 24 * 60;

/// Names of the objects that made a pod, by attribute, the outermost first: a deployment before its replica set.
pub(crate) fn owners(metadata: &ObjectMetadata) -> Vec<(&'static str, String)> {
    let references = metadata.owner_references.iter().flatten();
    let Some(owner) = references.into_iter().find(|owner| owner.controller == Some(true)) else {
        return Vec::new();
    };
    let (Some(kind), Some(name)) = (&owner.kind, &owner.name) else { return Vec::new() };
    let (outer, key) = match kind.as_str() {
        "ReplicaSet" => {
            let deployment = deployment(name, metadata.labels.as_ref());
            (deployment.map(|name| (names::K8S_DEPLOYMENT, name)), names::K8S_REPLICASET)
        }
        "Job" => {
            let cron_job = cron_job(name, metadata.creation_timestamp.as_deref());
            (cron_job.map(|name| (names::K8S_CRONJOB, name)), names::K8S_JOB)
        }
        "StatefulSet" => (None, names::K8S_STATEFULSET),
        "DaemonSet" => (None, names::K8S_DAEMONSET),
        "ReplicationController" => (None, names::K8S_REPLICATION_CONTROLLER),
        // A static pod's owner is its node, others are those of operators.
        _ => return Vec::new(),
    };
    let outer = outer.map(|(key, name)| (key, name.to_owned()));
    outer.into_iter().chain([(key, name.clone())]).collect()
}

/// The deployment of a replica set: only those that deployments make are named with the hash that their pods have as
/// a label.
fn deployment<'a>(replica_set: &'a str, labels: Option<&HashMap<String, String>>) -> Option<&'a str> {
    let hash = labels?.get(TEMPLATE_HASH)?;
    replica_set.strip_suffix(hash.as_str())?.strip_suffix('-').filter(|name| !name.is_empty())
}

/// The cron job of a job: its controller names jobs with the minute, since 1970, for which they were scheduled. A
/// number that is no such minute was written by whoever named the job.
fn cron_job<'a>(job: &'a str, created: Option<&str>) -> Option<&'a str> {
    let (name, minute) = job.rsplit_once('-')?;
    let minute: i64 = minute.parse().ok().filter(|_| minute.bytes().all(|byte| byte.is_ascii_digit()))?;
    let created = created?.parse::<Timestamp>().ok()?.as_second() / 60;
    let late = created.checked_sub(minute)?;
    // A clock may be ahead of another by a little.
    ((-5..=LATEST_START_MINUTES).contains(&late) && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of(kind: &str, name: &str, hash: Option<&str>) -> Vec<String> {
        let metadata = json!({
            "creationTimestamp": "2026-11-28T07:00:30Z",
            "labels": { TEMPLATE_HASH: hash.unwrap_or("none") },
            "ownerReferences": [
                { "kind": "Other", "name": "first" },
                { "kind": kind, "name": name, "controller": true },
            ],
        });
        let metadata: ObjectMetadata = serde_json::from_value(metadata).unwrap();
        owners(&metadata).into_iter().map(|(key, name)| format!("{key}={name}")).collect()
    }

    #[test]
    fn a_deployment_is_known_by_the_hash_of_its_replica_set() {
        let both = ["k8s.deployment.name=cart", "k8s.replicaset.name=cart-6d4b"];
        assert_eq!(of("ReplicaSet", "cart-6d4b", Some("6d4b")), both);
        assert_eq!(of("ReplicaSet", "cart-6d4b", None), ["k8s.replicaset.name=cart-6d4b"]);
        assert_eq!(of("ReplicaSet", "-6d4b", Some("6d4b")), ["k8s.replicaset.name=-6d4b"]);
    }

    #[test]
    fn a_cron_job_is_known_by_the_minute_in_its_jobs_name() {
        // 2026-11-28T07:00:00Z is minute 29930820.
        let both = ["k8s.cronjob.name=nightly", "k8s.job.name=nightly-29930820"];
        assert_eq!(of("Job", "nightly-29930820", None), both);
        assert_eq!(of("Job", "backup-20261128", None), ["k8s.job.name=backup-20261128"], "a date");
        assert_eq!(of("Job", "migrate-2", None), ["k8s.job.name=migrate-2"]);
        assert_eq!(of("Job", "once", None), ["k8s.job.name=once"]);
    }

    #[test]
    fn other_owners_are_known_by_their_kind() {
        assert_eq!(of("StatefulSet", "db", None), ["k8s.statefulset.name=db"]);
        assert_eq!(of("DaemonSet", "agent", None), ["k8s.daemonset.name=agent"]);
        assert_eq!(of("ReplicationController", "old", None), ["k8s.replicationcontroller.name=old"]);
        assert_eq!(of("Node", "node-1", None), [""; 0]);
        assert_eq!(owners(&ObjectMetadata::default()), []);
    }

    proptest! {
        /// Any names are read: no panic.
        #[test]
        fn any_names_are_read(name in "[a-z0-9é-]{0,30}", minute: i64, created in "\\PC{0,30}") {
            let _ = cron_job(&name, Some(&created));
            let _ = cron_job(&format!("{name}-{minute}"), Some("2026-11-28T07:00:30Z"));
        }
    }
}
