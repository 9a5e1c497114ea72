//! The table of all component types, and the traits of their classes.
//!
//! A type is one small file here, which implements the trait of its class ([`ReceiverConfig`], [`ProcessorConfig`],
//! [`ExporterConfig`], [`ExtensionConfig`]) for the `Config` of the component's crate, and one line below.

mod class;
mod exporter_debug;
mod exporter_file;
mod exporter_flamegraph;
mod exporter_otlp_grpc;
mod exporter_otlp_http;
mod exporter_prometheus;
mod exporter_top;
mod extension;
mod extension_file_storage;
mod extension_health_check;
mod extension_zpages;
mod factory;
mod host;
mod id;
mod processor_memory_limiter;
mod processor_procinfo;
mod processor_symbolizer;
mod receiver_ebpf;
mod sampling;

pub use class::{
    BoxError, BoxedStage, ExporterConfig, ExporterSettings, ExtensionConfig, ExtensionSettings,
    ProcessorConfig, ProcessorPosition, ProcessorSettings, Receiver, ReceiverConfig, ReceiverSettings, stage,
};
pub use extension::{BoxFuture, Extension};
pub use factory::{Configuration, Factory, Stability};
pub use host::Host;
pub use id::ComponentId;
pub use sampling::Sampling;

/// Receivers, which samples come from.
pub static RECEIVERS: &[Factory<dyn ReceiverConfig>] = &[receiver_ebpf::FACTORY];

/// Processors, which samples pass through.
pub static PROCESSORS: &[Factory<dyn ProcessorConfig>] =
    &[processor_memory_limiter::FACTORY, processor_procinfo::FACTORY, processor_symbolizer::FACTORY];

/// Exporters, which samples go to.
pub static EXPORTERS: &[Factory<dyn ExporterConfig>] = &[
    exporter_debug::FACTORY,
    exporter_file::FACTORY,
    exporter_flamegraph::FACTORY,
    exporter_otlp_grpc::FACTORY,
    exporter_otlp_http::FACTORY,
    exporter_prometheus::FACTORY,
    exporter_top::FACTORY,
];

/// Extensions, which run beside the pipelines.
pub static EXTENSIONS: &[Factory<dyn ExtensionConfig>] =
    &[extension_file_storage::FACTORY, extension_health_check::FACTORY, extension_zpages::FACTORY];
