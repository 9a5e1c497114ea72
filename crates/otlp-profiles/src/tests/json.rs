//! The JSON against a golden text and, read back by another parser, against the message.

mod parse;
mod reflect;

use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::common::v1::*;
use opentelemetry_proto::tonic::profiles::v1development::*;
use opentelemetry_proto::tonic::resource::v1::Resource;
use pdata::{Event, LossReason, Watermark};
use proptest::prelude::*;

use super::make::{batch, file, image, kernel, loss, mapped, mapping, sample, samples, segment};
use super::read::only_request;
use crate::json::write_request;

fn text(request: &ExportProfilesServiceRequest) -> String {
    let mut out = Vec::new();
    write_request(request, &mut out);
    String::from_utf8(out).unwrap()
}

/// Made by this crate from the batch below and checked field by field against the OTLP/JSON rules.
const GOLDEN: &str = include_str!("json/golden.json");

#[test]
fn a_profile_is_written_as_otlp_json() {
    let file = file("/usr/bin/a", Some(vec![segment(0x1000, 0x1000, 0x40_1000)]));
    let mapping = mapping(&file, 0x5000_1000, 0x5000_2000, 0x1000);
    let stack = vec![kernel(u64::MAX - 15), mapped(0x5000_1010, &mapping)];
    let events = vec![
        Event::Sample(sample(10, Some(image(42, "/usr/bin/a \"quoted\"\n")), stack)),
        loss(20, LossReason::SampleRingFull, 2),
    ];
    let request = only_request(&[batch(events, Watermark::END)]);
    let golden = GOLDEN.replace("VERSION", env!("CARGO_PKG_VERSION"));
    assert_eq!(text(&request), golden.trim_end());
}

