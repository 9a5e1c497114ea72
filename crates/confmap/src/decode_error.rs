//! Reasons why a value does not fit its key, in words for the person who wrote it.

use std::fmt;

use figment::value::{Num, Value};
use serde::de::{self, Expected, Unexpected};

use crate::fault::{Advise, Fault, hint};

/// A reason why a value cannot be read, and the value's place.
#[derive(Debug)]
pub(crate) struct DecodeError {
    /// Keys from the root to the value; empty until the error has passed the node that it is about.
    pub(crate) path: Vec<String>,
    /// The problem with the value.
    pub(crate) problem: Problem,
}

/// A reason why a value cannot be read.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The value is `null` where the key wants something: no fault, the key counts as absent.
    Null,
    /// A struct has no such key.
    UnknownKey(String, &'static [&'static str]),
    /// An enum has no such value.
    UnknownValue(String, &'static [&'static str]),
    /// A key without a default is absent.
    Missing(&'static str),
    /// The value is of another type or out of range.
    Mismatch { expected: String, found: String },
    /// A problem that a type describes in its own words.
    Other(String),
}

impl DecodeError {
    /// The error, placed at `path` unless it has a place already.
    pub(crate) fn at(mut self, path: &[String]) -> Self {
        if self.path.is_empty() {
            self.path = path.to_vec();
        }
        self
    }

    /// The error as the user sees it: an unknown key is a fault of the map that holds it.
    pub(crate) fn into_fault(mut self, advise: Advise) -> Fault {
        let mut message = self.problem.to_string();
        if let Problem::UnknownKey(key, _) = &self.problem {
            if let Some(advice) = advise(&self.path) {
                message = format!("has invalid keys: {key}: {advice}");
            }
            self.path.pop();
        }
        Fault { path: self.path, message, source: None }
    }

    /// The problem that `value` is not of the type that its key expects.
    pub(crate) fn mismatch(value: &Value, expected: &dyn Expected) -> Self {
        let found = match value {
            Value::String(_, text) => Unexpected::Str(text),
            Value::Char(_, c) => Unexpected::Char(*c),
            Value::Bool(_, value) => Unexpected::Bool(*value),
            Value::Num(_, Num::U64(value)) => Unexpected::Unsigned(*value),
            Value::Num(_, Num::I64(value)) => Unexpected::Signed(*value),
            Value::Num(_, number) => Unexpected::Float(number.to_f64().unwrap_or(f64::NAN)),
            Value::Empty(..) => Unexpected::Unit,
            Value::Dict(..) => Unexpected::Map,
            Value::Array(..) => Unexpected::Seq,
        };
        de::Error::invalid_type(found, expected)
    }
}

impl From<Problem> for DecodeError {
    fn from(problem: Problem) -> Self {
        Self { path: Vec::new(), problem }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("must not be empty"),
            Self::UnknownKey(key, keys) => {
                write!(f, "has invalid keys: {key}{}", hint(key, keys.iter().copied()))
            }
            Self::UnknownValue(value, values) => {
                write!(f, "unknown value {value:?}{}", hint(value, values.iter().copied()))
            }
            Self::Missing(key) => write!(f, "requires a non-empty {key:?}"),
            Self::Mismatch { expected, found } => write!(f, "expected {expected}, found {found}"),
            Self::Other(message) => f.write_str(message),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Problem::Other(message.to_string()).into()
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        if found == Unexpected::Unit {
            return Problem::Null.into();
        }
        Problem::Mismatch { expected: in_words(&expected.to_string()), found: shown(found) }.into()
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Problem::UnknownValue(variant.to_owned(), expected).into()
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Problem::UnknownKey(field.to_owned(), expected).into()
    }

    fn missing_field(field: &'static str) -> Self {
        Problem::Missing(field).into()
    }
}

/// The value that was found, as written.
fn shown(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => value.to_string(),
        Unexpected::Signed(value) => value.to_string(),
        Unexpected::Float(value) => value.to_string(),
        Unexpected::Str(text) => format!("{text:?}"),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a map".to_owned(),
        other => other.to_string(),
    }
}

/// serde's name of a type, in words that describe the values one may write.
fn in_words(expected: &str) -> String {
    let whole = |min: i128, max: i128| format!("a whole number from {min} to {max}");
    match expected {
        "u8" => whole(0, u8::MAX.into()),
        "u16" => whole(0, u16::MAX.into()),
        "u32" => whole(0, u32::MAX.into()),
        "u64" | "usize" => whole(0, u64::MAX.into()),
        "i32" => whole(i32::MIN.into(), i32::MAX.into()),
        "i64" => whole(i64::MIN.into(), i64::MAX.into()),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "path string" => "a path".to_owned(),
        "a sequence" => "a list".to_owned(),
        other if other.starts_with("struct ") || other == "a map" => "a map of keys".to_owned(),
        // The visitor of an enum names the Rust type, which means nothing to the reader.
        other if other.starts_with("enum ") || other.starts_with("variant ") => "one of its names".to_owned(),
        other if other.starts_with("a nonzero ") => format!("a whole number above 0 ({other})"),
        other => other.to_owned(),
    }
}
