//! Merged configuration to typed configuration, with every fault found and placed.
//!
//! Stricter than figment's own deserializer, as the Collector is: a list is no struct, a number is no
//! enum; a `null` means "as if the key were absent". A key that wants a string gets the text behind a
//! reference (see [`Originals`]).

use figment::value::{Dict, Num, Value};
use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, IntoDeserializer, Visitor};

use crate::decode_error::{DecodeError, Problem};
use crate::fault::{Advise, Fault, Faults};
use crate::references::Originals;
use crate::sources::Sources;

/// The tree and the facts about its values that reading a part of it needs.
#[derive(Debug)]
pub struct Context<'a> {
    /// Texts behind references.
    pub(crate) originals: &'a Originals,
    /// The whole tree, merged and expanded.
    pub root: &'a Dict,
    /// Index of the places where the tree's values are written.
    pub(crate) sources: &'a Sources,
    /// Advice about unknown keys; see [`Context::advised_by`].
    pub(crate) advise: Advise,
}

impl Context<'_> {
    /// Adds the advice of `advise` to faults about unknown keys.
    #[must_use]
    pub fn advised_by(self, advise: Advise) -> Self {
        Self { advise, ..self }
    }

    /// Reads `value`, which stands at `path`, as a `T`. Every fault is added to `faults`: a faulty key is noted, taken
    /// out, and the rest read again. `None` if faults leave nothing to read.
    pub(crate) fn decode<T: DeserializeOwned>(
        &self,
        value: &Value,
        path: &[String],
        faults: &mut Faults,
    ) -> Option<T> {
        let mut value = value.clone();
        let mut sound = true;
        // Each turn but the last removes a node of the tree, so this ends.
        loop {
            let node = Node { value: &value, path: path.to_vec(), originals: self.originals };
            let error = match T::deserialize(node) {
                Ok(decoded) => return Some(decoded),
                Err(error) => error,
            };
            let within = error.path.get(path.len()..).unwrap_or_default().to_vec();
            // A key that is missing since it was taken out has been reported.
            let repeats = !sound && matches!(error.problem, Problem::Missing(_));
            if !matches!(error.problem, Problem::Null) {
                sound = false;
                if !repeats {
                    let source = self.place(&error.path);
                    faults.push(Fault { source, ..error.into_fault(self.advise) });
                }
            }
            if !remove(&mut value, &within) {
                return None;
            }
        }
    }

    /// The place where the value at `path`, or the section that would hold it, is written: `agent.yaml:12`.
    #[must_use]
    pub fn place(&self, path: &[String]) -> Option<String> {
        self.sources.place(self.root, path)
    }
}

/// The node at `path`.
pub(crate) fn find<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| match value {
        Value::Dict(_, dict) => dict.get(key),
        Value::Array(_, items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Takes the node at `path` out of the tree; false if there is none or it is the root.
fn remove(value: &mut Value, path: &[String]) -> bool {
    match (value, path) {
        (Value::Dict(_, dict), [last]) => dict.remove(last).is_some(),
        (Value::Dict(_, dict), [first, rest @ ..]) => dict.get_mut(first).is_some_and(|v| remove(v, rest)),
        (Value::Array(_, items), [first, rest @ ..]) => match first.parse::<usize>() {
            Ok(at) if rest.is_empty() && at < items.len() => {
                items.remove(at);
                true
            }
            Ok(at) => items.get_mut(at).is_some_and(|v| remove(v, rest)),
            Err(_) => false,
        },
        _ => false,
    }
}

/// Contents of a section without a value.
static EMPTY: Dict = Dict::new();

/// A value and where it stands.
struct Node<'a> {
    value: &'a Value,
    path: Vec<String>,
    originals: &'a Originals,
}

impl<'a> Node<'a> {
    fn child(&self, key: String, value: &'a Value) -> Self {
        let mut path = self.path.clone();
        path.push(key);
        Self { value, path, originals: self.originals }
    }

    /// The entries of a map that stands here, for serde.
    fn entries(&self, dict: &'a Dict) -> impl Iterator<Item = (Key<'a>, Self)> {
        dict.iter().map(|(key, value)| {
            let node = self.child(key.clone(), value);
            (Key { key, path: node.path.clone() }, node)
        })
    }

    /// The value as a string: itself, or the text of the reference it came from.
    fn text(&self) -> Option<&'a str> {
        match self.value {
            Value::String(_, text) => Some(text),
            _ => self.originals.get(&self.path).map(String::as_str),
        }
    }

    fn mismatch<'de, V: Visitor<'de>>(&self, visitor: &V) -> DecodeError {
        DecodeError::mismatch(self.value, visitor).at(&self.path)
    }
}

