//! Profiles as they are gathered: samples by identity, and one log of the time of every capture.

use std::ops::Range;

use crate::dictionary::Dictionary;
use crate::table::recycle;

/// The profiles of one or more requests, and the dictionary they share.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) dictionary: Dictionary,
    pub(crate) profiles: Vec<Profile>,
    pub(crate) samples: Vec<Sample>,
    /// The number of the sample of each capture, in order of arrival.
    captured: Vec<u32>,
    /// Time of each capture, nanoseconds since the epoch.
    stamps: Vec<u64>,
    /// Value of each capture, 0 in a profile without values; empty until there is a profile with values.
    values: Vec<i64>,
}

/// A profile without its samples, and the resource and scope that enclose it alone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Profile {
    /// Blob: a `Resource`.
    pub(crate) resource: i32,
    /// Blob: schema URL of the resource.
    pub(crate) resource_schema: i32,
    /// Blob: an `InstrumentationScope`.
    pub(crate) scope: i32,
    /// Blob: schema URL of the scope.
    pub(crate) scope_schema: i32,
    /// Strings: type and unit of the samples' values.
    pub(crate) sample_type: (i32, i32),
    /// Strings: type and unit of the period.
    pub(crate) period_type: (i32, i32),
    pub(crate) period: i64,
    /// True if each timestamp of a sample has a value beside it; else each timestamp stands for a period.
    pub(crate) valued: bool,
    /// Start, nanoseconds since the epoch.
    pub(crate) time: u64,
    /// Length of the window in nanoseconds.
    pub(crate) duration: u64,
    /// List of attributes.
    pub(crate) attributes: i32,
}

/// A sample without its times: its identity within a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sample {
    /// Number of the sample's profile in [`Content::profiles`].
    pub(crate) profile: u32,
    pub(crate) stack: i32,
    /// List of attributes.
    pub(crate) attributes: i32,
    pub(crate) link: i32,
}

impl Content {
    /// Forgets all profiles and their dictionary.
    pub(crate) fn clear(&mut self) {
        self.dictionary.clear();
        recycle(&mut self.profiles);
        recycle(&mut self.samples);
        recycle(&mut self.captured);
        recycle(&mut self.stamps);
        recycle(&mut self.values);
    }

    /// Adds a sample that differs from all others. Returns its number.
    pub(crate) fn push(&mut self, sample: Sample) -> u32 {
        let number = count(self.samples.len());
        self.samples.push(sample);
        number
    }

    /// Notes that a sample of a profile without values was taken.
    pub(crate) fn capture(&mut self, sample: u32, at: u64) {
        self.captured.push(sample);
        self.stamps.push(at);
        if !self.values.is_empty() {
            self.values.push(0);
        }
    }

    /// Notes that a sample of a profile with values was taken.
    pub(crate) fn capture_value(&mut self, sample: u32, at: u64, value: i64) {
        self.values.resize(self.stamps.len(), 0);
        self.captured.push(sample);
        self.stamps.push(at);
        self.values.push(value);
    }

    /// Takes back whatever was added after there were as many profiles, samples and captures.
    pub(crate) fn truncate(&mut self, (profiles, samples, captures): (usize, usize, usize)) {
        self.profiles.truncate(profiles);
        self.samples.truncate(samples);
        self.captured.truncate(captures);
        self.stamps.truncate(captures);
        self.values.truncate(captures);
    }

    /// Number of profiles, of samples and of captures.
    pub(crate) fn lens(&self) -> (usize, usize, usize) {
        (self.profiles.len(), self.samples.len(), self.stamps.len())
    }

    /// The number of the sample and the time of each capture.
    pub(crate) fn captures(&self) -> impl ExactSizeIterator<Item = (u32, u64)> + Clone + '_ {
        self.captured.iter().copied().zip(self.stamps.iter().copied())
    }

    /// The number of the sample and the value of each capture; none as long as no profile has values.
    fn captured_values(&self) -> impl ExactSizeIterator<Item = (u32, i64)> + Clone + '_ {
        self.captured.iter().copied().zip(self.values.iter().copied())
    }

    /// True if the captures of a sample have values.
    pub(crate) fn is_valued(&self, sample: &Sample) -> bool {
        at(&self.profiles, sample.profile).is_some_and(|profile| profile.valued)
    }

    /// Replaces the stack of each sample by its new number, and joins samples that are the same then.
    pub(crate) fn restack(&mut self, stacks: &[i32]) {
        self.change_samples(|sample, _| {
            let stack = crate::table::entry(stacks, sample.stack).copied().unwrap_or_default();
            Sample { stack, ..sample }
        });
    }

    /// Changes each sample, and joins samples that are the same then.
    pub(crate) fn change_samples(&mut self, mut change: impl FnMut(Sample, &mut Dictionary) -> Sample) {
        let old = std::mem::take(&mut self.samples);
        let mut numbers = rustc_hash::FxHashMap::default();
        let mut renumbered = Vec::with_capacity(old.len());
        for sample in old {
            let sample = change(sample, &mut self.dictionary);
            renumbered.push(*numbers.entry(sample).or_insert_with(|| self.push(sample)));
        }
        for sample in &mut self.captured {
            *sample = at(&renumbered, *sample).copied().unwrap_or_default();
        }
    }
}

