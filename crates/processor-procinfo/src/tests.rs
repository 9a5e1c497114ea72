//! The whole component against a small world of processes that knows the truth of every sample.

mod layer;
mod lost;
mod model;
mod pods;
pub(crate) mod world;
