//! Reports by HTTP whether the agent does its work: for Kubernetes' probes, load balancers and people. Type
//! `health_check`, as in the Collector, and with its answers; but an agent that runs is not healthy unless its samples
//! get on: one with a receiver that has stalled, or with a stage whose watermark is too far behind, is not.

mod body;
mod config;
mod health;

pub use config::{Config, ResponseBody};
pub use health::HealthCheck;
