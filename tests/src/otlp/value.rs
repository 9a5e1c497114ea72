//! Attribute values, reduced to what profiles use.

use std::collections::BTreeMap;
use std::fmt;

use super::wire::{AnyValue, KeyValue};

/// Attributes by key.
pub type Attributes = BTreeMap<String, Value>;

/// Value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// Integer.
    Int(i64),
    /// Truth.
    Bool(bool),
    /// Number.
    Double(f64),
    /// Several values.
    List(Vec<Value>),
}

impl Value {
    /// What an `AnyValue` holds; `None` if nothing, or something that profiles do not use.
    #[must_use]
    pub fn of(any: &AnyValue) -> Option<Self> {
        let AnyValue { string_value, bool_value, int_value, double_value, array_value, .. } = any;
        None.or_else(|| string_value.clone().map(Self::Text))
            .or_else(|| bool_value.map(Self::Bool))
            .or_else(|| int_value.map(Self::Int))
            .or_else(|| double_value.map(Self::Double))
            .or_else(|| {
                let list = array_value.as_ref()?;
                list.values.iter().map(Self::of).collect::<Option<_>>().map(Self::List)
            })
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The integer, if it is one.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        if let Self::Int(int) = self { Some(*int) } else { None }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Int(int) => int.fmt(f),
            Self::Bool(truth) => truth.fmt(f),
            Self::Double(number) => number.fmt(f),
            Self::List(values) => f.debug_list().entries(values).finish(),
        }
    }
}

/// Inline attributes by key; those without a value are left out.
pub(super) fn inline(attributes: &[KeyValue]) -> Attributes {
    attributes.iter().filter_map(|kv| Some((kv.key.clone(), Value::of(kv.value.as_ref()?)?))).collect()
}
