//! The whole component against a small world of processes that knows the truth of every sample.

mod layer;
mod learnt;
mod lost;
mod model;
mod pods;
mod scene;
pub(crate) mod world;
