//! The table of pods.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use foldhash::{HashMap, HashSet};
use pdata::KTime;

use crate::metrics;
use crate::pod::{Pod, PodFacts};
use crate::reflector::PodChange;

/// Bytes of pods that are kept for each of the most pods, and of all at least. A pod of two containers takes some 4 KiB
/// and as much again for its containers' facts; what its author writes makes it ten times as large at most.
const BYTES_PER_POD: usize = 16 << 10;
const LEAST_BYTES: usize = 1 << 20;

/// The pods of a node, and those that have been deleted for as long as somebody may ask about them. Pure: time is that
/// of the events.
#[derive(Debug)]
pub struct Pods {
    by_uid: HashMap<Arc<str>, HeldPod>,
    /// Deleted pods by when they may be forgotten.
    deleted: BTreeSet<(KTime, Arc<str>)>,
    /// Number of the list that is being read, or was read last.
    list: u64,
    /// True once a list has been read as a whole.
    listed: bool,
    /// UIDs of pods of which something else is known than before.
    changed: HashSet<Arc<str>>,
    /// Bytes of all pods.
    bytes: usize,
    most: usize,
    hold: Duration,
    /// True if a pod that there is did not fit since the list began that was read last.
    is_incomplete: bool,
    /// True if there is room since then that there was not.
    has_room: bool,
}

#[derive(Debug)]
struct HeldPod {
    pod: Pod,
    /// The last list that it was in.
    list: u64,
    /// The instant at which the pod may be forgotten, if it has been deleted.
    until: Option<KTime>,
    /// Facts of containers that have been asked about, by their position: all who ask share them.
    merged: Vec<(usize, PodFacts)>,
    /// Bytes of the pod and of these facts.
    bytes: usize,
}

/// The table's answer to where a process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodSight {
    /// Its pod, and its container if [`PodFacts::in_container`].
    Known(PodFacts),
    /// Its pod is not, or not yet.
    Unknown,
    /// No pod is known yet.
    NotListed,
}

impl Pods {
    /// A table of at most `most` pods, and of as many bytes as so many take that are large, which keeps one that
    /// has been deleted for at least `hold` of event time.
    #[must_use]
    pub fn new(most: usize, hold: Duration) -> Self {
        Self {
            by_uid: HashMap::default(),
            deleted: BTreeSet::new(),
            list: 0,
            listed: false,
            changed: HashSet::default(),
            bytes: 0,
            most,
            hold,
            is_incomplete: false,
            has_room: false,
        }
    }

    /// Takes in what has become of a pod, heard of at `now`.
    pub fn apply(&mut self, change: PodChange, now: KTime) {
        match change {
            PodChange::ListBegan => {
                self.list += 1;
                // It has all pods that did not fit, but for those that are not there any more.
                (self.is_incomplete, self.has_room) = (false, false);
            }
            PodChange::Present(pod) => self.is_incomplete |= !self.present(*pod),
            PodChange::Deleted(pod) => {
                let uid = Arc::clone(pod.uid());
                self.present(*pod);
                self.delete(&uid, now);
            }
            PodChange::ListEnded => {
                self.listed = true;
                let is_missing = |held: &HeldPod| held.list != self.list && held.until.is_none();
                let missing = self.by_uid.iter().filter(|(_, held)| is_missing(held));
                let missing: Vec<_> = missing.map(|(uid, _)| Arc::clone(uid)).collect();
                missing.iter().for_each(|uid| self.delete(uid, now));
            }
        }
    }

    /// Takes in a pod as it is now; false if it does not fit.
    fn present(&mut self, mut pod: Pod) -> bool {
        let uid = Arc::clone(pod.uid());
        let mut before = None;
        if let Some(held) = self.by_uid.get_mut(&uid) {
            held.list = self.list;
            if let Some(until) = held.until.take() {
                self.deleted.remove(&(until, Arc::clone(&uid)));
            }
            pod.remember_runs_of(&held.pod);
            if held.pod == pod {
                return true;
            }
            before = Some(held.bytes);
        }
        let (pods, bytes) = (usize::from(before.is_none()), pod.footprint());
        if !self.make_room(pods, bytes.saturating_sub(before.unwrap_or_default())) {
            // Of a pod that was known before, that is still the best that is known.
            metrics::refused("table_full");
            return false;
        }
        self.has_room |= before.is_some_and(|before| bytes < before);
        self.bytes = self.bytes - before.unwrap_or_default() + bytes;
        let held = HeldPod { pod, list: self.list, until: None, merged: Vec::new(), bytes };
        self.by_uid.insert(Arc::clone(&uid), held);
        self.changed.insert(uid);
        true
    }