/// Samples sorted by profile and captures by sample, both else in order of arrival. Kept for its memory.
#[derive(Debug, Default)]
pub(crate) struct Order {
    samples: Vec<u32>,
    /// End of each profile's samples in `samples`.
    sample_ends: Vec<usize>,
    stamps: Vec<u64>,
    /// End of each sample's timestamps in `stamps`.
    stamp_ends: Vec<usize>,
    /// Values in the order of `stamps`; empty if no profile has values.
    values: Vec<i64>,
    /// End of each sample's values in `values`: like `stamp_ends`, or empty if there are no values.
    value_ends: Vec<usize>,
}

impl Order {
    /// Sorts the samples and captures of `content`.
    pub(crate) fn sort(&mut self, content: &Content) {
        let profiles = content.samples.iter().map(|sample| sample.profile);
        let samples = (0..count(content.samples.len())).zip(profiles).map(|(number, of)| (of, number));
        distribute(samples, content.profiles.len(), &mut self.samples, &mut self.sample_ends);
        let count = content.samples.len();
        distribute(content.captures(), count, &mut self.stamps, &mut self.stamp_ends);
        distribute(content.captured_values(), count, &mut self.values, &mut self.value_ends);
    }

    /// The numbers of a profile's samples.
    pub(crate) fn samples(&self, profile: u32) -> &[u32] {
        self.samples.get(range(&self.sample_ends, profile)).unwrap_or_default()
    }

    /// Range of a sample's timestamps among all sorted timestamps.
    pub(crate) fn range(&self, sample: u32) -> Range<usize> {
        range(&self.stamp_ends, sample)
    }

    /// The timestamps in this range.
    pub(crate) fn stamps(&self, range: Range<usize>) -> &[u64] {
        self.stamps.get(range).unwrap_or_default()
    }

    /// The values of the timestamps in this range; empty if their profile has no values.
    pub(crate) fn values(&self, range: Range<usize>) -> &[i64] {
        self.values.get(range).unwrap_or_default()
    }
}

/// Sorts values by their group, and keeps the order within each group: a counting sort.
fn distribute<T: Copy + Default>(
    values: impl Iterator<Item = (u32, T)> + Clone,
    groups: usize,
    sorted: &mut Vec<T>,
    ends: &mut Vec<usize>,
) {
    recycle(ends);
    ends.resize(groups, 0);
    let mut total = 0;
    for (group, _) in values.clone() {
        if let Some(size) = at_mut(ends, group) {
            *size += 1;
            total += 1;
        }
    }
    let mut start = 0;
    for end in ends.iter_mut() {
        start += std::mem::replace(end, start);
    }
    recycle(sorted);
    sorted.resize(total, T::default());
    // Each end is its group's start for now, and moves to its end as the group fills.
    for (group, value) in values {
        if let Some(next) = at_mut(ends, group) {
            if let Some(slot) = sorted.get_mut(*next) {
                *slot = value;
            }
            *next += 1;
        }
    }
}

fn range(ends: &[usize], number: u32) -> Range<usize> {
    let end = at(ends, number).copied().unwrap_or_default();
    let start = number.checked_sub(1).and_then(|before| at(ends, before)).copied().unwrap_or_default();
    start..end
}

/// An entry by its number; `None` if there is none.
pub(crate) fn at<T>(entries: &[T], number: u32) -> Option<&T> {
    entries.get(usize::try_from(number).ok()?)
}

fn at_mut<T>(entries: &mut [T], number: u32) -> Option<&mut T> {
    entries.get_mut(usize::try_from(number).ok()?)
}

/// Number of entries as 32 bits: there are less than 2^32, as each entry takes tens of bytes of memory.
pub(crate) fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
