//! The part of the API's objects that is read, as JSON has them.
//!
//! Every field may be missing or `null`: the API server leaves out what is empty, and other programs that speak its
//! protocol write `null`. Source: Kubernetes API, `core/v1` `Pod`, `meta/v1` `ListMeta`, `Status` and `WatchEvent`.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// A page of a list of pods, as the server answers with it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PodList {
    pub(crate) metadata: Option<ListMetadata>,
    pub(crate) items: Option<Vec<PodObject>>,
}

/// The version of a list, and how to get its next page.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ListMetadata {
    pub(crate) resource_version: Option<String>,
    /// The token that asks for the next page; missing or empty on the last.
    #[serde(rename = "continue")]
    pub(crate) next: Option<String>,
}

/// A pod: what it is called, what it is to run, and what runs.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PodObject {
    pub(crate) metadata: Option<ObjectMetadata>,
    pub(crate) spec: Option<PodSpec>,
    pub(crate) status: Option<PodStatus>,
}

/// The fields that every object has.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ObjectMetadata {
    pub(crate) name: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) creation_timestamp: Option<String>,
    pub(crate) labels: Option<HashMap<String, String>>,
    pub(crate) annotations: Option<HashMap<String, String>>,
    pub(crate) owner_references: Option<Vec<OwnerReference>>,
}

/// Something that an object belongs to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct OwnerReference {
    pub(crate) kind: Option<String>,
    pub(crate) name: Option<String>,
    /// True for the one that made it.
    pub(crate) controller: Option<bool>,
}

/// The specification of a pod.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PodSpec {
    pub(crate) node_name: Option<String>,
    pub(crate) containers: Option<Vec<ContainerSpec>>,
    pub(crate) init_containers: Option<Vec<ContainerSpec>>,
    pub(crate) ephemeral_containers: Option<Vec<ContainerSpec>>,
}

/// The specification of a container.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ContainerSpec {
    pub(crate) name: Option<String>,
    pub(crate) image: Option<String>,
}

/// The status of a pod.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PodStatus {
    pub(crate) container_statuses: Option<Vec<ContainerStatus>>,
    pub(crate) init_container_statuses: Option<Vec<ContainerStatus>>,
    pub(crate) ephemeral_container_statuses: Option<Vec<ContainerStatus>>,
}

/// The status of a container: its run that goes on, or ended last, and the run before.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ContainerStatus {
    pub(crate) name: Option<String>,
    #[serde(rename = "containerID")]
    pub(crate) container_id: Option<String>,
    pub(crate) state: Option<ContainerState>,
    pub(crate) last_state: Option<ContainerState>,
}

/// The state of a container: only that of one that has ended has an ID of its own.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ContainerState {
    pub(crate) terminated: Option<TerminatedContainer>,
}

/// A container that has ended.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TerminatedContainer {
    #[serde(rename = "containerID")]
    pub(crate) container_id: Option<String>,
}

/// The API server's reason for not doing what it is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ApiStatus {
    pub(crate) code: Option<u16>,
    pub(crate) message: Option<String>,
}

/// A line of a watch.
#[derive(Debug)]
pub(crate) enum WatchEvent {
    /// A pod is there, or has changed.
    Present(PodObject),
    /// A pod is not there any more; this is what it was.
    Deleted(PodObject),
    /// Nothing has happened up to that version.
    Bookmark(String),
    /// The watch is over.
    Error(ApiStatus),
    /// Something that this agent does not know.
    Other,
}

#[derive(Deserialize)]
struct EventKind {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(rename = "object", default)]
    _object: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct EventOf<T> {
    object: T,
}

impl WatchEvent {
    /// Reads a line.
    ///
    /// # Errors
    /// If it is no event.
    pub(crate) fn parse(line: &[u8]) -> serde_json::Result<Self> {
        fn object<'a, T: Deserialize<'a>>(line: &'a [u8]) -> serde_json::Result<T> {
            Ok(serde_json::from_slice::<EventOf<T>>(line)?.object)
        }
        let event: EventKind = serde_json::from_slice(line)?;
        Ok(match event.kind.as_deref() {
            Some("ADDED" | "MODIFIED") => Self::Present(object(line)?),
            Some("DELETED") => Self::Deleted(object(line)?),
            Some("BOOKMARK") => match object::<PodObject>(line)?.resource_version() {
                Some(version) => Self::Bookmark(version.to_owned()),
                None => Self::Other,
            },
            Some("ERROR") => Self::Error(object(line)?),
            _ => Self::Other,
        })
    }
}

impl PodList {
    /// Reads a page.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) fn parse(page: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(page)
    }

    /// The version of which the list is true.
    pub(crate) fn version(&self) -> Option<&str> {
        self.metadata.as_ref()?.resource_version.as_deref().filter(|version| !version.is_empty())
    }
}

impl PodObject {
    /// The version of the whole list at which the object was so.
    pub(crate) fn resource_version(&self) -> Option<&str> {
        self.metadata.as_ref()?.resource_version.as_deref().filter(|version| !version.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn events_are_read_by_their_type() {
        let read = |text: &str| WatchEvent::parse(text.as_bytes());
        assert!(matches!(
            read(r#"{"type":"ADDED","object":{"metadata":{"resourceVersion":"7"},"status":null}}"#),
            Ok(WatchEvent::Present(pod)) if pod.resource_version() == Some("7")
        ));
        assert!(matches!(read(r#"{"object":{"spec":null},"type":"DELETED"}"#), Ok(WatchEvent::Deleted(_))));
        let bookmark = r#"{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"12"}}}"#;
        assert!(matches!(read(bookmark), Ok(WatchEvent::Bookmark(version)) if version == "12"));
        let error = r#"{"type":"ERROR","object":{"kind":"Status","status":"Failure","code":410}}"#;
        assert!(matches!(read(error), Ok(WatchEvent::Error(ApiStatus { code: Some(410), .. }))));
        assert!(matches!(read(r#"{"type":"LATER"}"#), Ok(WatchEvent::Other)));
        for fault in ["", "{", "7", r#"{"type":"ADDED"}"#, r#"{"type":"ADDED","object":7}"#] {
            assert!(read(fault).is_err(), "{fault}");
        }
    }

    proptest! {
        /// Any bytes are an event or none: no panic.
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, kind in "[A-Z]{0,9}|ADDED|ERROR|BOOKMARK", object in "[{}:,\"a-z0-9\\[\\]]{0,30}") {
            let _ = WatchEvent::parse(&bytes);
            let _ = WatchEvent::parse(format!(r#"{{"type":"{kind}","object":{object}}}"#).as_bytes());
            let _ = PodList::parse(&bytes);
        }
    }
}
