//! Output: the tables checked, and samples with every index followed.

use std::collections::HashSet;
use std::fmt::Debug;

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::profiles::v1development::*;

use crate::{ProfilesRequest, Windows};
use pdata::{Batch, Watermark};

/// One timestamp of one sample with all its attributes, in text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Capture {
    pub(super) resource: Vec<String>,
    pub(super) frames: Vec<String>,
    pub(super) attributes: Vec<String>,
    pub(super) profile: Vec<String>,
    pub(super) at: u64,
    pub(super) value: Option<i64>,
}

/// All captures of a request, one entry a timestamp, sorted.
pub(super) fn captures(request: &ExportProfilesServiceRequest) -> Vec<Capture> {
    let tables = request.dictionary.as_ref().unwrap();
    let mut captures = Vec::new();
    for (resource, profile) in profiles(request) {
        let resource: Vec<String> =
            resource.resource.as_ref().unwrap().attributes.iter().map(key_value).collect();
        let head = head(profile, tables);
        for sample in &profile.samples {
            let stack = &tables.stack_table[index(sample.stack_index)];
            for (n, &at) in sample.timestamps_unix_nano.iter().enumerate() {
                captures.push(Capture {
                    resource: resource.clone(),
                    frames: stack.location_indices.iter().map(|&at| location(at, tables)).collect(),
                    attributes: attributes(&sample.attribute_indices, tables),
                    profile: head.clone(),
                    at,
                    value: sample.values.get(n).copied(),
                });
            }
        }
    }
    captures.sort();
    captures
}

pub(super) fn profiles(
    request: &ExportProfilesServiceRequest,
) -> impl Iterator<Item = (&ResourceProfiles, &Profile)> {
    request.resource_profiles.iter().flat_map(|resource| {
        let scopes = resource.scope_profiles.iter();
        scopes.flat_map(|scope| &scope.profiles).map(move |profile| (resource, profile))
    })
}

fn head(profile: &Profile, tables: &ProfilesDictionary) -> Vec<String> {
    let kind = |kind: &Option<ValueType>| {
        let kind = kind.as_ref().unwrap();
        let name = |at| &tables.string_table[index(at)];
        format!("{}/{}", name(kind.type_strindex), name(kind.unit_strindex))
    };
    let mut head = attributes(&profile.attribute_indices, tables);
    head.push(format!(
        "{} per {} {}",
        kind(&profile.sample_type),
        profile.period,
        kind(&profile.period_type)
    ));
    head.push(format!("{} + {}", profile.time_unix_nano, profile.duration_nano));
    head
}

/// `key=value` of each attribute, in order.
pub(super) fn attributes(indices: &[i32], tables: &ProfilesDictionary) -> Vec<String> {
    let name = |attribute: &KeyValueAndUnit| &tables.string_table[index(attribute.key_strindex)];
    let one = |attribute| format!("{}={}", name(attribute), value(attribute.value.as_ref()));
    indices.iter().map(|&at| one(&tables.attribute_table[index(at)])).collect()
}

/// A location as `address function mapping{...} attributes`.
pub(super) fn location(at: i32, tables: &ProfilesDictionary) -> String {
    let location = &tables.location_table[index(at)];
    let text = |at: i32| &tables.string_table[index(at)];
    let name = |line: &Line| {
        let name = text(tables.function_table[index(line.function_index)].name_strindex);
        if line.line == 0 { format!(" {name}") } else { format!(" {name}:{}", line.line) }
    };
    let names = location.lines.iter().map(name).collect::<String>();
    let mapping = match location.mapping_index {
        0 => String::new(),
        at => {
            let mapping = &tables.mapping_table[index(at)];
            format!(
                " {}{{{:x}-{:x}@{:x} {:?}}}",
                text(mapping.filename_strindex),
                mapping.memory_start,
                mapping.memory_limit,
                mapping.file_offset,
                attributes(&mapping.attribute_indices, tables),
            )
        }
    };
    format!("{:x}{names}{mapping} {:?}", location.address, attributes(&location.attribute_indices, tables))
}

pub(super) fn key_value(pair: &KeyValue) -> String {
    format!("{}={}", pair.key, value(pair.value.as_ref()))
}

