//! Conversion of a profile to pprof.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write as _};

use flate2::write::GzEncoder;
use otlp_profiles::attributes;
use prost::Message as _;

use super::proto;
use super::strings::Strings;
use super::symbols::Symbols;
use crate::facts::{self, Fact, FactValue};
use crate::model::{Process, Profile, Quantity, SampleKey, ValueType};
use crate::table::Id;

/// Appends a profile as a gzip'd `perftools.profiles.Profile`, which `go tool pprof` reads.
///
/// # Errors
/// An error of the gzip encoder; none is expected while memory suffices.
pub fn write(profile: &Profile, out: &mut Vec<u8>) -> io::Result<()> {
    let mut encoder = GzEncoder::new(out, flate2::Compression::default());
    encoder.write_all(&encode(profile))?;
    encoder.finish().map(drop)
}

/// Encodes a profile as a `perftools.profiles.Profile`, not compressed.
#[must_use]
pub fn encode(profile: &Profile) -> Vec<u8> {
    message(profile).encode_to_vec()
}

pub(super) fn message(profile: &Profile) -> proto::Profile {
    let mut strings = Strings::default();
    let mut symbols = Symbols::new(&profile.tables);
    if let Some(executable) = busiest(profile) {
        symbols.main_binary(executable, &mut strings);
    }
    let kinds = profile.kinds();
    let sample = samples(profile, &kinds, &mut symbols, &mut strings);
    let mut of_kind = |(kind, unit): (Id<str>, Id<str>)| proto::ValueType {
        r#type: strings.index(profile.tables.text(kind)),
        unit: strings.index(profile.tables.text(unit)),
    };
    let sample_type = kinds.iter().map(|&kind| of_kind(kind)).collect();
    let period =
        profile.tables.value_types.iter().find_map(|(_, kind)| {
            (kind.period > 0).then_some((kind.period_type.map(&mut of_kind), kind.period))
        });
    let (period_type, period) = period.unwrap_or_default();
    let shown = kinds.iter().find(|(kind, _)| profile.tables.text(*kind) == "cpu").or(kinds.last());
    let default_sample_type = shown.map_or(0, |(kind, _)| strings.index(profile.tables.text(*kind)));
    let comment = comments(profile).iter().map(|comment| strings.index(comment)).collect();
    let (mapping, location, function) = symbols.finish();
    let (start, end) = (profile.start.as_nanos(), profile.end.as_nanos());
    proto::Profile {
        sample_type,
        sample,
        mapping,
        location,
        function,
        string_table: strings.finish(),
        time_nanos: i64::try_from(start).unwrap_or(i64::MAX),
        duration_nanos: i64::try_from(end.saturating_sub(start)).unwrap_or(i64::MAX),
        period_type,
        period,
        comment,
        default_sample_type,
    }
}

/// The samples; those that differ only in their kind of value are one, with a value for each kind.
fn samples<'a>(
    profile: &'a Profile,
    kinds: &[(Id<str>, Id<str>)],
    symbols: &mut Symbols<'a>,
    strings: &mut Strings,
) -> Vec<proto::Sample> {
    let mut samples: Vec<proto::Sample> = Vec::new();
    let mut known = HashMap::<SampleKey, usize>::new();
    let mut processes = HashMap::new();
    let any: Id<ValueType> = Id::of_index(0);
    for (key, amount) in profile.samples.iter() {
        let value = |&(kind, unit): &_| profile.amount_of(Quantity::Kind(kind, unit), key, amount);
        let values = kinds.iter().map(value);
        let number = *known.entry(SampleKey { value_type: any, ..*key }).or_insert(samples.len());
        if let Some(sample) = samples.get_mut(number) {
            sample.value.iter_mut().zip(values).for_each(|(sum, value)| *sum = sum.saturating_add(value));
            continue;
        }
        let process = process_of(key, profile);
        let common = process.map(|(id, process)| {
            let labels = || labels(&facts::of_process(process, &profile.tables), strings);
            processes.entry(id).or_insert_with(labels).clone()
        });
        let mut label = common.unwrap_or_default();
        label.extend(labels(&facts::of_sample(key, &profile.tables), strings));
        let stack = profile.tables.stack(key.stack);
        let location_id = stack.map(|(id, location)| symbols.location(id, location, strings)).collect();
        samples.push(proto::Sample { location_id, value: values.collect(), label });
    }
    samples
}

fn process_of<'a>(key: &SampleKey, profile: &'a Profile) -> Option<(Id<Process>, &'a Process)> {
    let id = profile.tables.threads.get(key.thread?)?.process?;
    Some((id, profile.tables.processes.get(id)?))
}

fn labels(facts: &[Fact<'_>], strings: &mut Strings) -> Vec<proto::Label> {
    let facts = facts.iter().filter(|fact| !fact.key.is_empty());
    let labels = facts.map(|fact| {
        let key = strings.index(fact.key);
        let mut text = |text: &str| proto::Label { key, str: strings.index(text), num: 0, num_unit: 0 };
        match &fact.value {
            FactValue::Text(value) => text(value),
            FactValue::Bool(flag) => text(if *flag { "true" } else { "false" }),
            FactValue::Int(number) => {
                // A number 0 without a unit would make a label that is neither text nor a number.
                let unit = if fact.unit.is_empty() && *number == 0 { "count" } else { fact.unit };
                proto::Label { key, str: 0, num: *number, num_unit: strings.index(unit) }
            }
        }
    });
    labels.collect()
}

/// The losses of the profile, which `go tool pprof -comments` prints.
fn comments(profile: &Profile) -> Vec<String> {
    let losses = profile.losses.iter().map(|(reason, loss)| {
        let prefix = match loss.samples {
            true => attributes::WINDOW_SAMPLES_LOST_BY,
            false => attributes::WINDOW_RECORDS_LOST_BY,
        };
        format!("{prefix}{reason}={}", loss.count)
    });
    losses.collect()
}

/// Path of the executable with the most samples.
fn busiest(profile: &Profile) -> Option<Id<str>> {
    let mut counts = BTreeMap::<&str, (u64, Id<str>)>::new();
    for (key, amount) in profile.samples.iter() {
        let Some(path) = process_of(key, profile).and_then(|(_, process)| process.path) else { continue };
        let (count, _) = counts.entry(profile.tables.text(path)).or_insert((0, path));
        *count = count.saturating_add(amount.count);
    }
    counts.into_values().max_by_key(|(count, _)| *count).map(|(_, path)| path)
}
