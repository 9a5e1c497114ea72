//! The nodes of a YAML tree.

use std::fmt;

/// The deepest nesting that is read.
pub(crate) const MAX_DEPTH: usize = 128;
/// The most nodes that a document may have. An alias counts as often as it is used, so that a few lines of nested
/// aliases do not fill the memory.
pub(crate) const MAX_NODES: usize = 100_000;

/// A value and the line where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Line, from 1.
    pub(crate) line: usize,
    /// The value at this place.
    pub(crate) value: Yaml,
}

impl Node {
    /// Number of values in the node, itself included.
    pub(crate) fn size(&self) -> usize {
        1 + match &self.value {
            Yaml::Scalar(_) => 0,
            Yaml::List(items) => items.iter().map(Self::size).sum(),
            Yaml::Map(entries) => entries.iter().map(|(_, node)| node.size()).sum(),
        }
    }
}

/// A YAML value: the kinds that configuration can have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Yaml {
    /// A value that holds no others.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order it is written. No key comes twice.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    /// Line, from 1.
    pub(crate) line: usize,
    /// The key, as text whatever it is.
    pub(crate) text: String,
}

/// A value that holds no others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    /// A whole number from 0.
    Unsigned(u64),
    /// A whole number below 0.
    Signed(i64),
    Float(f64),
    String(String),
}

impl fmt::Display for Scalar {
    /// Writes the scalar as it is written when it is a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Unsigned(value) => value.fmt(f),
            Self::Signed(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::String(text) => f.write_str(text),
        }
    }
}

/// A fault of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct YamlFault {
    /// Line, from 1.
    pub(crate) line: usize,
    /// The fault, in words.
    pub(crate) message: String,
}

/// The document that a text holds, and its faults.
#[derive(Debug, PartialEq)]
pub(crate) struct Document {
    /// The value; null for an empty text.
    pub(crate) root: Node,
    /// Faults that leave the document readable.
    pub(crate) faults: Vec<YamlFault>,
}
