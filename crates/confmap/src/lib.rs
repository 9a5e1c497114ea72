//! Collector-style configuration of any program, like the Collector's `confmap`: locations of YAML to one tree, and
//! parts of that tree to typed values.
//!
//! ```text
//! --config, --set --location.rs--> text --yaml/, provider.rs--> figment (merge) --references.rs, expand.rs--> Tree
//!                                          Defaults (below what is configured) --defaults.rs--> Tree::fill --+
//!                                  typed value <--decode.rs-- section.rs, one part <------ Tree::context <---+
//! ```
//!
//! Every fault is found, not only the first, and each names its place. No component is known here.

mod decode;
mod decode_error;
mod defaults;
mod environment;
mod error;
mod expand;
mod fault;
mod file;
mod flag;
mod location;
mod provider;
mod references;
mod scheme;
mod section;
mod sources;
#[cfg(test)]
mod tests;
mod tree;
mod yaml;

pub use decode::Context;
pub use defaults::Defaults;
pub use environment::Environment;
pub use error::ConfigError;
pub use fault::{Advise, Fault, Faults, hint};
pub use figment::value::{Dict, Value};
pub use flag::SETTING_FLAG;
pub use location::Location;
pub use section::Section;
pub use tree::Tree;
