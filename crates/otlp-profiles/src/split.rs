//! Requests of bounded size.

use std::ops::Range;

use crate::content::{Content, Order, count};
use crate::encode::encode;
use crate::part::Part;
use crate::request::ProfilesRequest;

/// The least bound that makes sense: more than one capture takes with 127 kernel and 127 user frames, each in a file of
/// its own with the longest path, if that is UTF-8 (other bytes take up to three times as much).
pub const MIN_REQUEST_BYTES: usize = 1024 * 1024;

/// A bound that the Collector's default of 4 MiB for a received message leaves room for.
pub const DEFAULT_REQUEST_BYTES: usize = 3_900 * 1024;

/// Splits contents into requests, and keeps the memory that this takes.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    order: Order,
    part: Part,
}

impl Splitter {
    /// The contents as requests that each take at most `max_bytes` as protobuf before compression.
    ///
    /// Requests hold whole resources if possible, in order, each with a dictionary of only what it uses. A resource
    /// that is too large alone is split by samples, from the room beside the resources before it on, and a sample by
    /// timestamps; the requests then repeat the resource and the profile's times and attributes. No two neighbours
    /// would fit in one request. One timestamp of one sample cannot be split and may be too large;
    /// [`MIN_REQUEST_BYTES`] leaves room for it.
    pub(crate) fn requests(&mut self, content: &Content, max_bytes: usize) -> Vec<ProfilesRequest> {
        self.order.sort(content);
        let (part, alone) = (&mut self.part, Part::default());
        let mut split = Split { content, order: &self.order, part, alone, max_bytes, done: Vec::new() };
        for profile in 0..count(content.profiles.len()) {
            split.profile(profile);
        }
        split.finish();
        split.done
    }
}

struct Split<'a> {
    content: &'a Content,
    order: &'a Order,
    part: &'a mut Part,
    /// A part to try whether a profile fits in a part of its own; empty between tries.
    alone: Part,
    max_bytes: usize,
    done: Vec<ProfilesRequest>,
}

impl Split<'_> {
    fn profile(&mut self, profile: u32) {
        let Self { content, order, max_bytes, .. } = *self;
        if order.samples(profile).is_empty() || self.part.add_profile(profile, content, order, max_bytes) {
            return;
        }
        if self.alone.add_profile(profile, content, order, max_bytes) {
            self.finish();
            std::mem::swap(self.part, &mut self.alone);
            return;
        }
        self.split(profile);
    }

    /// Adds a profile that is too large for one part. The profile begins in the room that is left if its first sample
    /// fits there: in a part of its own, that sample could be so small a beginning that both parts would fit in one.
    fn split(&mut self, profile: u32) {
        let mark = self.part.mark();
        self.part.begin(profile, self.content);
        let order = self.order;
        let mut samples = order.samples(profile).iter().copied().peekable();
        if samples.next_if(|&first| self.fits(first, order.range(first))).is_none() {
            self.part.rewind(&mark);
            self.finish();
            self.part.begin(profile, self.content);
        }
        for sample in samples {
            self.sample(profile, sample);
        }
    }

    /// Adds a sample of a profile that is being split.
    fn sample(&mut self, profile: u32, sample: u32) {
        let mut stamps = self.order.range(sample);
        while !self.fits(sample, stamps.clone()) {
            if self.part.has_begun() {
                self.finish();
                self.part.begin(profile, self.content);
                continue;
            }
            let fitting = self.fitting(sample, &stamps);
            self.part.add(sample, stamps.start..fitting, self.content, self.order);
            stamps.start = fitting;
            if stamps.is_empty() {
                return;
            }
        }
    }

    /// Adds a sample with a range of its timestamps if there is room; true if there was.
    fn fits(&mut self, sample: u32, stamps: Range<usize>) -> bool {
        let mark = self.part.mark();
        self.part.add(sample, stamps, self.content, self.order);
        let fits = self.part.len() <= self.max_bytes;
        if !fits {
            self.part.rewind(&mark);
        }
        fits
    }

    /// End of as many timestamps as there is room for in a part without samples: at least one, fit or not.
    fn fitting(&mut self, sample: u32, stamps: &Range<usize>) -> usize {
        let (mut least, mut most) = (stamps.start + 1, stamps.end);
        while least < most {
            let middle = least + (most - least).div_ceil(2);
            let mark = self.part.mark();
            if self.fits(sample, stamps.start..middle) {
                self.part.rewind(&mark);
                least = middle;
            } else {
                most = middle - 1;
            }
        }
        least
    }

    /// Ends the part, if there is anything in it. An empty part is not cleared again: clearing it would free its
    /// memory.
    fn finish(&mut self) {
        if self.part.has_begun() {
            let bytes = encode(self.part, self.content, self.order).into();
            self.done.push(ProfilesRequest { bytes, samples: self.part.captures() });
            self.part.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Profile, Sample};

    /// Content with `samples` samples, each with a stack of its own.
    fn content(samples: i32) -> Content {
        let mut content = Content::default();
        content.profiles.push(Profile::default());
        for n in 0..samples {
            let stack = content.dictionary.stacks.intern(&[n, 7]);
            let sample = content.push(Sample { profile: 0, stack, attributes: 0, link: 0 });
            content.capture(sample, 1);
        }
        content
    }

    #[test]
    fn one_large_window_after_the_other_is_told_in_the_same_memory() {
        let mut splitter = Splitter::default();
        let large = content(20_000);
        assert_eq!(splitter.requests(&large, usize::MAX)[0].samples, 20_000);
        // Empty contents stand for the start of the next window.
        splitter.requests(&content(0), usize::MAX);
        assert!(splitter.part.samples.capacity() >= 20_000);
        splitter.requests(&content(1), usize::MAX);
        assert!(splitter.part.samples.capacity() < 20_000, "what is not used any more is given back");
    }
}
