//! Reads profiles as OTLP JSON lines: one export request a line.
//!
//! Written against the OTLP specification and the documented attribute names, not with the exporter's own code, which
//! would forgive its own mistakes.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::sync::Arc;

use serde::Deserialize;

use self::wire::{Dictionary, JsonRequest};

mod wire;

/// The contents of a file of profiles.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    /// Samples in file order, one for each timestamp.
    pub samples: Vec<Sample>,
    /// Losses by window: (start, duration) in ns.
    pub windows: BTreeMap<(u64, u64), Window>,
}

/// A capture of one stack.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The process that ran.
    pub resource: Arc<Resource>,
    /// `thread.name`.
    pub comm: Option<Arc<str>>,
    /// `thread.id`.
    pub tid: i64,
    /// `cpu.logical_number`.
    pub cpu: i64,
    /// Wall-clock time, ns.
    pub at: u64,
}

/// A profile's description of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// `process.pid`.
    pub pid: Option<u32>,
    /// `process.executable.path`.
    pub path: Option<String>,
    /// `process.creation.time`.
    pub creation_time: Option<String>,
    /// `procinfo.executable.own_path`.
    pub own_path: Option<String>,
    /// `procinfo.executable.state`.
    pub state: Option<String>,
    /// `procinfo.script.path`.
    pub script: Option<String>,
}

/// The losses of one window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// `profile.window.samples.expected`.
    pub expected: u64,
    /// `profile.window.samples.lost`.
    pub lost: u64,
    /// Losses by attribute: `profile.window.samples.lost.REASON`, `profile.window.records.lost.REASON`.
    pub reasons: BTreeMap<String, u64>,
}

/// The reason why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ProfilesError {
    /// The reader's error.
    #[error("cannot read the profiles")]
    Read(#[from] io::Error),
    /// A line is no export request.
    #[error("line {line} of the profiles is no OTLP/JSON request")]
    Json {
        /// The line's number, from 1.
        line: usize,
        /// The parser's error, with the place in the line.
        source: serde_json::Error,
    },
    /// An index points outside its table.
    #[error("line {line} of the profiles points outside its dictionary")]
    Index {
        /// The line's number, from 1.
        line: usize,
    },
}

impl Profiles {
    /// Reads all lines.
    ///
    /// # Errors
    /// See [`ProfilesError`].
    pub fn read(input: impl BufRead) -> Result<Self, ProfilesError> {
        let mut profiles = Self::default();
        for (index, line) in input.lines().enumerate() {
            let line_number = index + 1;
            let request: JsonRequest = serde_json::from_str(&line?)
                .map_err(|source| ProfilesError::Json { line: line_number, source })?;
            profiles.add(&request).ok_or(ProfilesError::Index { line: line_number })?;
        }
        Ok(profiles)
    }

    fn add(&mut self, request: &JsonRequest) -> Option<()> {
        let dictionary = &request.dictionary;
        for resource_profiles in &request.resource_profiles {
            let resource = Arc::new(resource_profiles.resource.read());
            for profile in resource_profiles.scope_profiles.iter().flat_map(|scope| &scope.profiles) {
                let mut window = Window::default();
                for attribute in dictionary.attributes(&profile.attribute_indices) {
                    let (key, value) = attribute?;
                    window.add(key, value.int());
                }
                // Every profile of a window repeats the same figures.
                self.windows.insert((profile.time_unix_nano, profile.duration_nano), window);
                for sample in &profile.samples {
                    self.add_sample(dictionary, &resource, sample)?;
                }
            }
        }
        Some(())
    }

    fn add_sample(
        &mut self,
        dictionary: &Dictionary,
        resource: &Arc<Resource>,
        sample: &wire::Sample,
    ) -> Option<()> {
        let (mut comm, mut tid, mut cpu) = (None, -1, -1);
        for attribute in dictionary.attributes(&sample.attribute_indices) {
            let (key, value) = attribute?;
            match key {
                "thread.name" => comm = value.text().map(Arc::from),
                "thread.id" => tid = value.int(),
                "cpu.logical_number" => cpu = value.int(),
                _ => {}
            }
        }
        self.samples.extend(sample.timestamps_unix_nano.iter().map(|at| Sample {
            resource: Arc::clone(resource),
            comm: comm.clone(),
            tid,
            cpu,
            at: at.unsigned(),
        }));
        Some(())
    }