    /// True if pods that did not fit may fit now, so that all are to be listed again. It is true once for each time
    /// that there is room.
    pub fn take_room(&mut self) -> bool {
        let is_worth_a_list = self.is_incomplete && self.has_room;
        self.has_room &= !is_worth_a_list;
        is_worth_a_list
    }

    /// Forgets deleted pods, the oldest first, until there is room for so many more pods and bytes; false if there is
    /// none even so.
    fn make_room(&mut self, pods: usize, bytes: usize) -> bool {
        let most_bytes = self.most_bytes();
        let fits = |table: &Self| {
            table.by_uid.len() + pods <= table.most && table.bytes.saturating_add(bytes) <= most_bytes
        };
        while !fits(self)
            && let Some((_, oldest)) = self.deleted.pop_first()
        {
            self.forget(&oldest);
        }
        fits(self)
    }

    fn forget(&mut self, uid: &Arc<str>) {
        if let Some(held) = self.by_uid.remove(uid) {
            self.bytes -= held.bytes;
        }
    }

    fn delete(&mut self, uid: &Arc<str>, now: KTime) {
        let until = now.saturating_add(self.hold);
        if let Some(held) = self.by_uid.get_mut(uid).filter(|held| held.until.is_none()) {
            held.until = Some(until);
            self.deleted.insert((until, Arc::clone(uid)));
            // A pod that has been deleted makes room for one that there is.
            self.has_room = true;
        }
    }

    /// The facts of what runs in one of these containers of the first of these pods that is known.
    ///
    /// A pod that has been deleted is kept from `now` on as one that has just been: something of it still runs.
    pub fn find(&mut self, uids: &[Arc<str>], containers: &[Arc<str>], now: KTime) -> PodSight {
        let Some(uid) = uids.iter().find(|uid| self.by_uid.contains_key(*uid)) else {
            return if self.listed { PodSight::Unknown } else { PodSight::NotListed };
        };
        let room = self.most_bytes().saturating_sub(self.bytes);
        let Some(held) = self.by_uid.get_mut(uid) else { return PodSight::Unknown };
        let later = now.saturating_add(self.hold);
        if let Some(until) = held.until.filter(|until| *until < later) {
            held.until = Some(later);
            self.deleted.remove(&(until, Arc::clone(uid)));
            self.deleted.insert((later, Arc::clone(uid)));
        }
        let (facts, bytes) = held.facts(containers, room);
        self.bytes += bytes;
        PodSight::Known(facts)
    }

    /// UIDs of pods of which more, or something else, is known than when this was last called.
    pub fn take_changed(&mut self) -> HashSet<Arc<str>> {
        std::mem::take(&mut self.changed)
    }

    /// Forgets deleted pods that nobody asks about any more at `now`.
    pub fn expire(&mut self, now: KTime) {
        while let Some((until, _)) = self.deleted.first()
            && *until <= now
            && let Some((_, uid)) = self.deleted.pop_first()
        {
            self.forget(&uid);
        }
    }

    /// Pods known, and of them deleted ones.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.by_uid.len(), self.deleted.len())
    }

    /// Bytes of all pods, and of the facts that whoever asks shares.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The most that [`Self::bytes`] can be.
    #[must_use]
    pub fn most_bytes(&self) -> usize {
        self.most.saturating_mul(BYTES_PER_POD).max(LEAST_BYTES)
    }

    /// Adds how many pods are known to the metrics.
    pub fn publish(&self) {
        let (known, deleted) = self.counts();
        metrics::pods(known, deleted);
    }
}

impl HeldPod {
    /// The facts of what runs in one of these containers, and the bytes that are kept from now on so that the next who
    /// asks shares them: none if these are more than `room`.
    fn facts(&mut self, containers: &[Arc<str>], room: usize) -> (PodFacts, usize) {
        let Some(at) = self.pod.container(containers.iter().map(|id| &**id)) else {
            return (self.pod.facts_alone(), 0);
        };
        if let Some((_, facts)) = self.merged.iter().find(|(other, _)| *other == at) {
            return (facts.clone(), 0);
        }
        let facts = self.pod.facts_in(at);
        let bytes = facts.footprint();
        if bytes > room {
            return (facts, 0);
        }
        self.merged.push((at, facts.clone()));
        self.bytes += bytes;
        (facts, bytes)
    }
}

#[cfg(test)]
mod tests;
