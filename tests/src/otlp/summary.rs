//! A file in a few figures, in the form that the independent reader prints too.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::resolved::{Frame, Resource};

/// Attribute that names a process's executable.
const PATH: &str = "process.executable.path";

/// What two readers must agree on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Export requests.
    pub requests: usize,
    /// `ResourceProfiles`, over all requests.
    pub resources: usize,
    /// `Sample` messages: identities in a window.
    pub samples: u64,
    /// Times that anything was seen.
    pub events: u64,
    /// Frames, over all `Sample` messages.
    pub frames: u64,
    /// Earliest time, nanoseconds since the Unix epoch; 0 if nothing was seen.
    pub first: u64,
    /// Latest time.
    pub last: u64,
    /// Events by path of the executable; the empty path is for what has none.
    pub paths: BTreeMap<String, u64>,
    /// Events by name of the thread.
    pub threads: BTreeMap<String, u64>,
    /// Events by file of the leaf frame and its GNU build ID, parted by a space.
    pub leaves: BTreeMap<String, u64>,
}

impl Summary {
    /// The figures of `resources`, which `requests` requests held.
    #[must_use]
    pub fn of(requests: usize, resources: &[Resource]) -> Self {
        let mut summary = Self { requests, resources: resources.len(), ..Self::default() };
        for resource in resources {
            for sample in resource.samples() {
                let events = sample.events();
                summary.samples += 1;
                summary.events += events;
                summary.frames += sample.stack.len() as u64;
                *summary.paths.entry(resource.text(PATH).to_owned()).or_default() += events;
                let thread = sample.attributes.get("thread.name").map(ToString::to_string);
                *summary.threads.entry(thread.unwrap_or_default()).or_default() += events;
                if let Some(mapping) = sample.stack.first().and_then(|leaf| leaf.mapping.as_ref()) {
                    let build_id = mapping.attributes.get("process.executable.build_id.gnu");
                    let build_id = build_id.map(ToString::to_string).unwrap_or_default();
                    *summary.leaves.entry(format!("{} {build_id}", mapping.filename)).or_default() += events;
                }
            }
        }
        let times = || resources.iter().flat_map(Resource::samples).flat_map(|sample| &sample.times);
        summary.first = times().min().copied().unwrap_or_default();
        summary.last = times().max().copied().unwrap_or_default();
        summary
    }

    /// The figures of `resources` on which all exporters of one run agree. Into how many requests a window is split is
    /// each exporter's own matter; and since they close a window one after the other, a file that was read in between
    /// is a mapping with build IDs to one, and a name to the other.
    #[must_use]
    pub fn common(resources: &[Resource]) -> Self {
        let mut leaves = BTreeMap::new();
        for sample in resources.iter().flat_map(Resource::samples) {
            if let Some(file) = sample.stack.first().and_then(|leaf| file_of(leaf)) {
                *leaves.entry(file.to_owned()).or_default() += sample.events();
            }
        }
        Self { leaves, ..Self::of(0, resources) }
    }

    /// Events of the executable at `path`.
    #[must_use]
    pub fn events_of(&self, path: &str) -> u64 {
        self.paths.get(path).copied().unwrap_or_default()
    }
}

/// The file that a frame lies in; `None` where no file backs the code.
fn file_of(frame: &Frame) -> Option<&str> {
    let named = || frame.functions.iter().map(String::as_str).find(|name| name.starts_with('/'));
    frame.mapping.as_ref().map(|mapping| mapping.filename.as_str()).or_else(named)
}
