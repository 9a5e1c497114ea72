//! Differences between two configurations, and the steps that they take.

use std::sync::Arc;

use crate::components::ReceiverConfig;
use crate::config::{ComponentId, Config, Pipeline};

/// The steps from one configuration to another, apart from exporters and extensions.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// Receivers that can be changed to their new configuration while they run.
    pub(super) adjust: Vec<(ComponentId, Arc<dyn ReceiverConfig>)>,
    /// The reason why every receiver has to be started anew; `None` if none has.
    pub(super) restart: Option<String>,
}

impl Change {
    pub(super) fn between(old: &Config, new: &Config) -> Self {
        let mut change = Self::default();
        let (before, after) = (&old.graph.pipelines, &new.graph.pipelines);
        let same = |(a, b): (&Pipeline, &Pipeline)| a.same_but_exporters(b);
        if before.len() != after.len() || !before.iter().zip(after).all(same) {
            change.restart = Some("pipelines, or processors of theirs, have changed".to_owned());
        }
        let old = old.graph.receivers();
        for (id, config) in new.graph.receivers() {
            match old.get(&id) {
                Some(running) if config.same(&**running) => {}
                Some(running) if config.adjusts(&**running) => change.adjust.push((id, config)),
                _ => change.restart = Some(format!("receivers::{id} has changed")),
            }
        }
        change
    }
}
