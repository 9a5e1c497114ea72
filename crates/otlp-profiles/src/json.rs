//! OTLP/JSON of a request, written straight from the message.
//!
//! The text follows the rules of the OTLP specification: keys in lowerCamelCase, 64-bit integers as decimal strings,
//! trace, span and profile IDs as hex, other bytes as base64, fields with their default value left out. A value of an
//! `AnyValue` is always written, since its presence shows its type. The text has no line break, so requests can stand
//! one on a line.
//!
//! `opentelemetry-proto`'s own serde output is not OTLP/JSON for profiles: it writes IDs as arrays and
//! numbers of 64 bits as numbers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use opentelemetry_proto::tonic::collector::profiles::v1development::ExportProfilesServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::profiles::v1development::{
    Function, KeyValueAndUnit, Line, Link, Location, Mapping, Profile, ProfilesDictionary, ResourceProfiles,
    Sample, ScopeProfiles, Stack, ValueType,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use self::writer::{Object, Write};

mod writer;

/// Appends a request to `out`, as one line without its end.
pub fn write_request(request: &ExportProfilesServiceRequest, out: &mut Vec<u8>) {
    request.write(out);
}

impl Write for ExportProfilesServiceRequest {
    fn fields(&self, object: &mut Object<'_>) {
        object.list("resourceProfiles", &self.resource_profiles);
        object.message("dictionary", self.dictionary.as_ref());
    }
}

impl Write for ResourceProfiles {
    fn fields(&self, object: &mut Object<'_>) {
        object.message("resource", self.resource.as_ref());
        object.list("scopeProfiles", &self.scope_profiles);
        object.text("schemaUrl", &self.schema_url);
    }
}

impl Write for Resource {
    fn fields(&self, object: &mut Object<'_>) {
        object.list("attributes", &self.attributes);
        object.int("droppedAttributesCount", self.dropped_attributes_count);
        object.list("entityRefs", &self.entity_refs);
    }
}

impl Write for opentelemetry_proto::tonic::common::v1::EntityRef {
    fn fields(&self, object: &mut Object<'_>) {
        object.text("schemaUrl", &self.schema_url);
        object.text("type", &self.r#type);
        object.texts("idKeys", &self.id_keys);
        object.texts("descriptionKeys", &self.description_keys);
    }
}

impl Write for KeyValue {
    fn fields(&self, object: &mut Object<'_>) {
        object.text("key", &self.key);
        object.message("value", self.value.as_ref());
        object.int("keyStrindex", self.key_strindex);
    }
}

impl Write for AnyValue {
    fn fields(&self, object: &mut Object<'_>) {
        match &self.value {
            None => {}
            Some(any_value::Value::StringValue(text)) => object.text_always("stringValue", text),
            Some(any_value::Value::BoolValue(value)) => object.bool_always("boolValue", *value),
            Some(any_value::Value::IntValue(number)) => object.long_always("intValue", *number),
            Some(any_value::Value::DoubleValue(number)) => object.double_always("doubleValue", *number),
            Some(any_value::Value::ArrayValue(array)) => object.nested("arrayValue", |inner| {
                inner.list("values", &array.values);
            }),
            Some(any_value::Value::KvlistValue(list)) => object.nested("kvlistValue", |inner| {
                inner.list("values", &list.values);
            }),
            Some(any_value::Value::BytesValue(bytes)) => {
                object.text_always("bytesValue", &BASE64.encode(bytes));
            }
            Some(any_value::Value::StringValueStrindex(index)) => {
                object.int_always("stringValueStrindex", *index);
            }
        }
    }
}

impl Write for ScopeProfiles {
    fn fields(&self, object: &mut Object<'_>) {
        object.message("scope", self.scope.as_ref());
        object.list("profiles", &self.profiles);
        object.text("schemaUrl", &self.schema_url);
    }
}

impl Write for InstrumentationScope {
    fn fields(&self, object: &mut Object<'_>) {
        object.text("name", &self.name);
        object.text("version", &self.version);
        object.list("attributes", &self.attributes);
        object.int("droppedAttributesCount", self.dropped_attributes_count);
    }
}

impl Write for Profile {
    fn fields(&self, object: &mut Object<'_>) {
        object.message("sampleType", self.sample_type.as_ref());
        object.list("samples", &self.samples);
        object.long("timeUnixNano", self.time_unix_nano);
        object.long("durationNano", self.duration_nano);
        object.message("periodType", self.period_type.as_ref());
        object.long("period", self.period);
        object.hex("profileId", &self.profile_id);
        object.int("droppedAttributesCount", self.dropped_attributes_count);
        object.text("originalPayloadFormat", &self.original_payload_format);
        if !self.original_payload.is_empty() {
            object.text("originalPayload", &BASE64.encode(&self.original_payload));
        }
        object.ints("attributeIndices", &self.attribute_indices);
    }
}

impl Write for ValueType {
    fn fields(&self, object: &mut Object<'_>) {
        object.int("typeStrindex", self.type_strindex);
        object.int("unitStrindex", self.unit_strindex);
    }
}

impl Write for Sample {
    fn fields(&self, object: &mut Object<'_>) {
        object.int("stackIndex", self.stack_index);
        object.ints("attributeIndices", &self.attribute_indices);
        object.int("linkIndex", self.link_index);
        object.longs("values", &self.values);
        object.longs("timestampsUnixNano", &self.timestamps_unix_nano);
    }
}

impl Write for ProfilesDictionary {
    fn fields(&self, object: &mut Object<'_>) {
        object.list("mappingTable", &self.mapping_table);
        object.list("locationTable", &self.location_table);
        object.list("functionTable", &self.function_table);
        object.list("linkTable", &self.link_table);
        object.texts("stringTable", &self.string_table);
        object.list("attributeTable", &self.attribute_table);
        object.list("stackTable", &self.stack_table);
    }
}

impl Write for Mapping {
    fn fields(&self, object: &mut Object<'_>) {
        object.long("memoryStart", self.memory_start);
        object.long("memoryLimit", self.memory_limit);
        object.long("fileOffset", self.file_offset);
        object.int("filenameStrindex", self.filename_strindex);
        object.ints("attributeIndices", &self.attribute_indices);
    }
}

impl Write for Location {
    fn fields(&self, object: &mut Object<'_>) {
        object.int("mappingIndex", self.mapping_index);
        object.long("address", self.address);
        object.list("lines", &self.lines);
        object.ints("attributeIndices", &self.attribute_indices);
    }
}

impl Write for Line {
    fn fields(&self, object: &mut Object<'_>) {
        object.int("functionIndex", self.function_index);
        object.long("line", self.line);
        object.long("column", self.column);
    }
}

impl Write for Function {
    fn fields(&self, object: &mut Object<'_>) {
        object.int("nameStrindex", self.name_strindex);
        object.int("systemNameStrindex", self.system_name_strindex);
        object.int("filenameStrindex", self.filename_strindex);
        object.long("startLine", self.start_line);
    }
}

impl Write for Link {
    fn fields(&self, object: &mut Object<'_>) {
        object.hex("traceId", &self.trace_id);
        object.hex("spanId", &self.span_id);
    }
}

impl Write for KeyValueAndUnit {
    fn fields(&self, object: &mut Object<'_>) {
        object.int("keyStrindex", self.key_strindex);
        object.message("value", self.value.as_ref());
        object.int("unitStrindex", self.unit_strindex);
    }
}

impl Write for Stack {
    fn fields(&self, object: &mut Object<'_>) {
        object.ints("locationIndices", &self.location_indices);
    }
}
