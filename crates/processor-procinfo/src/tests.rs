//! The whole component against a small world of processes that knows the truth of every sample.

mod layer;
mod lost;
mod model;
pub(crate) mod world;
