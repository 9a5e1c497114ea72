//! What the indices of a request stand for. An index that points nowhere stands for nothing.

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::profiles::v1development::{
    Function, KeyValueAndUnit, Link, Location, Mapping, Profile, ProfilesDictionary, ResourceProfiles,
    Sample, Stack,
};

/// Looks things up in a dictionary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lookup<'a>(pub(crate) &'a ProfilesDictionary);

impl<'a> Lookup<'a> {
    /// A string; empty if there is none.
    pub(crate) fn string(self, index: i32) -> &'a str {
        entry(&self.0.string_table, index).map_or("", String::as_str)
    }

    pub(crate) fn location(self, index: i32) -> Option<&'a Location> {
        some(&self.0.location_table, index)
    }

    pub(crate) fn mapping(self, index: i32) -> Option<&'a Mapping> {
        some(&self.0.mapping_table, index)
    }

    pub(crate) fn function(self, index: i32) -> Option<&'a Function> {
        some(&self.0.function_table, index)
    }

    pub(crate) fn link(self, index: i32) -> Option<&'a Link> {
        some(&self.0.link_table, index)
    }

    /// Locations of a stack, leaf first, with their indices.
    pub(crate) fn stack(self, index: i32) -> impl DoubleEndedIterator<Item = (i32, &'a Location)> {
        let locations =
            entry(&self.0.stack_table, index).map_or(&[][..], |stack: &Stack| &stack.location_indices);
        locations.iter().filter_map(move |&index| Some((index, self.location(index)?)))
    }

    pub(crate) fn attributes(self, indices: &'a [i32]) -> impl Iterator<Item = &'a KeyValueAndUnit> {
        indices.iter().filter_map(move |&index| some(&self.0.attribute_table, index))
    }

    /// The text of the attribute with this key.
    pub(crate) fn text(self, indices: &'a [i32], key: &str) -> Option<&'a str> {
        let attribute =
            self.attributes(indices).find(|attribute| self.string(attribute.key_strindex) == key)?;
        self.text_of(attribute.value.as_ref()?)
    }

    /// A value that is text.
    pub(crate) fn text_of(self, value: &'a AnyValue) -> Option<&'a str> {
        match value.value.as_ref()? {
            Value::StringValue(text) => Some(text),
            Value::StringValueStrindex(index) => Some(self.string(*index)),
            _ => None,
        }
    }
}

/// Every profile with the resource it is of.
pub(crate) fn profiles(
    resources: &[ResourceProfiles],
) -> impl Iterator<Item = (&ResourceProfiles, &Profile)> {
    resources.iter().flat_map(|resource| {
        let scopes = resource.scope_profiles.iter();
        scopes.flat_map(move |scope| scope.profiles.iter().map(move |profile| (resource, profile)))
    })
}

/// The count of a sample: its events, or the sum of its values if it has any.
pub(crate) fn value(sample: &Sample) -> i64 {
    if sample.values.is_empty() {
        return i64::try_from(sample.timestamps_unix_nano.len()).unwrap_or(i64::MAX);
    }
    sample.values.iter().fold(0, |sum, &value| sum.saturating_add(value))
}

/// How often a sample was taken: its events, or what its values say if it has none.
pub(crate) fn events(sample: &Sample) -> i64 {
    match sample.timestamps_unix_nano.len() {
        0 => value(sample),
        count => i64::try_from(count).unwrap_or(i64::MAX),
    }
}

/// Value of a resource's attribute, if it is text.
pub(crate) fn resource_text<'a>(resource: &'a ResourceProfiles, key: &str) -> Option<&'a str> {
    let attributes = &resource.resource.as_ref()?.attributes;
    match attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// An entry; the first one, which stands for nothing, is left out.
fn some<T>(table: &[T], index: i32) -> Option<&T> {
    entry(table, index).filter(|_| index != 0)
}

fn entry<T>(table: &[T], index: i32) -> Option<&T> {
    table.get(usize::try_from(index).ok()?)
}
