//! Names of OTLP/JSON's fields that are read, and their encoding in protobuf.

/// A field of a message.
#[derive(Debug)]
pub(super) struct JsonField {
    /// The field's name in lowerCamelCase; readers accept it in `snake_case`, too.
    pub(super) name: &'static str,
    pub(super) number: u32,
    pub(super) kind: Kind,
}

/// The type of a field's values. Any field may be repeated.
#[derive(Debug)]
pub(super) enum Kind {
    /// A message with these fields. The reference is double since messages may contain messages of their own kind.
    Message(&'static &'static [JsonField]),
    Text,
    Number,
    /// A number of eight bytes.
    Fixed64,
    Bool,
    Double,
}

use Kind::{Bool, Double, Fixed64, Message, Number, Text};

const fn field(number: u32, name: &'static str, kind: Kind) -> JsonField {
    JsonField { name, number, kind }
}

/// The fields of `ExportProfilesServiceRequest`.
pub(super) static REQUEST: &[JsonField] = &[
    field(1, "resourceProfiles", Message(&RESOURCE_PROFILES)),
    field(2, "dictionary", Message(&DICTIONARY)),
];

static RESOURCE_PROFILES: &[JsonField] =
    &[field(1, "resource", Message(&RESOURCE)), field(2, "scopeProfiles", Message(&SCOPE_PROFILES))];

static RESOURCE: &[JsonField] = &[field(1, "attributes", Message(&KEY_VALUE))];

static SCOPE_PROFILES: &[JsonField] = &[field(2, "profiles", Message(&PROFILE))];

static PROFILE: &[JsonField] = &[
    field(1, "sampleType", Message(&VALUE_TYPE)),
    field(2, "samples", Message(&SAMPLE)),
    field(3, "timeUnixNano", Fixed64),
    field(4, "durationNano", Number),
    field(5, "periodType", Message(&VALUE_TYPE)),
    field(6, "period", Number),
    field(11, "attributeIndices", Number),
];

static VALUE_TYPE: &[JsonField] = &[field(1, "typeStrindex", Number), field(2, "unitStrindex", Number)];

static SAMPLE: &[JsonField] = &[
    field(1, "stackIndex", Number),
    field(2, "attributeIndices", Number),
    field(4, "values", Number),
    field(5, "timestampsUnixNano", Fixed64),
];

static DICTIONARY: &[JsonField] = &[
    field(1, "mappingTable", Message(&MAPPING)),
    field(2, "locationTable", Message(&LOCATION)),
    field(3, "functionTable", Message(&FUNCTION)),
    field(5, "stringTable", Text),
    field(6, "attributeTable", Message(&KEY_VALUE_AND_UNIT)),
    field(7, "stackTable", Message(&STACK)),
];

static MAPPING: &[JsonField] = &[
    field(1, "memoryStart", Number),
    field(2, "memoryLimit", Number),
    field(3, "fileOffset", Number),
    field(4, "filenameStrindex", Number),
    field(5, "attributeIndices", Number),
];

static LOCATION: &[JsonField] = &[
    field(1, "mappingIndex", Number),
    field(2, "address", Number),
    field(3, "lines", Message(&LINE)),
    field(4, "attributeIndices", Number),
];

static LINE: &[JsonField] =
    &[field(1, "functionIndex", Number), field(2, "line", Number), field(3, "column", Number)];

static FUNCTION: &[JsonField] = &[
    field(1, "nameStrindex", Number),
    field(2, "systemNameStrindex", Number),
    field(3, "filenameStrindex", Number),
    field(4, "startLine", Number),
];

static STACK: &[JsonField] = &[field(1, "locationIndices", Number)];

static KEY_VALUE_AND_UNIT: &[JsonField] = &[
    field(1, "keyStrindex", Number),
    field(2, "value", Message(&ANY_VALUE)),
    field(3, "unitStrindex", Number),
];

static KEY_VALUE: &[JsonField] =
    &[field(1, "key", Text), field(2, "value", Message(&ANY_VALUE)), field(3, "keyStrindex", Number)];

static ANY_VALUE: &[JsonField] = &[
    field(1, "stringValue", Text),
    field(2, "boolValue", Bool),
    field(3, "intValue", Number),
    field(4, "doubleValue", Double),
    field(5, "arrayValue", Message(&ARRAY_VALUE)),
    field(8, "stringValueStrindex", Number),
];

static ARRAY_VALUE: &[JsonField] = &[field(1, "values", Message(&ANY_VALUE))];
