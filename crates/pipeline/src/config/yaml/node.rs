//! The tree.

use std::fmt;

/// Deepest nesting.
pub(in crate::config) const MAX_DEPTH: usize = 128;
/// Most nodes of a document. An alias counts as often as it is used, so that a few lines of nested aliases
/// do not fill the memory.
pub(in crate::config) const MAX_NODES: usize = 100_000;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::config) struct Node {
    /// Line, from 1.
    pub(in crate::config) line: usize,
    /// The value.
    pub(in crate::config) value: Yaml,
}

impl Node {
    /// How many values it is, itself included.
    pub(in crate::config) fn size(&self) -> usize {
        1 + match &self.value {
            Yaml::Scalar(_) => 0,
            Yaml::List(items) => items.iter().map(Self::size).sum(),
            Yaml::Map(entries) => entries.iter().map(|(_, node)| node.size()).sum(),
        }
    }
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::config) enum Yaml {
    /// One value.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order it is written. No key comes twice.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::config) struct Key {
    /// Line, from 1.
    pub(in crate::config) line: usize,
    /// The key, as text whatever it is.
    pub(in crate::config) text: String,
}

/// A value that holds no others.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::config) enum Scalar {
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
    /// As a key is written.
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

/// Something wrong with the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct YamlFault {
    /// Line, from 1.
    pub(in crate::config) line: usize,
    /// What is wrong.
    pub(in crate::config) message: String,
}

/// What a text holds.
#[derive(Debug, PartialEq)]
pub(in crate::config) struct Document {
    /// The value; null for an empty text.
    pub(in crate::config) root: Node,
    /// What is wrong with it and yet leaves it readable.
    pub(in crate::config) faults: Vec<YamlFault>,
}