#[test]
fn a_text_needs_no_more_than_one_line_whatever_it_holds() {
    let all: String = (0..=0x2029).filter_map(char::from_u32).collect();
    let dictionary = ProfilesDictionary { string_table: vec![all], ..ProfilesDictionary::default() };
    let request = ExportProfilesServiceRequest { dictionary: Some(dictionary), ..Default::default() };
    let text = text(&request);
    assert!(!text.bytes().any(|byte| byte < 0x20));
    assert_eq!(parse::request(&text), request);
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        any::<String>().prop_map(|text| Some(any_value::Value::StringValue(text))),
        any::<bool>().prop_map(|value| Some(any_value::Value::BoolValue(value))),
        any::<i64>().prop_map(|number| Some(any_value::Value::IntValue(number))),
        any::<f64>().prop_map(|number| Some(any_value::Value::DoubleValue(number))),
        prop::sample::select(vec![0.0, -0.0, 1e300, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY])
            .prop_map(|number| Some(any_value::Value::DoubleValue(number))),
        prop::collection::vec(any::<u8>(), 0..5).prop_map(|bytes| Some(any_value::Value::BytesValue(bytes))),
        any::<i32>().prop_map(|index| Some(any_value::Value::StringValueStrindex(index))),
    ];
    let leaf = leaf.prop_map(|value| AnyValue { value });
    leaf.prop_recursive(2, 6, 3, |inner| {
        let values = prop::collection::vec(inner.clone(), 0..3);
        let array = values.prop_map(|values| any_value::Value::ArrayValue(ArrayValue { values }));
        let pair = (any::<String>(), inner).prop_map(|(key, value)| KeyValue {
            key,
            value: Some(value),
            key_strindex: 0,
        });
        let list = prop::collection::vec(pair, 0..3);
        let list = list.prop_map(|values| any_value::Value::KvlistValue(KeyValueList { values }));
        prop_oneof![array, list].prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn resource() -> impl Strategy<Value = Resource> {
    let pair = (any::<String>(), prop::option::of(any_value()), any::<i32>());
    let pair = pair.prop_map(|(key, value, key_strindex)| KeyValue { key, value, key_strindex });
    (prop::collection::vec(pair, 0..4), any::<u32>(), any::<bool>()).prop_map(
        |(attributes, count, entity)| Resource {
            attributes,
            dropped_attributes_count: count,
            entity_refs: entity
                .then(|| EntityRef {
                    r#type: "process".into(),
                    id_keys: vec![String::new()],
                    ..EntityRef::default()
                })
                .into_iter()
                .collect(),
        },
    )
}

fn profile() -> impl Strategy<Value = Profile> {
    let ints = || prop::collection::vec(any::<i32>(), 0..3);
    let sample = (
        any::<i32>(),
        ints(),
        any::<i32>(),
        prop::collection::vec(any::<i64>(), 0..3),
        prop::collection::vec(any::<u64>(), 0..3),
    );
    let sample =
        sample.prop_map(|(stack_index, attribute_indices, link_index, values, timestamps_unix_nano)| {
            Sample { stack_index, attribute_indices, link_index, values, timestamps_unix_nano }
        });
    let bytes = || prop::collection::vec(any::<u8>(), 0..17);
    let samples = prop::collection::vec(sample, 0..3);
    (
        samples,
        any::<(u64, u64, i64, u32)>(),
        bytes(),
        bytes(),
        any::<String>(),
        ints(),
        prop::option::of(any::<(i32, i32)>()),
    )
        .prop_map(
            |(
                samples,
                (time, duration, period, dropped),
                profile_id,
                payload,
                format,
                attribute_indices,
                kind,
            )| Profile {
                sample_type: kind
                    .map(|(type_strindex, unit_strindex)| ValueType { type_strindex, unit_strindex }),
                samples,
                time_unix_nano: time,
                duration_nano: duration,
                period_type: None,
                period,
                profile_id,
                dropped_attributes_count: dropped,
                original_payload_format: format,
                original_payload: payload,
                attribute_indices,
            },
        )
}

fn dictionary() -> impl Strategy<Value = ProfilesDictionary> {
    let ints = || prop::collection::vec(any::<i32>(), 0..3);
    let mapping = (any::<(u64, u64, u64, i32)>(), ints()).prop_map(
        |((memory_start, memory_limit, file_offset, filename_strindex), attribute_indices)| Mapping {
            memory_start,
            memory_limit,
            file_offset,
            filename_strindex,
            attribute_indices,
        },
    );
    let line = any::<(i32, i64, i64)>().prop_map(|(function_index, line, column)| Line {
        function_index,
        line,
        column,
    });
    let location = (any::<(i32, u64)>(), prop::collection::vec(line, 0..3), ints()).prop_map(
        |((mapping_index, address), lines, attribute_indices)| Location {
            mapping_index,
            address,
            lines,
            attribute_indices,
        },
    );
    let function = any::<(i32, i32, i32, i64)>().prop_map(
        |(name_strindex, system_name_strindex, filename_strindex, start_line)| Function {
            name_strindex,
            system_name_strindex,
            filename_strindex,
            start_line,
        },
    );
    let link = any::<([u8; 16], [u8; 8])>()
        .prop_map(|(trace, span)| Link { trace_id: trace.into(), span_id: span.into() });
    let attribute = (any::<(i32, i32)>(), prop::option::of(any_value())).prop_map(
        |((key_strindex, unit_strindex), value)| KeyValueAndUnit { key_strindex, value, unit_strindex },
    );
    let stack = ints().prop_map(|location_indices| Stack { location_indices });
    (
        prop::collection::vec(mapping, 0..3),
        prop::collection::vec(location, 0..3),
        prop::collection::vec(function, 0..3),
        prop::collection::vec(link, 0..3),
        prop::collection::vec(any::<String>(), 0..3),
        prop::collection::vec(attribute, 0..3),
        prop::collection::vec(stack, 0..3),
    )
        .prop_map(
            |(
                mapping_table,
                location_table,
                function_table,
                link_table,
                string_table,
                attribute_table,
                stack_table,
            )| {
                ProfilesDictionary {
                    mapping_table,
                    location_table,
                    function_table,
                    link_table,
                    string_table,
                    attribute_table,
                    stack_table,
                }
            },
        )
}

/// Any message, valid or not.
fn request() -> impl Strategy<Value = ExportProfilesServiceRequest> {
    let scope = any::<Option<(String, u32)>>().prop_map(|scope| {
        scope.map(|(name, dropped_attributes_count)| InstrumentationScope {
            version: name.clone(),
            name,
            dropped_attributes_count,
            attributes: Vec::new(),
        })
    });
    let resource = prop::option::of(resource());
    (resource, profile(), prop::option::of(dictionary()), scope).prop_map(
        |(resource, profile, dictionary, scope)| {
            let profiles = vec![profile, Profile::default()];
            let scope_profiles = vec![ScopeProfiles { scope, profiles, schema_url: "url".into() }];
            let resource = ResourceProfiles { resource, scope_profiles, schema_url: String::new() };
            ExportProfilesServiceRequest { resource_profiles: vec![resource], dictionary }
        },
    )
}

proptest! {
    /// Any message reads back as it was.
    #[test]
    fn any_message_reads_back(request in request()) {
        prop_assert_eq!(parse::request(&text(&request)), request);
    }

    /// Any message in canonical protobuf JSON reads back as it was, by another library and the
    /// schema alone.
    #[test]
    fn any_message_reads_back_by_the_schema(request in request()) {
        prop_assert_eq!(reflect::request(&text(&request)), request);
    }

    /// Messages that are made from samples read back as they were.
    #[test]
    fn a_window_reads_back(samples in samples(1_000, 20)) {
        prop_assume!(!samples.is_empty());
        let request = only_request(&[batch(samples.into_iter().map(Event::Sample).collect(), Watermark::END)]);
        prop_assert_eq!(parse::request(&text(&request)), request.clone());
        prop_assert_eq!(reflect::request(&text(&request)), request);
    }
}
