//! The extensions that run.

use std::mem;
use std::sync::Arc;

use tracing::error;

use super::bounded::{EXTENSION_WITHIN, within};
use super::error::AgentError;
use crate::components::{Extension, ExtensionConfig, ExtensionSettings, Host};
use crate::config::Used;

/// The extensions that run, in the order in which they were started.
#[derive(Debug)]
pub(super) struct Extensions {
    host: Arc<Host>,
    running: Vec<(Used<dyn ExtensionConfig>, Arc<dyn Extension>)>,
}

impl Extensions {
    pub(super) fn new(host: Arc<Host>) -> Self {
        Self { host, running: Vec::new() }
    }

    /// The running extensions that are not among `wanted`, or that are configured otherwise there.
    pub(super) fn changed<'a>(
        &'a self,
        wanted: &'a [Used<dyn ExtensionConfig>],
    ) -> impl Iterator<Item = &'a Used<dyn ExtensionConfig>> {
        let running = self.running.iter().map(|(used, _)| used);
        running.filter(|used| !wanted.iter().any(|other| same(used, other)))
    }

    /// Runs the extensions `wanted` and no others: stops each that is not among them, or is configured otherwise, and
    /// starts those that are missing. If that fails, the extensions that ran before run again.
    pub(super) async fn change(&mut self, wanted: &[Used<dyn ExtensionConfig>]) -> Result<(), AgentError> {
        let before: Vec<_> = self.running.iter().map(|(used, _)| used.clone()).collect();
        let result = self.try_change(wanted).await;
        if result.is_err()
            && let Err(error) = self.try_change(&before).await
        {
            error!(%error, "Extension cannot be started again.");
        }
        result
    }

    async fn try_change(&mut self, wanted: &[Used<dyn ExtensionConfig>]) -> Result<(), AgentError> {
        let (kept, stopped): (Vec<_>, Vec<_>) = mem::take(&mut self.running)
            .into_iter()
            .partition(|(used, _)| wanted.iter().any(|other| same(used, other)));
        self.running = kept;
        for ((id, _), extension) in stopped.into_iter().rev() {
            self.host.remove(&id);
            extension.stop().await;
        }
        for used @ (id, config) in wanted {
            if self.running.iter().any(|(running, _)| running.0 == *id) {
                continue;
            }
            let settings = ExtensionSettings { id: id.clone(), host: Arc::clone(&self.host) };
            let failed = |source| AgentError::Start { class: "extensions", id: id.clone(), source };
            let config = Arc::clone(config);
            let extension =
                within(EXTENSION_WITHIN, move || config.start(&settings)).await.map_err(failed)?;
            self.host.add(id.clone(), Arc::clone(&extension));
            self.running.push((used.clone(), extension));
        }
        Ok(())
    }

    /// Stops all extensions, the last one started first.
    pub(super) async fn stop(&mut self) {
        // Stopping starts no extension, so it does not fail.
        let _stopped = self.try_change(&[]).await;
    }
}

fn same((id, config): &Used<dyn ExtensionConfig>, (other_id, other): &Used<dyn ExtensionConfig>) -> bool {
    id == other_id && config.same(&**other)
}
