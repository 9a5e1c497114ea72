//! A part of a request: the profiles and samples in it, and its size in bytes.

use std::ops::Range;

use crate::columns::Columns;
use crate::content::{Content, Order, Profile, Sample, at};
use crate::dictionary::Dictionary;
use crate::table::recycle;
use crate::wire::{bytes_field, fixed64_field, index_field, list_field, uint_field, varint_len};

/// A profile in a part.
#[derive(Clone, Debug)]
pub(crate) struct PartProfile {
    /// Number of the profile in the content.
    pub(crate) number: u32,
    /// Range of the profile's samples among the part's.
    pub(crate) samples: Range<usize>,
    /// Bytes of the numbers of the profile's attributes.
    pub(crate) attributes_len: usize,
    /// Bytes of the profile without its samples.
    head_len: usize,
    /// Bytes of the samples, as fields of the profile.
    samples_len: usize,
    /// Bytes of the scope's message without the profile.
    scope_len: usize,
    /// Bytes of the resource's message without the scope.
    resource_len: usize,
}

impl PartProfile {
    /// Bytes of the `Profile`.
    pub(crate) fn profile_len(&self) -> usize {
        self.head_len + self.samples_len
    }

    /// Bytes of the `ScopeProfiles`.
    pub(crate) fn scope_len(&self) -> usize {
        self.scope_len + bytes_field(self.profile_len())
    }

    /// Bytes of the `ResourceProfiles`.
    pub(crate) fn resource_len(&self) -> usize {
        self.resource_len + bytes_field(self.scope_len())
    }
}

/// A sample in a part.
#[derive(Clone, Debug)]
pub(crate) struct PartSample {
    /// Number of the sample in the content.
    pub(crate) number: u32,
    /// Range of the sample's timestamps among all sorted timestamps.
    pub(crate) stamps: Range<usize>,
    /// Bytes of the numbers of the sample's attributes.
    pub(crate) attributes_len: usize,
    /// Bytes of the sample's values; 0 if it has none.
    pub(crate) values_len: usize,
    /// Bytes of the `Sample`.
    pub(crate) len: usize,
}

/// A part that is being put together. Once emptied, it keeps its memory.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) columns: Columns,
    pub(crate) profiles: Vec<PartProfile>,
    pub(crate) samples: Vec<PartSample>,
    /// Bytes of all profiles but the last, as fields of the request.
    profiles_len: usize,
}

/// A state that a part can go back to.
#[derive(Debug)]
pub(crate) struct Mark {
    columns: [usize; 7],
    profiles: usize,
    samples: usize,
    profiles_len: usize,
    samples_len: usize,
}

impl Part {
    /// Forgets all profiles of the part.
    pub(crate) fn clear(&mut self) {
        self.columns.clear();
        recycle(&mut self.profiles);
        recycle(&mut self.samples);
        self.profiles_len = 0;
    }

    /// Bytes of the request.
    pub(crate) fn len(&self) -> usize {
        let last = self.profiles.last().map_or(0, |profile| bytes_field(profile.resource_len()));
        self.profiles_len + last + bytes_field(self.columns.bytes())
    }

    /// Captures in the part.
    pub(crate) fn captures(&self) -> u64 {
        self.samples.iter().map(|sample| sample.stamps.len() as u64).sum()
    }

    /// Begins a profile.
    pub(crate) fn begin(&mut self, number: u32, content: &Content) {
        let Some(profile) = at(&content.profiles, number) else { return };
        self.profiles_len += self.profiles.last().map_or(0, |last| bytes_field(last.resource_len()));
        let tables = &content.dictionary;
        let types = [profile.sample_type, profile.period_type].map(|(kind, unit)| {
            let kind = index_field(self.columns.string(kind, tables));
            bytes_field(kind + index_field(self.columns.string(unit, tables)))
        });
        let attributes_len = self.columns.list(profile.attributes, tables);
        let times = fixed64_field(profile.time) + uint_field(profile.duration);
        let period = uint_field(profile.period.cast_unsigned());
        let head_len = types.iter().sum::<usize>() + times + period + list_field(attributes_len);
        let (resource_len, scope_len) = around(profile, tables);
        let samples = self.samples.len()..self.samples.len();
        let profile = PartProfile {
            number,
            samples,
            attributes_len,
            head_len,
            samples_len: 0,
            scope_len,
            resource_len,
        };
        self.profiles.push(profile);
    }

    /// Adds a sample of the last profile with a range of the sample's timestamps.
    pub(crate) fn add(&mut self, number: u32, stamps: Range<usize>, content: &Content, order: &Order) {
        let (Some(&sample), Some(profile)) = (at(&content.samples, number), self.profiles.last_mut()) else {
            return;
        };
        let Sample { stack, attributes, link, .. } = sample;
        let values = if content.is_valued(&sample) { order.values(stamps.clone()) } else { &[] };
        let values_len = values.iter().map(|value| varint_len(value.cast_unsigned())).sum();
        let tables = &content.dictionary;
        let stack = index_field(self.columns.stack(stack, tables));
        let link = index_field(self.columns.link(link, tables));
        let attributes_len = self.columns.list(attributes, tables);
        let captures = list_field(values_len) + list_field(stamps.len() * 8);
        let len = stack + list_field(attributes_len) + link + captures;
        profile.samples_len += bytes_field(len);
        self.samples.push(PartSample { number, stamps, attributes_len, values_len, len });
        profile.samples.end = self.samples.len();
    }

    /// The part's state, to go back to.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            columns: self.columns.lens(),
            profiles: self.profiles.len(),
            samples: self.samples.len(),
            profiles_len: self.profiles_len,
            samples_len: self.profiles.last().map_or(0, |profile| profile.samples_len),
        }
    }

    /// Goes back to an earlier state.
    pub(crate) fn rewind(&mut self, mark: &Mark) {
        self.columns.truncate(&mark.columns);
        self.profiles.truncate(mark.profiles);
        self.samples.truncate(mark.samples);
        self.profiles_len = mark.profiles_len;
        if let Some(last) = self.profiles.last_mut() {
            last.samples_len = mark.samples_len;
            last.samples.end = mark.samples;
        }
    }

    /// True if the last profile has a sample.
    pub(crate) fn has_begun(&self) -> bool {
        self.profiles.last().is_some_and(|profile| !profile.samples.is_empty())
    }

    /// Adds a profile with all its samples, if the part then takes at most `max_bytes`.
    pub(crate) fn add_profile(
        &mut self,
        number: u32,
        content: &Content,
        order: &Order,
        max_bytes: usize,
    ) -> bool {
        let mark = self.mark();
        self.begin(number, content);
        for &sample in order.samples(number) {
            self.add(sample, order.range(sample), content, order);
            if self.len() > max_bytes {
                self.rewind(&mark);
                return false;
            }
        }
        true
    }
}

/// Bytes of the resource's message without its scope, and of the scope's without its profile.
fn around(profile: &Profile, tables: &Dictionary) -> (usize, usize) {
    let message = |blob| bytes_field(tables.blobs.get(blob).len());
    let text = |blob| list_field(tables.blobs.get(blob).len());
    let resource = message(profile.resource) + text(profile.resource_schema);
    (resource, message(profile.scope) + text(profile.scope_schema))
}
