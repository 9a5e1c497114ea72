//! The graph: the only place that knows two components.
//!
//! ```text
//! receiver --> processors --> fan-out --+--> exporter
//!                                       +--> exporter
//! ```

use std::future::{Future, ready};
use std::sync::Arc;

use componentstatus::Kind;
use receiver_ebpf::Control;
use thiserror::Error;
use tower::Layer as _;
use tracing::info;

use crate::components::{
    BoxError, ExporterSettings, Host, ProcessorSettings, ReceiverSettings, Stage, stage,
};
use crate::config::{ComponentId, Config, Pipeline};
use crate::layer::{FanOut, InstrumentLayer, Settings, Sink};
use crate::metrics::{INCOMING, OUTGOING, processor_items};

/// Why the pipeline cannot start or go on.
#[derive(Debug, Error)]
pub enum PipelineError {
    /// A component cannot start.
    #[error("cannot start {class}::{id}")]
    Start {
        /// `receivers`, `processors`, `exporters` or `extensions`.
        class: &'static str,
        /// Which.
        id: ComponentId,
        /// Why.
        source: BoxError,
    },
    /// A receiver has failed while it ran.
    #[error("receiver {id} has stopped")]
    Run {
        /// Which.
        id: ComponentId,
        /// Why.
        source: BoxError,
    },
}

/// Runs the pipeline until `stop`, then drains it: what was sampled before `stop` is exported.
///
/// # Errors
/// [`PipelineError`] if a component cannot start, or fails so that nothing more can be sampled.
pub async fn run(
    config: &Config,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), PipelineError> {
    let host = Arc::<Host>::default();
    // From the end to the start, so that nothing flows before there is somewhere for it to go.
    let Some(pipeline) = config.graph.pipelines.first() else { return Ok(()) };
    let (id, receiver) = pipeline.receiver.clone();
    let control = receiver.control();
    let next = stages(&host, config, pipeline, &control)?;
    let settings = ReceiverSettings { id: id.clone(), control, host };
    let failed = |source| PipelineError::Start { class: "receivers", id: id.clone(), source };
    let receiver = receiver.start(&settings).map_err(failed)?;
    info!("Everything is ready. Begin running and processing data.");
    let failed = |source| PipelineError::Run { id: id.clone(), source };
    receiver.run(next, Box::pin(stop)).await.map_err(failed)?;
    info!("Shutdown complete.");
    Ok(())
}

/// Everything after the receiver.
fn stages(
    host: &Arc<Host>,
    config: &Config,
    pipeline: &Pipeline,
    control: &Control,
) -> Result<Stage, PipelineError> {
    let mut next = stage(exporters(host, config, pipeline)?);
    for (id, processor) in pipeline.processors.iter().rev() {
        let settings = ProcessorSettings {
            id: id.clone(),
            pipeline: pipeline.id.clone(),
            control: control.clone(),
            host: host.clone(),
        };
        next = stage(InstrumentLayer::new(processor_items(OUTGOING, &id.to_string())).layer(next));
        let failed = |source| PipelineError::Start { class: "processors", id: id.clone(), source };
        next = processor.start(&settings, next).map_err(failed)?;
        next = stage(InstrumentLayer::new(processor_items(INCOMING, &id.to_string())).layer(next));
    }
    Ok(next)
}

fn exporters(host: &Arc<Host>, config: &Config, pipeline: &Pipeline) -> Result<FanOut, PipelineError> {
    let pipelines = [pipeline.id.to_string()];
    let mut inlets = Vec::new();
    for (id, exporter) in &pipeline.exporters {
        let name = id.to_string();
        let stage = host.board.stage(Kind::Exporter, &name, &pipelines);
        let settings = exporterhelper::Settings { id: name.into(), status: stage.status().clone() };
        let settings = ExporterSettings { id: id.clone(), exporter: settings, host: host.clone() };
        let failed = |source| PipelineError::Start { class: "exporters", id: id.clone(), source };
        let service = exporter.start(&settings).map_err(failed)?;
        // With more patience than any request needs by its own configuration, which is the exporter's to give up.
        let defaults = Settings::default();
        let give_up_after = defaults.give_up_after.max(exporter.patience());
        inlets.push(Sink::spawn(stage, ready(service), Settings { give_up_after, ..defaults }).open());
    }
    Ok(FanOut::new(inlets, config.shutdown_timeout))
}
