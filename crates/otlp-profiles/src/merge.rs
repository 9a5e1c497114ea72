//! Several requests merged to a few.

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::profiles::v1development as otlp;
use prost::Message as _;
use smallvec::SmallVec;

use crate::content::{Content, Profile, Sample, count};
use crate::dictionary::{Attribute, Dictionary, FileMapping, FrameLocation, Function, Line, SpanLink};
use crate::request::ProfilesRequest;
use crate::split::Splitter;

/// Makes few requests of many, each of at most `max_bytes` as protobuf before compression.
///
/// The new requests together have the same content: the same captures, each in a profile of its own window. Entries
/// that several dictionaries share are encoded once, and no dictionary has an entry twice or one that it does not use.
/// Resources keep their order and are not joined; a resource that is too large to stay whole is split as in
/// [`Windows`](crate::Windows).
///
/// A request that is none of [`Windows`](crate::Windows)' making, such as one with values that stand for several
/// timestamps or with attributes that refer to strings, is passed on as it is, after the others.
#[must_use]
pub fn merge(requests: &[ProfilesRequest], max_bytes: usize) -> Vec<ProfilesRequest> {
    if let [only] = requests
        && only.bytes.len() <= max_bytes
    {
        return vec![only.clone()];
    }
    let mut content = Content::default();
    let mut others = Vec::new();
    for request in requests {
        let before = content.lens();
        if add(request, &mut content).is_none() {
            content.truncate(before);
            others.push(request.clone());
        }
    }
    let mut merged = Splitter::default().requests(&content, max_bytes);
    merged.append(&mut others);
    merged
}

/// Adds the content of a request. `None` if something in the request has no place in [`Content`]; part of the request
/// may then have been added.
fn add(request: &ProfilesRequest, content: &mut Content) -> Option<()> {
    let before = content.lens();
    let ExportProfilesServiceRequest { resource_profiles, dictionary } = request.message().ok()?;
    let numbers = Numbers::new(&dictionary?, &mut content.dictionary)?;
    for resource in resource_profiles {
        let [scope] = <[_; 1]>::try_from(resource.scope_profiles).ok()?;
        let [profile] = <[_; 1]>::try_from(scope.profiles).ok()?;
        let (of, by) = (resource.resource?, scope.scope?);
        if of.attributes.iter().chain(&by.attributes).any(refers) {
            return None;
        }
        let blobs = &mut content.dictionary.blobs;
        let around = Profile {
            resource: blobs.intern(&of.encode_to_vec()),
            resource_schema: blobs.intern(resource.schema_url.as_bytes()),
            scope: blobs.intern(&by.encode_to_vec()),
            scope_schema: blobs.intern(scope.schema_url.as_bytes()),
            ..Profile::default()
        };
        add_profile(profile, around, &numbers, content)?;
    }
    // The number that stands beside the bytes must be theirs: those who count samples rely on it.
    let captures = content.lens().2.checked_sub(before.2)?;
    (captures as u64 == request.samples).then_some(())
}

fn add_profile(
    profile: otlp::Profile,
    around: Profile,
    numbers: &Numbers,
    content: &mut Content,
) -> Option<()> {
    let otlp::Profile { sample_type, samples, period_type, attribute_indices, .. } = profile;
    let plain = profile.profile_id.is_empty()
        && profile.dropped_attributes_count == 0
        && profile.original_payload_format.is_empty()
        && profile.original_payload.is_empty();
    let kind = |kind: otlp::ValueType| {
        Some((number(&numbers.strings, kind.type_strindex)?, number(&numbers.strings, kind.unit_strindex)?))
    };
    let of = count(content.profiles.len());
    // All samples have them, or none.
    let valued = samples.iter().any(|sample| !sample.values.is_empty());
    let profile = Profile {
        valued,
        sample_type: kind(sample_type?)?,
        period_type: kind(period_type?)?,
        period: profile.period,
        time: profile.time_unix_nano,
        duration: profile.duration_nano,
        attributes: numbers.list(&attribute_indices, &mut content.dictionary)?,
        ..around
    };
    content.profiles.push(profile);
    for sample in samples {
        let (stamps, values) = (&sample.timestamps_unix_nano, &sample.values);
        if values.len() != if valued { stamps.len() } else { 0 } || stamps.is_empty() {
            return None;
        }
        let stack = number(&numbers.stacks, sample.stack_index)?;
        let attributes = numbers.list(&sample.attribute_indices, &mut content.dictionary)?;
        let link = number(&numbers.links, sample.link_index)?;
        let sample = content.push(Sample { profile: of, stack, attributes, link });
        if valued {
            stamps.iter().zip(values).for_each(|(&at, &value)| content.capture_value(sample, at, value));
        } else {
            stamps.iter().for_each(|&at| content.capture(sample, at));
        }
    }
    plain.then_some(())
}

