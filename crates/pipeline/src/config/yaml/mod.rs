//! YAML to a tree that knows the line of each of its nodes. A total function of the text.
//!
//! The parser is `saphyr-parser`, which says where things stand; what a scalar means is `scalar.rs`.

mod build;
mod scalar;

use std::fmt;

/// Deepest nesting.
pub(super) const MAX_DEPTH: usize = 128;
/// Most nodes of a document. An alias counts as often as it is used, so that a few lines of nested aliases
/// do not fill the memory.
pub(super) const MAX_NODES: usize = 100_000;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Line, from 1.
    pub(super) line: usize,
    /// The value.
    pub(super) value: Yaml,
}

impl Node {
    /// How many values it is, itself included.
    pub(super) fn size(&self) -> usize {
        1 + match &self.value {
            Yaml::Scalar(_) => 0,
            Yaml::List(items) => items.iter().map(Self::size).sum(),
            Yaml::Map(entries) => entries.iter().map(|(_, node)| node.size()).sum(),
        }
    }
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Yaml {
    /// One value.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order it is written. No key comes twice.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    /// Line, from 1.
    pub(super) line: usize,
    /// The key, as text whatever it is.
    pub(super) text: String,
}

/// A value that holds no others.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
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
pub(super) struct YamlFault {
    /// Line, from 1.
    pub(super) line: usize,
    /// What is wrong.
    pub(super) message: String,
}

/// What a text holds.
#[derive(Debug, PartialEq)]
pub(super) struct Document {
    /// The value; null for an empty text.
    pub(super) root: Node,
    /// What is wrong with it and yet leaves it readable.
    pub(super) faults: Vec<YamlFault>,
}

/// Reads `text`, which holds at most one document.
pub(super) fn parse(text: &str) -> Result<Document, YamlFault> {
    build::build(text)
}

#[cfg(test)]
mod tests;
