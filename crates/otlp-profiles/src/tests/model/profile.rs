//! A profile of the samples of one image in one window.

use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::profiles::v1development::{
    Profile, ResourceProfiles, Sample, ScopeProfiles, ValueType,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use pdata::UnixNanos;
use rustc_hash::FxHashMap;

use super::dictionary::Dictionary;

/// Name of the instrumentation scope.
const SCOPE: &str = "pipeline";
/// Schema of the semantic conventions that attribute names follow.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// Values that all profiles of a window have in common.
#[derive(Debug)]
pub(in crate::tests) struct Common {
    /// Start of the window.
    from: UnixNanos,
    /// End of the window.
    until: UnixNanos,
    sample_type: ValueType,
    period_type: ValueType,
    /// Type and unit of time off the CPU.
    off_cpu: ValueType,
    /// Attributes of every profile: the window's losses.
    attribute_indices: Vec<i32>,
}

impl Common {
    pub(in crate::tests) fn new(
        (from, until): (UnixNanos, UnixNanos),
        attribute_indices: Vec<i32>,
        dictionary: &mut Dictionary,
    ) -> Self {
        let mut value_type = |kind, unit| ValueType {
            type_strindex: dictionary.string(kind),
            unit_strindex: dictionary.string(unit),
        };
        let sample_type = value_type("samples", "count");
        let period_type = value_type("cpu", "nanoseconds");
        let off_cpu = value_type("off_cpu", "nanoseconds");
        Self { from, until, sample_type, period_type, off_cpu, attribute_indices }
    }
}

/// Samples of one image at one period, or of its time off the CPU, as they come.
#[derive(Debug)]
pub(in crate::tests) struct ImageProfile {
    resource: Resource,
    period: Option<Duration>,
    samples: Vec<Sample>,
    earliest: u64,
    latest: u64,
}

impl ImageProfile {
    pub(in crate::tests) fn new(resource: Resource, period: Option<Duration>) -> Self {
        Self { resource, period, samples: Vec::new(), earliest: u64::MAX, latest: 0 }
    }

    /// Replaces the description of the image.
    pub(in crate::tests) fn describe(&mut self, resource: Resource) {
        self.resource = resource;
    }

    /// Number that the next new sample will have.
    pub(in crate::tests) fn len(&self) -> usize {
        self.samples.len()
    }

    /// Adds a sample with an identity that no other sample of the profile has: a stack and a set of attributes.
    pub(in crate::tests) fn push(&mut self, stack_index: i32, attribute_indices: Vec<i32>) {
        self.samples.push(Sample { stack_index, attribute_indices, ..Sample::default() });
    }

    /// Counts one capture of the sample numbered `number`.
    pub(in crate::tests) fn capture(&mut self, number: usize, at: UnixNanos, blocked: Option<Duration>) {
        let at = at.as_nanos();
        self.earliest = self.earliest.min(at);
        self.latest = self.latest.max(at);
        if let Some(sample) = self.samples.get_mut(number) {
            sample.timestamps_unix_nano.push(at);
            sample.values.extend(blocked.map(nanos));
        }
    }

    /// Replaces the stack of each sample by its new number, and joins samples that are the same then.
    pub(in crate::tests) fn restack(&mut self, stacks: &[i32]) {
        let mut numbers = FxHashMap::default();
        for mut sample in std::mem::take(&mut self.samples) {
            let stack = usize::try_from(sample.stack_index).ok().and_then(|old| stacks.get(old));
            sample.stack_index = stack.copied().unwrap_or_default();
            let identity = (sample.stack_index, sample.attribute_indices.clone());
            let number = *numbers.entry(identity).or_insert(self.samples.len());
            match self.samples.get_mut(number) {
                Some(same) => {
                    same.timestamps_unix_nano.append(&mut sample.timestamps_unix_nano);
                    same.values.append(&mut sample.values);
                }
                None => self.samples.push(sample),
            }
        }
    }

    /// The profile, with its times moved apart to hold late samples.
    pub(in crate::tests) fn finish(self, common: &Common) -> ResourceProfiles {
        let time_unix_nano = common.from.as_nanos().min(self.earliest);
        // Half open: the end is after the last sample.
        let end = common.until.as_nanos().max(self.latest.saturating_add(1));
        let profile = Profile {
            sample_type: Some(if self.period.is_some() { common.sample_type } else { common.off_cpu }),
            samples: self.samples,
            time_unix_nano,
            duration_nano: end.saturating_sub(time_unix_nano),
            period_type: Some(if self.period.is_some() { common.period_type } else { common.off_cpu }),
            period: self.period.map_or(1, nanos),
            attribute_indices: common.attribute_indices.clone(),
            ..Profile::default()
        };
        let scope = InstrumentationScope {
            name: SCOPE.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        ResourceProfiles {
            resource: Some(self.resource),
            scope_profiles: vec![ScopeProfiles {
                scope: Some(scope),
                profiles: vec![profile],
                schema_url: SCHEMA_URL.to_owned(),
            }],
            schema_url: SCHEMA_URL.to_owned(),
        }
    }
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
