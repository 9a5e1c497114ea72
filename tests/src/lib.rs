//! The harness of the integration tests: starts the agent, a real Collector and programs to profile, and reads the
//! agent's output without any of the agent's own code.
//!
//! Helpers that handle processes panic with a clear text when something is not as it must be: that is a failed test.
//! Helpers that read bytes return errors.

pub mod agent;
pub mod api_server;
pub mod collector;
pub mod daemon;
pub mod debuginfod;
pub mod due;
pub mod fuse;
pub mod group;
pub mod http;
mod lines;
pub mod metrics;
pub mod otlp;
pub mod overlay;
mod port;
pub mod program;
pub mod prometheus;
pub mod reader;
pub mod recording;
pub mod validator;
pub mod wait;
pub mod workspace;

pub use lines::Lines;
