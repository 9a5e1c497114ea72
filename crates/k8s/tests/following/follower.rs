//! Whoever follows the pods of a node, and the pods.

use std::time::Duration;

use k8s::{Config, PodChanges, PodFacts, PodSight, Pods};
use pdata::{AttributeValue, KTime};
use serde_json::Value;
use tests::api_server::{ApiServer, add_container, pod};
use tests::wait;

pub(super) const NODE: &str = "node/1";
/// Event time for which a deleted pod is known.
pub(super) const HOLD: Duration = Duration::from_secs(60);
/// Pods that a follower knows at most.
pub(super) const MAX_PODS: usize = 1500;

/// Whoever follows the pods of the node.
pub(super) struct Follower {
    changes: PodChanges,
    pub(super) pods: Pods,
    /// The instant, by the clock of the events.
    pub(super) now: KTime,
}

impl Follower {
    pub(super) fn of(server: &ApiServer) -> Self {
        Self::with_room_for(MAX_PODS, server)
    }

    pub(super) fn with_room_for(most: usize, server: &ApiServer) -> Self {
        let config: Config = serde_json::from_value(server.configuration(NODE)).unwrap();
        let changes = k8s::watch(&config, |key| !key.starts_with("process.")).unwrap();
        Self { changes, pods: Pods::new(most, HOLD), now: KTime::from_nanos(1) }
    }

    /// Takes in what has happened.
    pub(super) fn catch_up(&mut self) {
        while let Some(change) = self.changes.try_next() {
            self.pods.apply(change, self.now);
        }
    }

    pub(super) fn facts(&mut self, uid: &str, container: &str) -> Option<PodFacts> {
        self.catch_up();
        match self.pods.find(&[uid.into()], &[container.into()], self.now) {
            PodSight::Known(facts) => Some(facts),
            PodSight::Unknown | PodSight::NotListed => None,
        }
    }

    pub(super) fn knows(&mut self, uid: &str, container: &str) -> PodFacts {
        let known = wait::until("a pod to be known", || self.facts(uid, container), Option::is_some);
        known.unwrap()
    }

    /// Pods known, and of them deleted ones.
    pub(super) fn waits_for(&mut self, counts: (usize, usize)) {
        let look = || {
            self.catch_up();
            self.pods.counts()
        };
        wait::until("so many pods", look, |seen| *seen == counts);
    }
}

pub(super) fn uid(number: usize) -> String {
    format!("2c48913c-b29f-11e7-9350-{number:012}")
}

pub(super) fn id(number: usize) -> String {
    format!("{number:064}")
}

/// A pod of a deployment, with one container.
pub(super) fn member(node: &str, number: usize) -> Value {
    let mut pod = pod(node, "shop", &format!("cart-6d4b-{number}"), &uid(number));
    pod["metadata"]["labels"] = serde_json::json!({ "pod-template-hash": "6d4b", "tier": "front" });
    let owner = serde_json::json!([{ "kind": "ReplicaSet", "name": "cart-6d4b", "controller": true }]);
    pod["metadata"]["ownerReferences"] = owner;
    add_container(&mut pod, "app", "registry:5000/cart:v1.2", Some(&id(number)));
    pod
}

pub(super) fn text(facts: &PodFacts, key: &str) -> String {
    let found = facts.identity.iter().chain(&*facts.service).find(|attribute| attribute.key == key);
    match found.map(|attribute| &attribute.value) {
        Some(AttributeValue::Text(text)) => text.to_string(),
        other => panic!("{key}: {other:?}"),
    }
}

pub(super) fn requests(server: &ApiServer, part: &str) -> usize {
    server.requests().iter().filter(|request| request.contains(part)).count()
}
