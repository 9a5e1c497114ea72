//! Requests to write.

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::profiles::v1development::{
    Function, KeyValueAndUnit, Line, Link, Location, Mapping, Profile, ProfilesDictionary, ResourceProfiles,
    Sample, ScopeProfiles, Stack, ValueType,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::collection::vec;
use proptest::prelude::*;

/// Strings of the requests here, by what they are.
const STRINGS: [&str; 22] = [
    "",
    "samples",
    "count",
    "cpu",
    "nanoseconds",
    "thread.name",
    "thread.id",
    "app",
    "worker 1",
    "main",
    "outer",
    "inlined;odd",
    "[kernel]",
    "/opt/libx.so",
    "/opt/app",
    "process.executable.build_id.gnu",
    "process.executable.build_id.htlhash",
    "abcd",
    "1234",
    "off_cpu",
    "main.c",
    "By",
];

fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.to_owned())) }
}

fn attribute(key_strindex: i32, value: AnyValue, unit_strindex: i32) -> KeyValueAndUnit {
    KeyValueAndUnit { key_strindex, value: Some(value), unit_strindex }
}

fn location(mapping_index: i32, address: u64, functions: &[i32]) -> Location {
    let lines = functions.iter().map(|&function_index| Line { function_index, line: 7, column: 0 });
    Location { mapping_index, address, lines: lines.collect(), attribute_indices: Vec::new() }
}

fn function(name_strindex: i32, filename_strindex: i32) -> Function {
    Function { name_strindex, filename_strindex, ..Function::default() }
}

fn dictionary() -> ProfilesDictionary {
    let mapping = |filename_strindex, attribute: i32| Mapping {
        memory_start: 0x1000,
        memory_limit: 0x5000,
        file_offset: 0x1000,
        filename_strindex,
        attribute_indices: vec![attribute],
    };
    ProfilesDictionary {
        mapping_table: vec![Mapping::default(), mapping(13, 5), mapping(14, 4)],
        location_table: vec![
            Location::default(),
            location(2, 0x2000, &[1]),
            location(2, 0x3000, &[3, 2]),
            location(1, 0x1234, &[]),
            location(0, 0xffff_ffff_8000_0000, &[4]),
        ],
        function_table: vec![
            Function::default(),
            function(9, 20),
            function(10, 20),
            function(11, 20),
            function(12, 0),
        ],
        link_table: vec![Link::default(), Link { trace_id: vec![1; 16], span_id: vec![2; 8] }],
        string_table: STRINGS.map(str::to_owned).into(),
        attribute_table: vec![
            KeyValueAndUnit::default(),
            attribute(5, text("app"), 0),
            attribute(5, text("worker 1"), 0),
            attribute(6, AnyValue { value: Some(Value::IntValue(77)) }, 0),
            attribute(15, text("abcd"), 0),
            attribute(16, text("1234"), 0),
        ],
        stack_table: [&[][..], &[2, 1], &[3, 1], &[4]]
            .map(|indices: &[i32]| Stack { location_indices: indices.to_vec() })
            .into(),
    }
}

/// A resource with one profile of CPU samples, 50 ms each.
pub(crate) fn resource(pid: i64, path: &str, start: u64, samples: Vec<Sample>) -> ResourceProfiles {
    let value_type = |type_strindex, unit_strindex| Some(ValueType { type_strindex, unit_strindex });
    let profile = Profile {
        sample_type: value_type(1, 2),
        period_type: value_type(3, 4),
        period: 50_000_000,
        time_unix_nano: start,
        duration_nano: 5_000_000_000,
        samples,
        ..Profile::default()
    };
    let attribute =
        |key: &str, value| KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() };
    let attributes = vec![
        attribute("process.pid", AnyValue { value: Some(Value::IntValue(pid)) }),
        attribute("process.executable.path", text(path)),
        attribute("process.executable.name", text(path.rsplit('/').next().unwrap())),
    ];
    ResourceProfiles {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_profiles: vec![ScopeProfiles { profiles: vec![profile], ..ScopeProfiles::default() }],
        ..ResourceProfiles::default()
    }
}

fn sample(stack_index: i32, attributes: &[i32], at: &[u64]) -> Sample {
    Sample {
        stack_index,
        attribute_indices: attributes.to_vec(),
        timestamps_unix_nano: at.to_vec(),
        ..Sample::default()
    }
}

/// Two processes and a kernel thread's stack: 3, 2 and 1 samples.
pub(crate) fn request() -> ExportProfilesServiceRequest {
    let start = 1_700_000_000_000_000_000;
    let first = vec![sample(1, &[1, 3], &[start, start + 1]), sample(3, &[2], &[start + 2])];
    let second = vec![sample(1, &[1], &[start + 3]), sample(2, &[], &[start + 4, start + 5])];
    ExportProfilesServiceRequest {
        resource_profiles: vec![
            resource(1, "/usr/bin/less", start, first),
            resource(2, "/opt/app", start, second),
        ],
        dictionary: Some(dictionary()),
    }
}

/// A request whose indices point anywhere.
pub(crate) fn any_request() -> impl Strategy<Value = ExportProfilesServiceRequest> {
    let index = || prop_oneof![8 => 0..6_i32, 1 => any::<i32>()];
    let samples = (index(), vec(index(), 0..3), index(), vec(0..100_i64, 0..3), vec(any::<u64>(), 0..4));
    let samples = samples.prop_map(|(stack_index, attribute_indices, link_index, values, times)| Sample {
        stack_index,
        attribute_indices,
        link_index,
        values,
        timestamps_unix_nano: times,
    });
    let profile = (vec(samples, 0..5), vec(0..25_i32, 4), any::<i64>(), any::<(u64, u64)>());
    let resource = profile.prop_map(|(samples, kinds, period, (start, duration))| {
        let mut resource = resource(7, "/opt/app", start, samples);
        let profile = &mut resource.scope_profiles[0].profiles[0];
        profile.duration_nano = duration;
        profile.period = period;
        if kinds[0] < 20 {
            let value_type =
                |at: usize| Some(ValueType { type_strindex: kinds[at], unit_strindex: kinds[at + 1] });
            profile.sample_type = value_type(0);
            profile.period_type = value_type(2);
        }
        resource
    });
    let place = (index(), any::<u64>(), vec(index(), 0..3));
    let place = place.prop_map(|(mapping, address, lines)| location(mapping, address, &lines));
    let stack = vec(index(), 0..4).prop_map(|location_indices| Stack { location_indices });
    let tables = (vec(place, 0..5), vec(stack, 0..5), vec(0..25_i32, 0..5), any::<bool>());
    (vec(resource, 0..4), tables).prop_map(|(resource_profiles, (locations, stacks, names, none))| {
        let mut tables = dictionary();
        tables.location_table.extend(locations);
        tables.stack_table.extend(stacks);
        tables.function_table.extend(names.into_iter().map(|name| function(name, name)));
        ExportProfilesServiceRequest { resource_profiles, dictionary: (!none).then_some(tables) }
    })
}

/// Samples taken, as the timestamps say, or the values of those without.
pub(crate) fn total_events(request: &ExportProfilesServiceRequest) -> i64 {
    let scopes = request.resource_profiles.iter().flat_map(|resource| &resource.scope_profiles);
    let samples = scopes.flat_map(|scope| &scope.profiles).flat_map(|profile| &profile.samples);
    let events = samples.map(|sample| match sample.timestamps_unix_nano.len() {
        0 => sample.values.iter().sum(),
        count => i64::try_from(count).unwrap(),
    });
    events.sum()
}
