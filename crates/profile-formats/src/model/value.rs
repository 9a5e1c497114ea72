//! Facts that the model has no field for.

use crate::table::Id;

/// A fact of a process or of samples, by a key of OpenTelemetry's or of another tool's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attribute {
    /// The key, such as `container.id`.
    pub key: Id<str>,
    /// The value.
    pub value: Value,
    /// Unit of a number, if one is known.
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
