//! The table of pods.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use foldhash::{HashMap, HashSet};
use pdata::KTime;

use crate::metrics;
use crate::pod::{Facts, Pod};
use crate::reflector::Change;

/// The pods of a node, and those that have been deleted for as long as somebody may ask about them. Pure: time is that
/// of the events.
#[derive(Debug)]
pub struct Pods {
    by_uid: HashMap<Arc<str>, Held>,
    /// Deleted pods by when they may be forgotten.
    deleted: BTreeSet<(KTime, Arc<str>)>,
    /// Number of the list that is being read, or was read last.
    list: u64,
    /// True once a list has been read as a whole.
    listed: bool,
    /// UIDs of pods of which something else is known than before.
    changed: HashSet<Arc<str>>,
    most: usize,
    hold: Duration,
}

#[derive(Debug)]
struct Held {
    pod: Pod,
    /// The last list that it was in.
    list: u64,
    /// The instant at which the pod may be forgotten, if it has been deleted.
    until: Option<KTime>,
}

/// The table's answer to where a process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Its pod, and its container if [`Facts::in_container`].
    Known(Facts),
    /// Its pod is not, or not yet.
    Unknown,
    /// No pod is known yet.
    NotListed,
}

impl Pods {
    /// A table of at most `most` pods, which keeps one that has been deleted for at least `hold` of event time.
    #[must_use]
    pub fn new(most: usize, hold: Duration) -> Self {
        Self {
            by_uid: HashMap::default(),
            deleted: BTreeSet::new(),
            list: 0,
            listed: false,
            changed: HashSet::default(),
            most,
            hold,
        }
    }

    /// Takes in what has become of a pod, heard of at `now`.
    pub fn apply(&mut self, change: Change, now: KTime) {
        match change {
            Change::ListBegan => self.list += 1,
            Change::Present(pod) => self.present(*pod),
            Change::Deleted(pod) => {
                let uid = Arc::clone(pod.uid());
                self.present(*pod);
                self.delete(&uid, now);
            }
            Change::ListEnded => {
                self.listed = true;
                let is_missing = |held: &Held| held.list != self.list && held.until.is_none();
                let missing = self.by_uid.iter().filter(|(_, held)| is_missing(held));
                let missing: Vec<_> = missing.map(|(uid, _)| Arc::clone(uid)).collect();
                missing.iter().for_each(|uid| self.delete(uid, now));
            }
        }
    }

    fn present(&mut self, mut pod: Pod) {
        let uid = Arc::clone(pod.uid());
        if let Some(held) = self.by_uid.get_mut(&uid) {
            held.list = self.list;
            if let Some(until) = held.until.take() {
                self.deleted.remove(&(until, Arc::clone(&uid)));
            }
            pod.remember_runs_of(&held.pod);
            if held.pod != pod {
                held.pod = pod;
                self.changed.insert(uid);
            }
            return;
        }
        if self.by_uid.len() >= self.most
            && let Some((_, oldest)) = self.deleted.pop_first()
        {
            self.by_uid.remove(&oldest);
        }
        if self.by_uid.len() >= self.most {
            metrics::refused("table_full");
            return;
        }
        self.by_uid.insert(Arc::clone(&uid), Held { pod, list: self.list, until: None });
        self.changed.insert(uid);
    }

    fn delete(&mut self, uid: &Arc<str>, now: KTime) {
        let until = now.saturating_add(self.hold);
        if let Some(held) = self.by_uid.get_mut(uid).filter(|held| held.until.is_none()) {
            held.until = Some(until);
            self.deleted.insert((until, Arc::clone(uid)));
        }
    }

    /// The facts of what runs in one of these containers of the first of these pods that is known.
    ///
    /// A pod that has been deleted is kept from `now` on as one that has just been: something of it still runs.
    pub fn find(&mut self, uids: &[Arc<str>], containers: &[Arc<str>], now: KTime) -> Sight {
        let Some(uid) = uids.iter().find(|uid| self.by_uid.contains_key(*uid)) else {
            return if self.listed { Sight::Unknown } else { Sight::NotListed };
        };
        let Some(held) = self.by_uid.get_mut(uid) else { return Sight::Unknown };
        let later = now.saturating_add(self.hold);
        if let Some(until) = held.until.filter(|until| *until < later) {
            held.until = Some(later);
            self.deleted.remove(&(until, Arc::clone(uid)));
            self.deleted.insert((later, Arc::clone(uid)));
        }
        Sight::Known(held.pod.facts(containers.iter().map(|id| &**id)))
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
            self.by_uid.remove(&uid);
        }
    }

    /// Pods known, and of them deleted ones.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.by_uid.len(), self.deleted.len())
    }

    /// Adds how many pods are known to the metrics.
    pub fn publish(&self) {
        let (known, deleted) = self.counts();
        metrics::pods(known, deleted);
    }
}

#[cfg(test)]
mod tests;
