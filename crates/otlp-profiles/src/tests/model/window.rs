//! The samples of one window, gathered in order of arrival.

use std::sync::Arc;
use std::time::Duration;

use ::windows::{Gather, Losses};
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use pdata::{ClockOffset, Comm, Image, ImageKey, KTime, Loss, Measure, OffCpuReason, Sample};
use rustc_hash::FxHashMap;

use super::dictionary::{Dictionary, Value};
use super::frames::Frames;
use super::profile::{Common, ImageProfile};
use super::resource;
use crate::attributes;

/// The profiles of a window, and the dictionary they share.
#[derive(Debug)]
pub(in crate::tests) struct Window {
    clock: ClockOffset,
    dictionary: Dictionary,
    frames: Frames,
    profiles: Vec<ImageProfile>,
    /// Profile of an image at a period, by its address; the image is kept so that no other takes the address.
    by_pointer: FxHashMap<(usize, Option<Duration>), (Arc<Image>, usize)>,
    /// Profile of an image at a period, by its key and whether it is resolved: a profile has one period.
    by_key: FxHashMap<(ImageKey, bool, Option<Duration>), usize>,
    /// Samples by identity; the value is the number within the profile.
    samples: FxHashMap<Identity, usize>,
    /// Attribute of a thread's name; `None` for an empty one.
    names: FxHashMap<Comm, Option<i32>>,
    losses: Losses,
    delivered: u64,
}

/// The identity of a sample within a profile: OTLP's stack and set of attributes. Captures with one identity are one
/// sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Identity {
    profile: usize,
    stack: i32,
    name: Option<i32>,
    tid: u32,
    cpu: u32,
    reason: Option<OffCpuReason>,
    truncated: Option<&'static str>,
}

impl Gather for Window {
    fn sample(&mut self, sample: &Sample) {
        let (period, blocked) = match sample.measure {
            Measure::OnCpu { period } => (Some(period), None),
            Measure::OffCpu { blocked, reason } => (None, Some((blocked, reason))),
        };
        let profile = self.profile_of(sample, period);
        let identity = Identity {
            profile,
            stack: self.frames.stack(sample, &mut self.dictionary),
            name: self.name_of(sample.comm),
            tid: sample.tid.0,
            cpu: sample.cpu,
            reason: blocked.map(|(_, reason)| reason),
            truncated: sample.stack.end.cut(),
        };
        self.delivered = self.delivered.saturating_add(1);
        let at = self.clock.unix(sample.at);
        let Some(profile) = self.profiles.get_mut(profile) else { return };
        let number = *self.samples.entry(identity).or_insert_with(|| {
            profile.push(identity.stack, identity.attributes(&mut self.dictionary));
            profile.len() - 1
        });
        profile.capture(number, at, blocked.map(|(blocked, _)| blocked));
    }

    fn loss(&mut self, loss: &Loss) {
        self.losses.add(loss);
    }
}

impl Window {
    /// An empty window.
    ///
    /// All times of the window are converted by one `clock`, that of the batch with its first event, so that a step of
    /// the wall clock falls between profiles and not into one.
    pub(in crate::tests) fn new(clock: ClockOffset) -> Self {
        Self {
            clock,
            dictionary: Dictionary::default(),
            frames: Frames::default(),
            profiles: Vec::new(),
            by_pointer: FxHashMap::default(),
            by_key: FxHashMap::default(),
            samples: FxHashMap::default(),
            names: FxHashMap::default(),
            losses: Losses::default(),
            delivered: 0,
        }
    }

    /// True if no sample has been gathered.
    pub(in crate::tests) fn is_empty(&self) -> bool {
        self.delivered == 0
    }

    /// The window as one request.
    pub(in crate::tests) fn finish(mut self, from: KTime, until: KTime) -> ExportProfilesServiceRequest {
        if let Some(stacks) = self.frames.settle(&mut self.dictionary) {
            self.profiles.iter_mut().for_each(|profile| profile.restack(&stacks));
        }
        let attributes = losses(&self.losses, self.delivered, &mut self.dictionary);
        let bounds = (self.clock.unix(from), self.clock.unix(until));
        let common = Common::new(bounds, attributes, &mut self.dictionary);
        ExportProfilesServiceRequest {
            resource_profiles: self.profiles.into_iter().map(|profile| profile.finish(&common)).collect(),
            dictionary: Some(self.dictionary.finish()),
        }
    }

    fn profile_of(&mut self, sample: &Sample, period: Option<Duration>) -> usize {
        let Some(image) = &sample.image else {
            return self.profile_by_key(sample, period, false);
        };
        let pointer = (Arc::as_ptr(image).addr(), period);
        if let Some(&(_, profile)) = self.by_pointer.get(&pointer) {
            return profile;
        }
        let profile = self.profile_by_key(sample, period, true);
        // Another description of the same image: a later one has more facts. An image first met inside execve, say, has
        // no script until the exec is complete.
        if let Some(profile) = self.profiles.get_mut(profile) {
            profile.describe(resource::known(image));
        }
        self.by_pointer.insert(pointer, (Arc::clone(image), profile));
        profile
    }

    fn profile_by_key(&mut self, sample: &Sample, period: Option<Duration>, resolved: bool) -> usize {
        let key = sample.image.as_ref().map_or(sample.key, |image| image.key);
        *self.by_key.entry((key, resolved, period)).or_insert_with(|| {
            let resource = match &sample.image {
                Some(image) => resource::known(image),
                None => resource::unresolved(sample, self.clock.unix_from_boot(key.process.start_time)),
            };
            self.profiles.push(ImageProfile::new(resource, period));
            self.profiles.len() - 1
        })
    }

    fn name_of(&mut self, comm: Comm) -> Option<i32> {
        *self.names.entry(comm).or_insert_with(|| {
            let name = comm.to_string();
            (!name.is_empty()).then(|| self.dictionary.text_attribute(attributes::THREAD_NAME, &name))
        })
    }
}

impl Identity {
    fn attributes(&self, dictionary: &mut Dictionary) -> Vec<i32> {
        let mut number = |key, number: u32| dictionary.attribute(key, Value::Int(number.into()));
        let tid = number(attributes::THREAD_ID, self.tid);
        let cpu = number(attributes::CPU_LOGICAL_NUMBER, self.cpu);
        let reason =
            self.reason.map(|reason| dictionary.text_attribute(attributes::OFF_CPU_REASON, reason.as_str()));
        let truncated =
            self.truncated.map(|text| dictionary.text_attribute(attributes::STACK_TRUNCATED, text));
        [Some(tid), self.name, Some(cpu), reason, truncated].into_iter().flatten().collect()
    }
}

fn losses(losses: &Losses, delivered: u64, dictionary: &mut Dictionary) -> Vec<i32> {
    let mut count = |key: &str, count: u64| {
        dictionary.attribute(key, Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
    };
    let mut indices = vec![
        count(attributes::WINDOW_SAMPLES_EXPECTED, delivered.saturating_add(losses.samples())),
        count(attributes::WINDOW_SAMPLES_LOST, losses.samples()),
    ];
    indices.extend(losses.iter().map(|(reason, lost)| {
        let prefix = match reason.is_sample() {
            true => attributes::WINDOW_SAMPLES_LOST_BY,
            false => attributes::WINDOW_RECORDS_LOST_BY,
        };
        count(&format!("{prefix}{}", reason.as_str()), lost)
    }));
    indices
}
