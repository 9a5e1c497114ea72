//! From the API server of a Kubernetes cluster: pod, container, what made them, and what their service is called.
//!
//! A control group names a pod and a container by their IDs. What these are called is learnt from a thread that asks
//! the API server, and may be learnt late: the images of a control group are then described anew.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use k8s::{PodChange, PodFacts, PodSight, Pods};
use pdata::{Attribute, Cgroup, CgroupId, KTime};
use procfs::Residence;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::source::{Source, Subject};
use crate::metrics;

/// Control groups that are described anew when more is learnt of their pod; past it the oldest stays as it is.
const MAX_GROUPS: usize = 4096;

/// The pods of this node, and which control groups are theirs.
#[derive(Debug)]
pub(crate) struct PodsOfGroups {
    pods: Pods,
    groups: FxHashMap<CgroupId, PodGroup>,
    /// The same, in the order in which they were met.
    order: VecDeque<CgroupId>,
}

/// The control group of a container.
#[derive(Debug)]
struct PodGroup {
    /// UIDs of its pods: where containers are nested, the outermost first.
    pods: SmallVec<[Arc<str>; 1]>,
    /// IDs of its containers, likewise.
    containers: SmallVec<[Arc<str>; 1]>,
    facts: Option<PodFacts>,
}

impl PodsOfGroups {
    /// Nothing is known yet.
    pub(crate) fn new(pods: Pods) -> Self {
        Self { pods, groups: FxHashMap::default(), order: VecDeque::new() }
    }

    /// Takes in what has become of a pod, heard of at `now`.
    pub(crate) fn apply(&mut self, change: PodChange, now: KTime) {
        self.pods.apply(change, now);
    }

    /// True, once, if pods that did not fit may fit now.
    pub(crate) fn take_room(&mut self) -> bool {
        self.pods.take_room()
    }

    /// The control groups of which more, or something else, is known than before.
    pub(crate) fn take_changed(&mut self, now: KTime) -> FxHashSet<CgroupId> {
        let changed = self.pods.take_changed();
        let mut groups = FxHashSet::default();
        if changed.is_empty() {
            return groups;
        }
        for (&id, group) in &mut self.groups {
            if !group.pods.iter().any(|uid| changed.contains(uid)) {
                continue;
            }
            let PodSight::Known(facts) = self.pods.find(&group.pods, &group.containers, now) else {
                continue;
            };
            if group.facts.as_ref() != Some(&facts) {
                group.facts = Some(facts);
                groups.insert(id);
            }
        }
        groups
    }

    /// Forgets deleted pods of which nothing runs any more at `now`.
    pub(crate) fn expire(&mut self, now: KTime) {
        self.pods.expire(now);
        self.pods.publish();
    }

    /// The facts of what runs in a control group at `now`; `None` if it is in no pod, or in none that is known.
    pub(crate) fn find(&mut self, cgroup: &Cgroup, now: KTime) -> Option<&PodFacts> {
        if let Entry::Vacant(place) = self.groups.entry(cgroup.id) {
            place.insert(PodGroup::of(cgroup)?);
            self.order.push_back(cgroup.id);
        }
        if self.order.len() > MAX_GROUPS
            && let Some(oldest) = self.order.pop_front()
        {
            self.groups.remove(&oldest);
            metrics::pod_group_evicted();
        }
        let group = self.groups.get_mut(&cgroup.id)?;
        let sight = self.pods.find(&group.pods, &group.containers, now);
        metrics::pod_lookup(match &sight {
            PodSight::Known(facts) if facts.in_container => "known",
            PodSight::Known(_) => "unknown_container",
            // It was known, and has been for as long as anybody may ask.
            PodSight::Unknown | PodSight::NotListed if group.facts.is_some() => "known",
            PodSight::Unknown => "unknown_pod",
            PodSight::NotListed => "not_listed",
        });
        if let PodSight::Known(facts) = sight {
            group.facts = Some(facts);
        }
        group.facts.as_ref()
    }
}

impl PodGroup {
    /// The pods and containers on the path of a control group; `None` if there is no pod.
    fn of(cgroup: &Cgroup) -> Option<Self> {
        if cgroup.truncated {
            return None;
        }
        let found = Residence::of_either(&cgroup.path, cgroup.legacy_path.as_deref());
        let pods: SmallVec<_> =
            found.outer_pod_uid.iter().chain(&found.pod_uid).map(|uid| (**uid).into()).collect();
        let containers = found.outer.iter().chain(&found.container);
        let containers = containers.filter_map(|container| Some((**container.id.as_ref()?).into())).collect();
        (!pods.is_empty()).then_some(Self { pods, containers, facts: None })
    }
}

/// The source of which pod and container an image runs in.
#[derive(Debug)]
pub(super) struct FromPod;

impl Source for FromPod {
    fn describe(&mut self, subject: &Subject<'_>) -> Arc<[Attribute]> {
        subject.pod.map(|facts| Arc::clone(&facts.identity)).unwrap_or_default()
    }
}

/// The source of what the service of a pod is called.
#[derive(Debug)]
pub(super) struct FromWorkload;

impl Source for FromWorkload {
    fn describe(&mut self, subject: &Subject<'_>) -> Arc<[Attribute]> {
        subject.pod.map(|facts| Arc::clone(&facts.service)).unwrap_or_default()
    }
}
