//! A request as a pprof profile: all resources of a window in one, distinguished by labels.
//!
//! | OTLP | pprof |
//! | --- | --- |
//! | location, function, mapping | the same, numbered from 1 in the order they are met; the mapping of the executable that ran most comes first |
//! | stack, leaf first | location IDs, leaf first |
//! | profile of `samples`/`count` with a period | two values: that, and `cpu`/`nanoseconds`, the count times the period |
//! | profile of another type | a value of that type; 0 in the samples of other types |
//! | attributes of resource and sample | labels, text or numbers |
//! | link | labels `trace_id` and `span_id`, hex |
//! | timestamps | their number |
//! | `process.executable.build_id.gnu`, else `.htlhash` | build ID |

mod columns;
mod labels;
mod proto;
mod symbols;
#[cfg(test)]
mod tests;

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::profiles::v1development::{ProfilesDictionary, Sample};
use otlp_profiles::attributes::PROCESS_EXECUTABLE_PATH;
use prost::Message as _;

use self::columns::Columns;
use self::symbols::{Strings, Symbols};
use super::resolve::{Lookup, events, profiles, resource_text};

/// A request as a `perftools.profiles.Profile`, not compressed.
pub(crate) fn encode(request: &ExportProfilesServiceRequest) -> Vec<u8> {
    profile(request).encode_to_vec()
}

fn profile(request: &ExportProfilesServiceRequest) -> proto::Profile {
    let empty = ProfilesDictionary::default();
    let lookup = Lookup(request.dictionary.as_ref().unwrap_or(&empty));
    let mut strings = Strings::default();
    let mut symbols = Symbols::new(lookup);
    if let Some(executable) = busiest(request) {
        symbols.main_binary(executable, &mut strings);
    }
    let columns = Columns::of(request, lookup);
    let mut samples = Vec::new();
    let (mut start, mut end) = (u64::MAX, 0);
    for (resource, profile) in profiles(&request.resource_profiles) {
        start = start.min(profile.time_unix_nano);
        end = end.max(profile.time_unix_nano.saturating_add(profile.duration_nano));
        let common = labels::of_resource(resource, &mut strings);
        for sample in &profile.samples {
            let mut label = common.clone();
            labels::of_sample(sample, lookup, &mut strings, &mut label);
            let stack = lookup.stack(sample.stack_index);
            let location_id =
                stack.map(|(index, location)| symbols.location(index, location, &mut strings)).collect();
            samples.push(proto::Sample {
                location_id,
                value: columns.values(profile, sample, lookup),
                label,
            });
        }
    }
    let (sample_type, default_sample_type) = columns.types(&mut strings);
    let (period_type, period) = columns.period(&mut strings);
    let (mapping, location, function) = symbols.finish();
    proto::Profile {
        sample_type,
        sample: samples,
        mapping,
        location,
        function,
        string_table: strings.finish(),
        time_nanos: i64::try_from(start.min(end)).unwrap_or(i64::MAX),
        duration_nanos: i64::try_from(end.saturating_sub(start)).unwrap_or(i64::MAX),
        period_type,
        period,
        default_sample_type,
    }
}

/// Path of the executable with the most samples.
fn busiest(request: &ExportProfilesServiceRequest) -> Option<&str> {
    let mut counts = std::collections::BTreeMap::<&str, i64>::new();
    for (resource, profile) in profiles(&request.resource_profiles) {
        let Some(path) = resource_text(resource, PROCESS_EXECUTABLE_PATH) else { continue };
        let samples: i64 =
            profile.samples.iter().map(|sample: &Sample| events(sample)).fold(0, i64::saturating_add);
        let count = counts.entry(path).or_default();
        *count = count.saturating_add(samples);
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(path, _)| path)
}
