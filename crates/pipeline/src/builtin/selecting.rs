//! The selection as a processor.

use selection::SelectionLayer;
use serde::Serialize;
use tower::Layer as _;

use crate::components::{BoxError, BoxedStage, ProcessorConfig, ProcessorPosition, ProcessorSettings, stage};

/// Drops samples that a command did not ask for. It stands first, so that no stage looks anything up for dropped
/// samples.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Selecting {
    #[serde(skip)]
    pub(super) layer: SelectionLayer,
}

impl PartialEq for Selecting {
    fn eq(&self, _other: &Self) -> bool {
        // A command has one selection, which never changes.
        true
    }
}

impl ProcessorConfig for Selecting {
    fn position(&self) -> ProcessorPosition {
        ProcessorPosition::BeforeAttribution
    }

    fn start(&self, _settings: &ProcessorSettings, next: BoxedStage) -> Result<BoxedStage, BoxError> {
        Ok(stage(self.layer.layer(next)))
    }
}
