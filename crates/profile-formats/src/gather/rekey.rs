//! New keys for the samples of a profile.

use crate::model::{Capture, Profile, SampleKey, Samples};
use crate::table::Id;

/// Replaces the keys of all samples. Those whose keys become equal are merged; captures follow their samples.
pub(super) fn rekey(profile: &mut Profile, new: impl Fn(SampleKey) -> SampleKey) {
    let mut samples = Samples::default();
    let numbers: Vec<Id<SampleKey>> =
        profile.samples.iter().map(|(&key, amount)| samples.add(new(key), amount)).collect();
    profile.samples = samples;
    for Capture { sample, .. } in &mut profile.captures {
        *sample = numbers.get(sample.index()).copied().unwrap_or(*sample);
    }
}
