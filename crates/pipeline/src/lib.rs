//! The agent: its command line, configuration, graph of components, and run.
//!
//! Start reading at [`run::Agent`] and `assemble.rs`.

mod assemble;
mod builtin;
pub mod cli;
pub mod commands;
pub mod components;
pub mod config;
pub mod featuregate;
pub mod inventory;
pub mod output_format;
pub mod record;
pub mod run;
pub mod runtime;
pub mod signals;
pub mod top;