/// Numbers in the merged dictionary, by the numbers in one request's.
struct Numbers {
    strings: Vec<i32>,
    attributes: Vec<i32>,
    links: Vec<i32>,
    stacks: Vec<i32>,
}

impl Numbers {
    fn new(from: &otlp::ProfilesDictionary, into: &mut Dictionary) -> Option<Self> {
        let strings: Vec<i32> = from.string_table.iter().map(|text| into.string(text)).collect();
        let attributes = from.attribute_table.iter().map(|old| attribute(old, &strings, into));
        let attributes = attributes.collect::<Option<_>>()?;
        let mut numbers = Self { strings, attributes, links: Vec::new(), stacks: Vec::new() };
        let functions: Vec<i32> = all(&from.function_table, |old| numbers.function(old, into))?;
        let mappings = all(&from.mapping_table, |old| numbers.mapping(old, into))?;
        let locations = all(&from.location_table, |old| numbers.location(old, &mappings, &functions, into))?;
        numbers.links = all(&from.link_table, |old| {
            let (trace, span) = (into.blobs.intern(&old.trace_id), into.blobs.intern(&old.span_id));
            Some(into.links.intern(SpanLink { trace, span }))
        })?;
        let mut stack = Vec::new();
        numbers.stacks = all(&from.stack_table, |old| {
            stack.clear();
            for &old in &old.location_indices {
                stack.push(number(&locations, old)?);
            }
            Some(into.stacks.intern(&stack))
        })?;
        Some(numbers)
    }

    fn list(&self, old: &[i32], into: &mut Dictionary) -> Option<i32> {
        let list = all(old, |&old| number(&self.attributes, old))?;
        Some(into.lists.intern(&list))
    }

    fn function(&self, old: &otlp::Function, into: &mut Dictionary) -> Option<i32> {
        Some(into.functions.intern(Function {
            name: number(&self.strings, old.name_strindex)?,
            system_name: number(&self.strings, old.system_name_strindex)?,
            filename: number(&self.strings, old.filename_strindex)?,
            start_line: old.start_line,
        }))
    }

    fn mapping(&self, old: &otlp::Mapping, into: &mut Dictionary) -> Option<i32> {
        let attributes = self.list(&old.attribute_indices, into)?;
        Some(into.mappings.intern(FileMapping {
            start: old.memory_start,
            limit: old.memory_limit,
            offset: old.file_offset,
            filename: number(&self.strings, old.filename_strindex)?,
            attributes,
        }))
    }

    fn location(
        &self,
        old: &otlp::Location,
        mappings: &[i32],
        functions: &[i32],
        into: &mut Dictionary,
    ) -> Option<i32> {
        let line = |old: &otlp::Line| {
            let &otlp::Line { function_index, line, column } = old;
            Some(Line { function: number(functions, function_index)?, line, column })
        };
        let lines = old.lines.iter().map(line).collect::<Option<SmallVec<[Line; 4]>>>()?;
        let lines = into.lines.intern(&lines);
        let frame_type = match *old.attribute_indices {
            [] => 0,
            [attribute] => number(&self.attributes, attribute)?,
            _ => return None,
        };
        let mapping = number(mappings, old.mapping_index)?;
        Some(into.locations.intern(FrameLocation { mapping, address: old.address, lines, frame_type }))
    }
}

fn attribute(old: &otlp::KeyValueAndUnit, strings: &[i32], into: &mut Dictionary) -> Option<i32> {
    if old.value.as_ref().is_some_and(value_refers) {
        return None;
    }
    // The zero value has none, or an empty one.
    let value = old.value.as_ref().map(prost::Message::encode_to_vec).unwrap_or_default();
    let value = into.blobs.intern(&value);
    let (key, unit) = (number(strings, old.key_strindex)?, number(strings, old.unit_strindex)?);
    Some(into.attributes.intern(Attribute { key, value, unit }))
}

/// True if an attribute refers to a string of its request's dictionary, which has another number in the merged one.
fn refers(attribute: &KeyValue) -> bool {
    attribute.key_strindex != 0 || attribute.value.as_ref().is_some_and(value_refers)
}

/// True if a value refers to a string of its request's dictionary. The recursion is no deeper than the decoder's.
fn value_refers(value: &AnyValue) -> bool {
    match &value.value {
        Some(Value::StringValueStrindex(_)) => true,
        Some(Value::ArrayValue(array)) => array.values.iter().any(value_refers),
        Some(Value::KvlistValue(list)) => list.values.iter().any(refers),
        _ => false,
    }
}

/// The number in the merged dictionary of a request's entry; `None` if there is no such entry.
fn number(numbers: &[i32], old: i32) -> Option<i32> {
    crate::table::entry(numbers, old).copied()
}

fn all<T>(entries: &[T], number: impl FnMut(&T) -> Option<i32>) -> Option<Vec<i32>> {
    entries.iter().map(number).collect()
}
