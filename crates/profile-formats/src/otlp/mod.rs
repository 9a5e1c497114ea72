//! A profile as an OTLP request (`opentelemetry.proto.profiles.v1development`, schema 1.10): as protobuf, or as a line
//! of OTLP/JSON. A process is a resource, with a profile for each kind of value.

mod dictionary;
#[cfg(test)]
mod tests;

use indexmap::IndexMap;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::profiles::v1development as wire;
use opentelemetry_proto::tonic::resource::v1::Resource;
use otlp_profiles::attributes;
use prost::Message as _;

use self::dictionary::{Dictionary, value};
use crate::facts::{self, FactValue};
use crate::model::{Amount, Capture, Process, Profile, SampleKey, ValueType};
use crate::table::Id;

/// The name of the instrumentation scope.
const SCOPE: &str = "pipeline";

/// Appends a profile as one protobuf message.
pub fn write(profile: &Profile, out: &mut Vec<u8>) {
    out.extend_from_slice(&request(profile).encode_to_vec());
}

/// Appends a profile as one line of OTLP/JSON, as exporters put them into files.
pub fn write_json(profile: &Profile, out: &mut Vec<u8>) {
    otlp_profiles::json::write_request(&request(profile), out);
    out.push(b'\n');
}

/// Samples grouped by process, which is a resource, and by kind of value, which is a profile.
type Groups<'a> =
    IndexMap<Option<Id<Process>>, IndexMap<Id<ValueType>, Vec<(&'a SampleKey, Amount, &'a [Capture])>>>;

fn request(profile: &Profile) -> ExportProfilesServiceRequest {
    let mut captures = profile.captures.clone();
    captures.sort_by_key(|capture| capture.sample);
    let mut dictionary = Dictionary::new(&profile.tables);
    let losses = losses(profile, &mut dictionary);
    let mut resource_profiles = Vec::new();
    for (process, by_type) in groups(profile, &captures) {
        let profiles = by_type.into_iter().map(|(value_type, samples)| {
            let attribute_indices = losses.clone();
            wire::Profile { attribute_indices, ..of_type(profile, value_type, &samples, &mut dictionary) }
        });
        let scope_profiles = vec![wire::ScopeProfiles {
            scope: Some(InstrumentationScope { name: SCOPE.to_owned(), ..InstrumentationScope::default() }),
            profiles: profiles.collect(),
            ..wire::ScopeProfiles::default()
        }];
        let resource = Some(resource(profile, process));
        resource_profiles.push(wire::ResourceProfiles { resource, scope_profiles, ..Default::default() });
    }
    ExportProfilesServiceRequest { resource_profiles, dictionary: Some(dictionary.message) }
}

fn groups<'a>(profile: &'a Profile, captures: &'a [Capture]) -> Groups<'a> {
    let mut groups = Groups::new();
    for (number, (key, amount)) in profile.samples.iter().enumerate() {
        let thread = key.thread.and_then(|thread| profile.tables.threads.get(thread));
        let id = Id::of_index(number);
        let from = captures.partition_point(|capture| capture.sample < id);
        let until = captures.partition_point(|capture| capture.sample <= id);
        let of_sample = captures.get(from..until).unwrap_or_default();
        let process = thread.and_then(|thread| thread.process);
        groups.entry(process).or_default().entry(key.value_type).or_default().push((key, amount, of_sample));
    }
    groups
}

fn resource(profile: &Profile, process: Option<Id<Process>>) -> Resource {
    let process = process.and_then(|id| profile.tables.processes.get(id));
    let facts = process.map(|process| facts::of_process(process, &profile.tables)).unwrap_or_default();
    let attributes = facts.into_iter().map(|fact| KeyValue {
        key: fact.key.to_owned(),
        value: Some(value(&fact.value)),
        ..KeyValue::default()
    });
    Resource { attributes: attributes.collect(), ..Resource::default() }
}

fn of_type<'a>(
    profile: &'a Profile,
    value_type: Id<ValueType>,
    samples: &[(&SampleKey, Amount, &[Capture])],
    dictionary: &mut Dictionary<'a>,
) -> wire::Profile {
    let tables = &profile.tables;
    let mut kind = |(kind, unit): (Id<str>, Id<str>)| wire::ValueType {
        type_strindex: dictionary.text(tables.text(kind)),
        unit_strindex: dictionary.text(tables.text(unit)),
    };
    let found = tables.value_types.get(value_type);
    let sample_type = found.map(|found| kind((found.kind, found.unit)));
    let period_type = found.and_then(|found| found.period_type).map(kind);
    let period = found.map_or(0, |found| found.period);
    let mut written = Vec::with_capacity(samples.len());
    for &(key, amount, captures) in samples {
        let base = wire::Sample {
            stack_index: dictionary.stack(key.stack),
            attribute_indices: dictionary.facts(facts::of_sample(key, tables)),
            ..wire::Sample::default()
        };
        written.extend(timed(&base, captures));
        written.extend(untimed(&base, amount, captures));
    }
    wire::Profile {
        sample_type,
        samples: written,
        time_unix_nano: profile.start.as_nanos(),
        duration_nano: profile.end.as_nanos().saturating_sub(profile.start.as_nanos()),
        period_type,
        period,
        ..wire::Profile::default()
    }
}

/// The captures of a sample that have an instant: each counts 1, or has a value.
fn timed(base: &wire::Sample, captures: &[Capture]) -> Option<wire::Sample> {
    let counts = captures.iter().all(|capture| capture.value == 1);
    let values = captures.iter().map(|capture| capture.value).filter(|_| !counts).collect();
    let timestamps_unix_nano = captures.iter().map(|capture| capture.at.as_nanos()).collect();
    (!captures.is_empty()).then(|| wire::Sample { values, timestamps_unix_nano, ..base.clone() })
}

/// The captures of a sample without an instant, as one value.
fn untimed(base: &wire::Sample, amount: Amount, captures: &[Capture]) -> Option<wire::Sample> {
    let timed = captures.iter().fold(0_i64, |sum, capture| sum.saturating_add(capture.value));
    let rest = amount.value.saturating_sub(timed);
    let is_left = amount.count > captures.len() as u64 || rest != 0;
    is_left.then(|| wire::Sample { values: vec![rest], ..base.clone() })
}

/// The losses, as attributes of every profile.
fn losses<'a>(profile: &'a Profile, dictionary: &mut Dictionary<'a>) -> Vec<i32> {
    if profile.losses.is_empty() {
        return Vec::new();
    }
    let int = |count: u64| FactValue::Int(i64::try_from(count).unwrap_or(i64::MAX));
    let lost = profile.samples_lost();
    let expected = profile.samples.captured().saturating_add(lost);
    let mut named = vec![
        (attributes::WINDOW_SAMPLES_EXPECTED.to_owned(), expected),
        (attributes::WINDOW_SAMPLES_LOST.to_owned(), lost),
    ];
    for (reason, loss) in &profile.losses {
        let prefix = if loss.samples {
            attributes::WINDOW_SAMPLES_LOST_BY
        } else {
            attributes::WINDOW_RECORDS_LOST_BY
        };
        named.push((format!("{prefix}{reason}"), loss.count));
    }
    named.into_iter().map(|(key, count)| dictionary.fact_of(&key, int(count))).collect()
}
