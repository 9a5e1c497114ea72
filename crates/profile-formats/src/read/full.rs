//! What is done when a profile is full.

use crate::model::{Amount, Bounds, Profile, SampleKey};
use crate::table::Id;

/// Adds to a sample, or to that of all others if the profile is full.
pub(super) fn add(
    profile: &mut Profile,
    key: Option<SampleKey>,
    other: SampleKey,
    amount: Amount,
) -> Id<SampleKey> {
    let room = profile.samples.len() < Bounds::default().samples;
    let added = key.and_then(|key| profile.samples.add_within(key, amount, room));
    added.unwrap_or_else(|| profile.add_other(other.value_type, amount))
}
