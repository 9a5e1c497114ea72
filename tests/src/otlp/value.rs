//! Attribute values of the kinds that profiles use.

use std::collections::BTreeMap;
use std::fmt;

use super::wire::{AnyValue, KeyValue};

/// Attributes by key.
pub type Attributes = BTreeMap<String, Value>;

/// Value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// An integer.
    Int(i64),
    /// A truth value.
    Bool(bool),
    /// A number.
    Double(f64),
    /// A list of values.
    List(Vec<Value>),
}

impl Value {
    /// The value of an `AnyValue`, with references resolved in `strings`; `None` if it is empty, its reference is
    /// outside of `strings`, or profiles do not use its kind.
    #[must_use]
    pub fn of(any: &AnyValue, strings: &[String]) -> Option<Self> {
        let AnyValue { bool_value, int_value, double_value, array_value, .. } = any;
        None.or_else(|| text(any, strings).map(|text| Self::Text(text.to_owned())))
            .or_else(|| bool_value.map(Self::Bool))
            .or_else(|| int_value.map(Self::Int))
            .or_else(|| double_value.map(Self::Double))
            .or_else(|| {
                let list = array_value.as_ref()?;
                list.values
                    .iter()
                    .map(|value| Self::of(value, strings))
                    .collect::<Option<_>>()
                    .map(Self::List)
            })
    }

    /// The text, if the value is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The integer, if the value is one.
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

/// The text of a value, inline or as a reference into `strings`.
#[must_use]
pub fn text<'a>(any: &'a AnyValue, strings: &'a [String]) -> Option<&'a str> {
    any.string_value.as_deref().or_else(|| string(any.string_value_strindex?, strings))
}

/// The key of an attribute, inline or as a reference into `strings`; `None` if the reference is outside of it.
#[must_use]
pub fn key<'a>(attribute: &'a KeyValue, strings: &'a [String]) -> Option<&'a str> {
    match attribute.key_strindex {
        0 => Some(&attribute.key),
        index => string(index, strings),
    }
}

/// Attributes of a resource by key; attributes without a value are left out.
pub(super) fn attributes(list: &[KeyValue], strings: &[String]) -> Attributes {
    let pair = |kv: &KeyValue| Some((key(kv, strings)?.to_owned(), Value::of(kv.value.as_ref()?, strings)?));
    list.iter().filter_map(pair).collect()
}

fn string(index: i32, strings: &[String]) -> Option<&str> {
    strings.get(usize::try_from(index).ok()?).map(String::as_str)
}
