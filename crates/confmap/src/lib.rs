//! Value types of Collector-style configuration that more than one component needs.

pub mod duration;