fn value(value: Option<&AnyValue>) -> String {
    match value.unwrap().value.as_ref().unwrap() {
        any_value::Value::StringValue(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

pub(super) fn index(at: i32) -> usize {
    usize::try_from(at).unwrap()
}

/// Runs batches through windows and returns all requests. The last batch should end the stream.
pub(super) fn run(windows: &mut Windows, batches: &[Batch]) -> Vec<ProfilesRequest> {
    batches.iter().flat_map(|batch| windows.push(batch).requests).collect()
}

/// The one request of batches in one window.
pub(super) fn only_request(batches: &[Batch]) -> ExportProfilesServiceRequest {
    let mut windows = Windows::new(std::time::Duration::from_secs(5), usize::MAX);
    let mut requests = run(&mut windows, batches);
    assert_eq!(requests.len(), 1);
    assert_eq!(batches.last().unwrap().watermark, Watermark::END);
    requests.remove(0).message().unwrap()
}

/// Asserts that each table starts with its zero value, has no entry twice and none that is unused,
/// that no attribute key stands twice in a list and no two samples of a profile have one identity.
pub(super) fn check_tables(request: &ExportProfilesServiceRequest) {
    let tables = request.dictionary.as_ref().unwrap();
    no_duplicates(&tables.mapping_table);
    no_duplicates(&tables.location_table);
    no_duplicates(&tables.function_table);
    no_duplicates(&tables.link_table);
    no_duplicates(&tables.string_table);
    no_duplicates(&tables.attribute_table);
    no_duplicates(&tables.stack_table);
    assert_eq!(tables.link_table, [Link::default()]);
    let mut used = Used::default();
    for (_, profile) in profiles(request) {
        let identities: HashSet<_> = profile
            .samples
            .iter()
            .map(|sample| {
                let mut attributes = sample.attribute_indices.clone();
                attributes.sort_unstable();
                (sample.stack_index, attributes, sample.link_index)
            })
            .collect();
        assert_eq!(identities.len(), profile.samples.len(), "two samples with one identity");
        used.profile(profile, tables);
    }
    used.check(tables);
}

fn no_duplicates<T: Debug + Default + PartialEq>(table: &[T]) {
    assert_eq!(table.first(), Some(&T::default()), "the zero value comes first");
    let texts: HashSet<String> = table.iter().map(|entry| format!("{entry:?}")).collect();
    assert_eq!(texts.len(), table.len(), "an entry stands twice");
}

#[derive(Default)]
struct Used {
    mappings: HashSet<i32>,
    locations: HashSet<i32>,
    functions: HashSet<i32>,
    strings: HashSet<i32>,
    attributes: HashSet<i32>,
    stacks: HashSet<i32>,
}

impl Used {
    fn profile(&mut self, profile: &Profile, tables: &ProfilesDictionary) {
        for kind in [profile.sample_type.unwrap(), profile.period_type.unwrap()] {
            self.strings.extend([kind.type_strindex, kind.unit_strindex]);
        }
        self.attributes(&profile.attribute_indices, tables);
        for sample in &profile.samples {
            let (times, values) = (sample.timestamps_unix_nano.len(), sample.values.len());
            let kind = &tables.string_table[index(profile.sample_type.unwrap().type_strindex)];
            assert!(times > 0 && values == if kind == "off_cpu" { times } else { 0 }, "{kind}: {sample:?}");
            self.attributes(&sample.attribute_indices, tables);
            assert_ne!(sample.stack_index, 0);
            if self.stacks.insert(sample.stack_index) {
                for &at in &tables.stack_table[index(sample.stack_index)].location_indices {
                    self.location(at, tables);
                }
            }
        }
    }

    fn location(&mut self, at: i32, tables: &ProfilesDictionary) {
        let location = &tables.location_table[index(at)];
        self.locations.insert(at);
        self.attributes(&location.attribute_indices, tables);
        for line in &location.lines {
            let function = tables.function_table[index(line.function_index)];
            self.functions.insert(line.function_index);
            assert_ne!(function.name_strindex, 0);
            let names = [function.name_strindex, function.system_name_strindex, function.filename_strindex];
            self.strings.extend(names);
        }
        assert!(location.mapping_index != 0 || !location.lines.is_empty(), "says nothing of the code");
        if location.mapping_index != 0 {
            let mapping = &tables.mapping_table[index(location.mapping_index)];
            self.mappings.insert(location.mapping_index);
            assert!(!mapping.attribute_indices.is_empty(), "no build ID");
            self.strings.insert(mapping.filename_strindex);
            self.attributes(&mapping.attribute_indices, tables);
            let within = mapping.memory_start..mapping.memory_limit;
            assert!(within.contains(&location.address), "{:x} in {within:x?}", location.address);
        }
    }

    fn attributes(&mut self, indices: &[i32], tables: &ProfilesDictionary) {
        let keys: HashSet<i32> =
            indices.iter().map(|&at| tables.attribute_table[index(at)].key_strindex).collect();
        assert_eq!(keys.len(), indices.len(), "a key stands twice");
        self.strings.extend(keys);
        self.attributes.extend(indices);
    }

    /// Every index was followed above, so all are in range; it remains to check that none is
    /// missing.
    fn check(mut self, tables: &ProfilesDictionary) {
        for (name, set, len) in [
            ("mappings", &mut self.mappings, tables.mapping_table.len()),
            ("locations", &mut self.locations, tables.location_table.len()),
            ("functions", &mut self.functions, tables.function_table.len()),
            ("strings", &mut self.strings, tables.string_table.len()),
            ("attributes", &mut self.attributes, tables.attribute_table.len()),
            ("stacks", &mut self.stacks, tables.stack_table.len()),
        ] {
            set.insert(0);
            assert_eq!(set.len(), len, "unused {name}");
        }
    }
}
