//! Metrics that the `metrics` macros record, exposed as families.

pub(crate) mod exposition;
pub(crate) mod family;
mod plain;
mod recorded;
mod registry;
mod rendered;
mod view;

pub(crate) use registry::Registry;
pub(crate) use view::Views;