    /// Samples lost in all windows.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.windows.values().map(|window| window.lost).sum()
    }
}

impl Window {
    fn add(&mut self, key: &str, value: i64) {
        let value = u64::try_from(value).unwrap_or_default();
        match key {
            "profile.window.samples.expected" => self.expected = value,
            "profile.window.samples.lost" => self.lost = value,
            _ if key.starts_with("profile.window.") => {
                self.reasons.insert(key.to_owned(), value);
            }
            _ => {}
        }
    }
}

impl wire::Resource {
    fn read(&self) -> Resource {
        let mut resource = Resource::default();
        for attribute in &self.attributes {
            let text = || attribute.value.text().map(str::to_owned);
            match attribute.key.as_str() {
                "process.pid" => resource.pid = u32::try_from(attribute.value.int()).ok(),
                "process.executable.path" => resource.path = text(),
                "process.creation.time" => resource.creation_time = text(),
                "procinfo.executable.own_path" => resource.own_path = text(),
                "procinfo.executable.state" => resource.state = text(),
                "procinfo.script.path" => resource.script = text(),
                _ => {}
            }
        }
        resource
    }
}

/// A 64-bit integer, which JSON has as a decimal string, and some writers as a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "wire::TextOrNumber")]
struct Long(i64);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A request of one process with one sample at two times, as an exporter writes it.
    pub(crate) const LINE: &str = r#"{"resourceProfiles":[{"resource":{"attributes":[
        {"key":"process.pid","value":{"intValue":"77"}},
        {"key":"process.executable.path","value":{"stringValue":"/bin/a"}}]},
        "scopeProfiles":[{"profiles":[{"timeUnixNano":"1000","durationNano":"500","attributeIndices":[2,3,4],
        "samples":[{"stackIndex":1,"attributeIndices":[1],"timestampsUnixNano":["1001","1400"]}]}]}]}],
        "dictionary":{"stringTable":["","thread.name","profile.window.samples.expected",
        "profile.window.samples.lost","profile.window.samples.lost.sample_ring_full"],
        "attributeTable":[{"value":{}},{"keyStrindex":1,"value":{"stringValue":"a"}},
        {"keyStrindex":2,"value":{"intValue":"9"}},{"keyStrindex":3,"value":{"intValue":"7"}},
        {"keyStrindex":4,"value":{"intValue":"7"}}]}}"#;

    fn read(text: &str) -> Result<Profiles, ProfilesError> {
        Profiles::read(text.replace('\n', "").as_bytes())
    }

    #[test]
    fn a_sample_for_each_timestamp_and_the_losses_of_the_window() {
        let profiles = read(LINE).unwrap();
        let times: Vec<u64> = profiles.samples.iter().map(|sample| sample.at).collect();
        assert_eq!(times, [1001, 1400]);
        assert_eq!(profiles.samples[0].comm.as_deref(), Some("a"));
        assert_eq!(profiles.samples[0].resource.pid, Some(77));
        assert_eq!(profiles.samples[0].resource.path.as_deref(), Some("/bin/a"));
        let window = &profiles.windows[&(1000, 500)];
        assert_eq!((window.expected, window.lost), (9, 7));
        assert_eq!(window.reasons["profile.window.samples.lost.sample_ring_full"], 7);
    }

    #[test]
    fn an_index_outside_its_table_is_an_error_that_names_the_line() {
        let error = read(&LINE.replace("\"attributeIndices\":[1]", "\"attributeIndices\":[9]")).unwrap_err();
        assert!(matches!(error, ProfilesError::Index { line: 1 }));
        assert!(matches!(read("{}x").unwrap_err(), ProfilesError::Json { line: 1, .. }));
    }

    proptest! {
        /// Any text is read or refused.
        #[test]
        fn any_text(at in 0..LINE.len(), text in "[\\[\\]{}\",0-9]{0,4}") {
            let mut line = LINE.replace('\n', "");
            if line.is_char_boundary(at) && at < line.len() {
                line.insert_str(at, &text);
            }
            let _ = read(&line);
        }
    }
}
