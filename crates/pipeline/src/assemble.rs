//! The graph: the only place that knows two components.
//!
//! ```text
//! receiver-ebpf --> processor-procinfo --> fan-out --+--> exporter
//!                                                    +--> exporter
//! ```

use std::future::Future;
use std::io;

use exporter_debug::DebugExporter;
use exporter_file::FileExporter;
use exporter_otlp::OtlpExporter;
use pdata::{Batch, Watermark};
use processor_procinfo::ProcInfoLayer;
use receiver_ebpf::{Receiver, ReceiverError};
use thiserror::Error;
use tower::{Service, ServiceBuilder};
use tracing::info;

use crate::config::{ComponentId, ExporterConfig, Pipeline};
use crate::layer::{FanOut, InstrumentLayer, NoBranchLeft, Settings};
use crate::metrics::{INCOMING, OUTGOING, processor_items};

/// Why the pipeline cannot start or go on.
#[derive(Debug, Error)]
pub enum PipelineError {
    /// The receiver cannot attach to the kernel.
    #[error("cannot start receivers::ebpf")]
    Receiver(#[from] receiver_ebpf::StartError),
    /// A file exporter cannot open its file.
    #[error("cannot start exporters::{id}")]
    File {
        /// Which.
        id: ComponentId,
        /// Why.
        source: exporter_file::OpenError,
    },
    /// An OTLP exporter cannot be set up.
    #[error("cannot start exporters::{id}")]
    Otlp {
        /// Which.
        id: ComponentId,
        /// Why.
        source: exporter_otlp::ConnectError,
    },
    /// The pipeline has failed while it ran.
    #[error("receiver ebpf has stopped")]
    Run(#[source] ReceiverError),
}

/// Runs the pipeline until `stop`, then drains it: what was sampled before `stop` is exported.
///
/// # Errors
/// [`PipelineError`] if a component cannot start, or fails so that nothing more can be sampled.
pub async fn run(pipeline: &Pipeline, stop: impl Future<Output = ()> + Send) -> Result<(), PipelineError> {
    // From the end to the start, so that nothing flows before there is somewhere for it to go.
    let next = stages(pipeline)?;
    let receiver = Receiver::start(&pipeline.receiver)?;
    info!("Everything is ready. Begin running and processing data.");
    receiver.run(next, stop).await.map_err(PipelineError::Run)?;
    info!("Shutdown complete.");
    Ok(())
}

/// Everything after the receiver.
fn stages(
    pipeline: &Pipeline,
) -> Result<
    impl Service<Batch, Response = Watermark, Error = NoBranchLeft, Future: Send> + Send + use<>,
    PipelineError,
> {
    let mut exporters = FanOut::new(settings(pipeline));
    for (id, config) in &pipeline.exporters {
        exporters = export(exporters, id, config)?;
    }
    Ok(ServiceBuilder::new()
        .layer(InstrumentLayer::new(processor_items(INCOMING, "procinfo")))
        // Before the fan-out, so that all exporters share one image of each process, and so that a
        // process is held until the slowest of them is done with it.
        .layer(ProcInfoLayer::new(&pipeline.processor))
        .layer(InstrumentLayer::new(processor_items(OUTGOING, "procinfo")))
        .service(exporters))
}

/// Bounds on what a slow exporter can cost: the defaults, but with more patience than any request needs
/// by its own configuration, which is the exporter's to give up.
fn settings(pipeline: &Pipeline) -> Settings {
    let defaults = Settings::default();
    let timeouts = pipeline.exporters.iter().filter_map(|(_, config)| match config {
        ExporterConfig::Otlp(config) => Some(config.timeout),
        _ => None,
    });
    let patience = timeouts.max().unwrap_or_default() * 2;
    Settings { give_up_after: defaults.give_up_after.max(patience), ..defaults }
}

/// Adds an exporter to the fan-out.
fn export(exporters: FanOut, id: &ComponentId, config: &ExporterConfig) -> Result<FanOut, PipelineError> {
    let name = id.to_string();
    let settings = exporterhelper::Settings::new(&name);
    Ok(match config {
        ExporterConfig::Debug(config) => {
            exporters.branch(&name, DebugExporter::new(&settings, config.clone(), io::stdout()))
        }
        ExporterConfig::File(config) => {
            let exporter = FileExporter::open(&settings, config.clone());
            exporters
                .branch(&name, exporter.map_err(|source| PipelineError::File { id: id.clone(), source })?)
        }
        ExporterConfig::Otlp(config) => {
            let exporter = OtlpExporter::connect(&settings, config.clone());
            exporters
                .branch(&name, exporter.map_err(|source| PipelineError::Otlp { id: id.clone(), source })?)
        }
    })
}
