//! Rules of profiles and samples.

use std::collections::HashSet;

use super::at::At;
use super::check::{Check, Table};
use super::rule::Rule;
use crate::otlp::wire::{Profile, Sample, ValueType};

/// 2020-01-01T00:00:00Z in nanoseconds: no profile is older, and no machine has run for so long that its monotonic
/// clock could be taken for a wall clock.
const YEAR_2020: u64 = 1_577_836_800_000_000_000;

/// The measure of a profile: type and unit of its samples, and of its period.
type Measured = [(&'static str, &'static str); 2];

/// CPU time: samples that each stand for a period.
const CPU: Measured = [("samples", "count"), ("cpu", "nanoseconds")];

/// Time off the CPU: samples with a value beside each timestamp.
const OFF_CPU: Measured = [("off_cpu", "nanoseconds"), ("off_cpu", "nanoseconds")];

/// Checks a profile and its samples, and marks the entries of tables that they use.
pub(super) fn check(check: &mut Check<'_>, profile: &Profile, at: &At<'_>) {
    let expected = measured(check, profile);
    types(check, profile, expected, at);
    let start = profile.time_unix_nano;
    check.expect(start >= YEAR_2020, &at.key("timeUnixNano"), Rule::WallClock, start);
    let unset = profile.profile_id.is_empty()
        && profile.original_payload.is_empty()
        && profile.original_payload_format.is_empty();
    check.expect(unset, at, Rule::FieldUnset, "a profile ID or an original payload");
    check.attributes(&profile.attribute_indices, at);
    check.expect(!profile.samples.is_empty(), &at.key("samples"), Rule::NotEmpty, "none");
    let mut identities = HashSet::new();
    for (n, entry) in profile.samples.iter().enumerate() {
        let at = &at.key("samples").item(n);
        sample(check, profile, expected == OFF_CPU, entry, at);
        let mut attributes = entry.attribute_indices.clone();
        attributes.sort_unstable();
        let identity = (entry.stack_index, attributes, entry.link_index);
        check.expect(identities.insert(identity), at, Rule::SampleIdentity, "as an earlier sample");
    }
}

/// The measure of a profile by the type of its samples. Another type is checked as CPU time.
fn measured(check: &Check<'_>, profile: &Profile) -> Measured {
    let name = profile.sample_type.map(|kind| kind.type_strindex);
    let name = name.and_then(|index| check.dictionary.string_table.get(usize::try_from(index).ok()?));
    if name.is_some_and(|name| name == OFF_CPU[0].0) { OFF_CPU } else { CPU }
}

fn types(check: &mut Check<'_>, profile: &Profile, [samples, period]: Measured, at: &At<'_>) {
    for (key, value_type, expected) in
        [("sampleType", profile.sample_type, samples), ("periodType", profile.period_type, period)]
    {
        let at = &at.key(key);
        let Some(ValueType { type_strindex, unit_strindex }) = value_type else {
            check.broken(at, Rule::MessagePresent, "none");
            continue;
        };
        let name = check.string(type_strindex, &at.key("typeStrindex"));
        let unit = check.string(unit_strindex, &at.key("unitStrindex"));
        check.expect((name, unit) == expected, at, Rule::CpuProfile, format_args!("{name}/{unit}"));
    }
    check.expect(profile.period > 0, &at.key("period"), Rule::CpuProfile, profile.period);
}

fn sample(check: &mut Check<'_>, profile: &Profile, valued: bool, sample: &Sample, at: &At<'_>) {
    let stack = &at.key("stackIndex");
    check.follow(Table::Stack, sample.stack_index, stack);
    check.expect(sample.stack_index != 0, stack, Rule::StackKnown, "the sentinel");
    check.follow(Table::Link, sample.link_index, &at.key("linkIndex"));
    check.attributes(&sample.attribute_indices, at);
    let (times, values) = (sample.timestamps_unix_nano.len(), sample.values.len());
    check.expect(
        times > 0 && values == if valued { times } else { 0 },
        at,
        Rule::TimesOnly,
        format_args!("{times} times, {values} values"),
    );
    let window = profile.time_unix_nano..profile.time_unix_nano.saturating_add(profile.duration_nano);
    for (n, time) in sample.timestamps_unix_nano.iter().enumerate() {
        let at = at.key("timestampsUnixNano").item(n);
        check.expect(
            window.contains(time),
            &at,
            Rule::TimeInWindow,
            format_args!("{time} not in {window:?}"),
        );
    }
}
