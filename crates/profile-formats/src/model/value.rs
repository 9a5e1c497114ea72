//! Facts that the model has no field for.

use crate::table::Id;

/// A fact of a process or of samples, under a key of OpenTelemetry or of another tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attribute {
    /// The attribute's key, such as `container.id`.
    pub key: Id<str>,
    /// The attribute's value.
    pub value: Value,
    /// The unit of a number, if one is known.
    pub unit: Option<Id<str>>,
}

/// The value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// A text.
    Text(Id<str>),
    /// A whole number.
    Int(i64),
    /// A truth value.
    Bool(bool),
}