impl<'de> IntoDeserializer<'de, DecodeError> for Node<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// A key of a map, with its path so that an unknown key is reported where it stands.
struct Key<'a> {
    key: &'a str,
    path: Vec<String>,
}

impl<'de> IntoDeserializer<'de, DecodeError> for Key<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> de::Deserializer<'de> for Key<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_borrowed_str(self.key).map_err(|error: DecodeError| error.at(&self.path))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> de::Deserializer<'de> for Node<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let path = self.path.clone();
        let result = match self.value {
            Value::String(_, text) => visitor.visit_borrowed_str(text),
            Value::Char(_, c) => visitor.visit_char(*c),
            Value::Bool(_, value) => visitor.visit_bool(*value),
            Value::Num(_, Num::U64(value)) => visitor.visit_u64(*value),
            Value::Num(_, Num::I64(value)) => visitor.visit_i64(*value),
            Value::Num(_, Num::F64(value)) => visitor.visit_f64(*value),
            // The provider makes no other.
            Value::Num(..) => Err(self.mismatch(&visitor)),
            Value::Empty(..) => visitor.visit_unit(),
            Value::Dict(..) => return self.deserialize_map(visitor),
            Value::Array(..) => return self.deserialize_seq(visitor),
        };
        result.map_err(|error| error.at(&path))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let Value::Dict(_, dict) = self.value else { return Err(self.mismatch(&visitor)) };
        visitor.visit_map(MapDeserializer::new(self.entries(dict))).map_err(|error| error.at(&self.path))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        // A section without a value is there, with its defaults.
        match self.value {
            Value::Empty(..) => visitor.visit_map(MapDeserializer::new(self.entries(&EMPTY))),
            _ => self.deserialize_map(visitor),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let result = match self.value {
            Value::Array(_, items) => {
                let items = items.iter().enumerate().map(|(at, item)| self.child(at.to_string(), item));
                visitor.visit_seq(SeqDeserializer::new(items))
            }
            // As in the Collector, `a, b` is short for `[a, b]`.
            Value::String(_, text) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                visitor.visit_seq(SeqDeserializer::new(items))
            }
            _ => Err(self.mismatch(&visitor)),
        };
        result.map_err(|error: DecodeError| error.at(&self.path))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.text() {
            Some(text) => visitor.visit_str(text).map_err(|error: DecodeError| error.at(&self.path)),
            None => Err(self.mismatch(&visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.value {
            Value::Empty(..) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        // The value may be a token of digits that lacks its quotes.
        if name == configtypes::secret::TYPE_NAME
            && self.text().is_none()
            && !matches!(self.value, Value::Empty(..))
        {
            let message = "expected a string, found another value (not shown, since it is secret)";
            return Err(DecodeError::from(Problem::Other(message.to_owned())).at(&self.path));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let result = match (self.value, self.text()) {
            (Value::Dict(_, dict), None) if dict.len() == 1 => {
                let entries = MapDeserializer::new(self.entries(dict));
                visitor.visit_enum(MapAccessDeserializer::new(entries))
            }
            (_, Some(text)) => visitor.visit_enum(IntoDeserializer::<DecodeError>::into_deserializer(text)),
            _ => Err(self.mismatch(&visitor)),
        };
        result.map_err(|error: DecodeError| error.at(&self.path))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        tuple tuple_struct identifier ignored_any
    }
}
