//! YAML text to a tree that holds the line of each of its nodes, by a total function.
//!
//! The parser is `saphyr-parser`, which reports the line of each event; `scalar.rs` has the meaning of scalars.

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
