//! Figures of a file, in the form that the independent readers print, too.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::resolved::{Frame, Resource};

/// Attribute that names a process's executable.
const PATH: &str = "process.executable.path";

/// Figures of a file on which two readers must agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Number of export requests.
    pub requests: usize,
    /// Number of `ResourceProfiles`, over all requests.
    pub resources: usize,
    /// Number of `Sample` messages, which are identities in a window.
    pub samples: u64,
    /// Number of captures.
    pub events: u64,
    /// Number of frames, over all `Sample` messages.
    pub frames: u64,
    /// Earliest capture, nanoseconds since the Unix epoch; 0 if there is none.
    pub first: u64,
    /// Latest capture, nanoseconds since the Unix epoch; 0 if there is none.
    pub last: u64,
    /// Captures by path of the executable; the empty path stands for processes without one.
    pub paths: BTreeMap<String, u64>,
    /// Captures by name of the thread.
    pub threads: BTreeMap<String, u64>,
    /// Captures by file of the leaf frame and its GNU build ID, with a space between them.
    pub leaves: BTreeMap<String, u64>,
}

impl Summary {
    /// The figures of `resources`, which came in `requests` requests.
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

    /// The figures of `resources` on which all exporters of one run agree. The number of requests for a window is each
    /// exporter's own choice; and since exporters close a window one after the other, a file that was read in between
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

    /// Captures of the executable at `path`.
    #[must_use]
    pub fn events_of(&self, path: &str) -> u64 {
        self.paths.get(path).copied().unwrap_or_default()
    }
}

/// The file of a frame; `None` if no file backs the code.
fn file_of(frame: &Frame) -> Option<&str> {
    let named = || frame.functions.iter().map(String::as_str).find(|name| name.starts_with('/'));
    frame.mapping.as_ref().map(|mapping| mapping.filename.as_str()).or_else(named)
}
