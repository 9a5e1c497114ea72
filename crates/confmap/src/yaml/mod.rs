//! YAML to a tree that knows the line of each of its nodes. A total function of the text.
//!
//! The parser is `saphyr-parser`, which says where things stand; what a scalar means is `scalar.rs`.

mod build;
mod node;
mod scalar;

pub(crate) use node::{Document, MAX_DEPTH, Node, Scalar, Yaml, YamlFault};

/// Reads `text`, which holds at most one document.
pub(crate) fn parse(text: &str) -> Result<Document, YamlFault> {
    build::build(text)
}

#[cfg(test)]
mod tests;
