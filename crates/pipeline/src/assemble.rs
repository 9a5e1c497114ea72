//! A pipeline, from its head to its exporters.
//!
//! ```text
//! receiver --tee--+--> [count] processor [count] processor [count] fan-out --+--> exporter
//!                 |                                                          +--> exporter --+ shared: one instance
//!                 +--> [count] processor [count] processor [count] fan-out ------------------+
//! ```

use std::sync::Arc;
use std::time::Duration;

use componentstatus::Kind;
use layers::metrics::{INCOMING, OUTGOING, processor_duration, processor_items};
use layers::{FanOut, Inlet, InstrumentLayer, Outlets, Stopwatch};
use tower::{Layer as _, ServiceExt as _};

use crate::components::{BoxedStage, Host, ProcessorSettings, stage};
use crate::config::Pipeline;
use crate::run::error::AgentError;

/// The first stage of a pipeline, and the outlets of its fan-out.
#[derive(Debug)]
pub(crate) struct Head {
    /// The first stage, which the receiver calls.
    pub(crate) stage: BoxedStage,
    /// The ways from the fan-out to the exporters.
    pub(crate) outlets: Outlets,
}

/// Builds the stages of `pipeline` between its receiver and its exporters, from the end to the start.
pub(crate) fn head(
    host: &Arc<Host>,
    pipeline: &Pipeline,
    exporters: Vec<Inlet>,
    drain_within: Duration,
) -> Result<Head, AgentError> {
    // The fan-out is behind all processors, so that all exporters share one image of each process, and so that a
    // process is held until the slowest exporter has acked it.
    let fan_out = FanOut::new(exporters, drain_within);
    let outlets = fan_out.outlets();
    // The tally is behind the processors, which name frames and programs.
    let tally = host.stacks.tally(&pipeline.id.to_string());
    let mut next = stage(fan_out.map_request(move |batch| {
        tally.record(&batch);
        batch
    }));
    // One instrument stands between two stages, and counts a batch once for both.
    let mut between = InstrumentLayer::new();
    for (id, processor) in pipeline.processors.iter().rev() {
        let name = id.to_string();
        let shown = host.board.stage(Kind::Processor, &name, &[pipeline.id.to_string()]);
        let status = Arc::clone(shown.status());
        let watch = Stopwatch::new(processor_duration(&name)).shows(&shown);
        let passed_on =
            between.counts(processor_items(OUTGOING, &name)).shows(shown).pauses(&watch).layer(next);
        let settings = ProcessorSettings {
            id: id.clone(),
            pipeline: pipeline.id.clone(),
            status,
            host: Arc::clone(host),
        };
        let failed = |source| AgentError::Start { class: "processors", id: id.clone(), source };
        next = processor.start(&settings, stage(passed_on)).map_err(failed)?;
        between = InstrumentLayer::new().counts(processor_items(INCOMING, &name)).runs(&watch);
    }
    Ok(Head { stage: stage(between.layer(next)), outlets })
}
