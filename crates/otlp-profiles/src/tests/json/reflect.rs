//! OTLP/JSON read by prost-reflect: protobuf's canonical JSON, by the schema's own descriptors.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor};
use serde_json::Value;

static REQUEST: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(opentelemetry_proto::DESCRIPTORS).unwrap();
    let name = "opentelemetry.proto.collector.profiles.v1development.ExportProfilesServiceRequest";
    pool.get_message_by_name(name).unwrap()
});

/// The message of a text. Keys that the schema does not have are refused.
pub(super) fn request(text: &str) -> ExportProfilesServiceRequest {
    let mut value: Value = serde_json::from_str(text).unwrap();
    ids_to_base64(&mut value);
    let strict = DeserializeOptions::new().deny_unknown_fields(true);
    let message = DynamicMessage::deserialize_with_options(REQUEST.clone(), value, &strict).unwrap();
    message.transcode_to().unwrap()
}

/// Turns IDs to base64: OTLP writes them as hex, canonical JSON all bytes as base64. No key of ours has such a name
/// otherwise: attributes' keys are values in OTLP.
fn ids_to_base64(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(ids_to_base64),
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(hex) if ["traceId", "spanId", "profileId"].contains(&key.as_str()) => {
                        *hex = BASE64.encode(bytes(hex));
                    }
                    value => ids_to_base64(value),
                }
            }
        }
        _ => {}
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}
