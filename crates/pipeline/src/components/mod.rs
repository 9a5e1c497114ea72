//! The component types there are: the one table of them, and what each can do whatever its type.
//!
//! A type is one small file here, which ties the `Config` of a component's crate to the trait of its class
//! ([`ReceiverConfig`], [`ProcessorConfig`], [`ExporterConfig`], [`ExtensionConfig`]), and one line below.

mod class;
mod exporter_debug;
mod exporter_file;
mod exporter_otlp_grpc;
mod exporter_otlp_http;
mod factory;
mod host;
mod processor_procinfo;
mod receiver_ebpf;

pub use class::{
    BoxError, BoxFuture, ExporterConfig, ExporterSettings, Extension, ExtensionConfig, ExtensionSettings,
    Place, ProcessorConfig, ProcessorSettings, Receiver, ReceiverConfig, ReceiverSettings, Stage, stage,
};
pub use factory::{Configuration, Factory, Stability};
pub use host::Host;

/// Receivers: where samples come from.
pub static RECEIVERS: &[Factory<dyn ReceiverConfig>] = &[receiver_ebpf::FACTORY];

/// Processors: what samples pass through.
pub static PROCESSORS: &[Factory<dyn ProcessorConfig>] = &[processor_procinfo::FACTORY];

/// Exporters: where samples go.
pub static EXPORTERS: &[Factory<dyn ExporterConfig>] = &[
    exporter_debug::FACTORY,
    exporter_file::FACTORY,
    exporter_otlp_grpc::FACTORY,
    exporter_otlp_http::FACTORY,
];

/// Extensions: what runs beside the pipelines.
pub static EXTENSIONS: &[Factory<dyn ExtensionConfig>] = &[];
