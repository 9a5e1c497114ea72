//! The state of a cluster: its pods, and each version that is remembered of them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};

/// The answer to a client that asks for a version which is not remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gone {
    /// By the status of the answer.
    #[default]
    Status,
    /// By an event of the watch: lists are answered by the status all the same.
    Event,
}

/// An answer that no API server gives, but something in its place may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trick {
    /// A page that is no JSON.
    Garbage,
    /// JSON that is no list.
    Nothing,
    /// A body that has no end, and no line's end.
    Endless,
    /// A watch that begins with an event of 13 MiB and a line that is no event, and goes on as any other does. A list
    /// is as any other.
    Oversized,
    /// A refusal with that status.
    Status(u16),
}

/// A cluster, and who waits for something to happen in it.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    pods: BTreeMap<String, Value>,
    /// Events that have happened, by version.
    events: BTreeMap<u64, Event>,
    /// Watches from versions before that are refused.
    oldest: u64,
    gone: Gone,
    /// Lists that have been given in part: the version, and the pods still to be given.
    pages: HashMap<String, (u64, Vec<Value>)>,
    most: Option<usize>,
    bookmarks: u64,
    token: String,
    requests: Vec<String>,
    tricks: VecDeque<Trick>,
    /// True while no version is remembered, not even the newest.
    forgetful: bool,
    ended: bool,
}

/// Something that has happened to a pod.
#[derive(Clone, Debug)]
pub(super) struct Event {
    kind: &'static str,
    pod: Value,
}

/// A watch's next line, or that there is none.
#[derive(Clone, Debug)]
pub(super) enum Line {
    /// An event.
    Event(Value),
    /// Its time is up, or the server's.
    End,
}

/// The position of a watch in the cluster's history.
#[derive(Clone, Debug)]
pub(super) struct WatchPosition {
    pub(super) version: u64,
    pub(super) bookmarks: u64,
    pub(super) node: String,
    pub(super) ends: Instant,
}

/// A refusal: its status, its reason, and what is said of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal(pub(super) u16, pub(super) &'static str, pub(super) &'static str);

pub(super) const EXPIRED: Refusal = Refusal(410, "Expired", "too old resource version");

impl Refusal {
    /// The object that says so.
    pub(super) fn object(self) -> Value {
        let Self(code, reason, message) = self;
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code,
        })
    }
}

impl Cluster {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    pub(super) fn apply(&self, pod: Value) {
        let uid = pod.pointer("/metadata/uid").and_then(Value::as_str).expect("a pod has a UID").to_owned();
        self.change(|state| {
            let kind = if state.pods.contains_key(&uid) { "MODIFIED" } else { "ADDED" };
            let pod = state.happens(kind, pod);
            state.pods.insert(uid, pod);
        });
    }

    pub(super) fn delete(&self, uid: &str) {
        self.change(|state| {
            if let Some(pod) = state.pods.remove(uid) {
                state.happens("DELETED", pod);
            }
        });
    }

    pub(super) fn compact(&self, gone: Gone) {
        self.change(|state| {
            // Something has happened elsewhere in the cluster, so that not even the newest version is remembered.
            state.version += 1;
            state.oldest = state.version;
            (state.gone, state.events, state.pages) = (gone, BTreeMap::new(), HashMap::new());
        });
    }

    pub(super) fn forget_all(&self, forgetful: bool) {
        self.change(|state| state.forgetful = forgetful);
    }

    pub(super) fn bookmark(&self) {
        self.change(|state| {
            state.version += 1;
            state.bookmarks += 1;
        });
    }

    pub(super) fn page(&self, most: usize) {
        self.change(|state| state.most = Some(most));
    }

    pub(super) fn take_token(&self, token: &str) {
        self.change(|state| token.clone_into(&mut state.token));
    }

    pub(super) fn end(&self) {
        self.change(|state| state.ended = true);
    }

    pub(super) fn add_trick(&self, trick: Trick) {
        self.state().tricks.push_back(trick);
    }

    pub(super) fn next_trick(&self) -> Option<Trick> {
        self.state().tricks.pop_front()
    }

    pub(super) fn takes(&self, token: Option<&str>) -> bool {
        token == Some(&*self.state().token)
    }

    pub(super) fn log(&self, request: String) {
        self.state().requests.push(request);
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    /// A page of the node's pods: the first, or the one after that.
    pub(super) fn list(&self, node: &str, limit: usize, next: Option<&str>) -> Result<Value, Refusal> {
        let mut state = self.state();
        let limit = limit.min(state.most.unwrap_or(limit)).max(1);
        let (version, mut rest) = match next {
            Some(token) => state.pages.remove(token).ok_or(EXPIRED)?,
            None => (state.version, state.pods.values().filter(|pod| is_of(pod, node)).cloned().collect()),
        };
        let after = rest.split_off(limit.min(rest.len()));
        let mut metadata = json!({ "resourceVersion": version.to_string() });
        if !after.is_empty() {
            let token = format!("{version}/{}+{}", after.len(), state.requests.len());
            metadata = json!({
                "resourceVersion": version.to_string(),
                "remainingItemCount": after.len(),
                "continue": token,
            });
            state.pages.insert(token, (version, after));
        }
        Ok(json!({ "kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": rest }))
    }

    /// The position from which a watch of that version begins.
    pub(super) fn watch(
        &self,
        node: &str,
        version: u64,
        ends: Instant,
    ) -> Result<WatchPosition, (Refusal, Gone)> {
        let state = self.state();
        if version < state.oldest || state.forgetful {
            return Err((EXPIRED, state.gone));
        }
        Ok(WatchPosition { version, bookmarks: state.bookmarks, node: node.to_owned(), ends })
    }

    /// Waits for the next line of a watch.
    pub(super) fn next(&self, position: &mut WatchPosition) -> Line {
        let mut state = self.state();
        loop {
            let now = Instant::now();
            if state.ended || now >= position.ends {
                return Line::End;
            }
            if position.version < state.oldest {
                // The server has lost what this watch has not seen yet.
                return Line::Event(json!({ "type": "ERROR", "object": EXPIRED.object() }));
            }
            let next = state.events.range(position.version + 1..).next();
            if let Some((&version, event)) = next {
                position.version = version;
                if is_of(&event.pod, &position.node) {
                    return Line::Event(json!({ "type": event.kind, "object": event.pod }));
                }
                continue;
            }
            if position.bookmarks < state.bookmarks {
                position.bookmarks = state.bookmarks;
                position.version = state.version;
                let metadata =
                    json!({ "resourceVersion": state.version.to_string(), "creationTimestamp": null });
                let object = json!({ "kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": { "containers": null }, "status": {} });
                return Line::Event(json!({ "type": "BOOKMARK", "object": object }));
            }
            let waited = self.changed.wait_timeout(state, position.ends - now);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    /// Notes what happens to a pod, by the version in which it does.
    fn happens(&mut self, kind: &'static str, mut pod: Value) -> Value {
        self.version += 1;
        let metadata = pod.get_mut("metadata").and_then(Value::as_object_mut).expect("it is a pod");
        metadata.insert("resourceVersion".to_owned(), json!(self.version.to_string()));
        self.events.insert(self.version, Event { kind, pod: pod.clone() });
        pod
    }
}

fn is_of(pod: &Value, node: &str) -> bool {
    pod.pointer("/spec/nodeName").and_then(Value::as_str) == Some(node)
}
