//! The agent while it runs: started from the exporters to the receivers, changed while it runs, stopped in the reverse
//! order.

mod bounded;
mod change;
pub(crate) mod error;
mod exporters;
mod extensions;
mod memory;
mod receivers;
pub mod supervise;
pub mod systemd;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use componentstatus::Phase;
use layers::{Outlets, Sink};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::assemble::{self, Head};
use crate::components::{BoxedStage, ExtensionConfig, Host};
use crate::config::{ComponentId, Config, Used};
use change::Change;
pub use error::{AgentError, ReloadError};
use exporters::{Exporters, Staged};
use extensions::Extensions;
use receivers::Receivers;

/// The running components of an agent.
#[derive(Debug)]
pub struct Agent {
    host: Arc<Host>,
    config: Config,
    extensions: Extensions,
    exporters: Exporters,
    receivers: Receivers,
    outlets: BTreeMap<ComponentId, Outlets>,
}

impl Agent {
    /// Starts the components of `config`: extensions, exporters, processors, and the receivers last, so that no event
    /// arrives before its exporters run. The receivers are checked before everything else, since an exporter that has
    /// opened its file, or taken a queue from the disk, has changed something.
    ///
    /// # Errors
    /// [`AgentError`] if a component cannot start. What had been started is stopped again.
    pub async fn start(config: Config) -> Result<Self, AgentError> {
        for (id, receiver) in config.graph.receivers() {
            receiver.check().map_err(|source| AgentError::Start { class: "receivers", id, source })?;
        }
        let host = Arc::<Host>::default();
        let mut agent = Self {
            extensions: Extensions::new(host.clone()),
            exporters: Exporters::new(host.clone()),
            receivers: Receivers::new(host.clone()),
            outlets: BTreeMap::new(),
            config,
            host,
        };
        let config = agent.config.clone();
        let started = async {
            agent.extensions.change(&config.graph.extensions).await?;
            let staged = agent.exporters.stage(&config.graph).await?;
            let next = agent.assemble(&config, &staged)?;
            agent.replace(&config, staged, next).await
        };
        if let Err(error) = started.await {
            let deadline = agent.deadline();
            agent.close(deadline).await;
            return Err(error);
        }
        agent.host.board.enter(Phase::Running);
        info!("Everything is ready. Begin running and processing data.");
        Ok(agent)
    }

    /// The host of the components.
    #[must_use]
    pub fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// The configuration that runs.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Resolves when a component has failed and the agent cannot go on.
    pub async fn failed(&mut self) -> AgentError {
        self.receivers.failed().await
    }

    /// Changes to the configuration `new`. Components that stay the same keep running; exporters are replaced between
    /// two batches, without a gap; any other change requires that every receiver is started anew. See
    /// docs/decisions/reload.md.
    ///
    /// # Errors
    /// [`ReloadError`] if a component cannot start. Unless it is [`ReloadError::Fatal`], the old configuration runs on.
    pub async fn reload(&mut self, new: Config) -> Result<(), ReloadError> {
        let extensions = self.extensions_for(&new)?;
        self.extensions.change(&extensions).await.map_err(ReloadError::Refused)?;
        let result = self.change(&new).await;
        match result {
            Ok(()) => self.config = new,
            Err(ReloadError::Fatal(_)) => {}
            Err(_) => {
                self.extensions.change(&self.config.graph.extensions).await.map_err(ReloadError::Fatal)?
            }
        }
        result
    }

    /// The extensions that are to run: those of `new`, and those that exporters are still using.
    fn extensions_for(&self, new: &Config) -> Result<Vec<Used<dyn ExtensionConfig>>, ReloadError> {
        let (mut wanted, in_use) = (new.graph.extensions.clone(), self.exporters.extensions());
        for used in
            self.extensions.changed(&new.graph.extensions).filter(|(id, _)| in_use.contains(&id.to_string()))
        {
            if wanted.iter().any(|(id, _)| *id == used.0) {
                return Err(ReloadError::InUse { id: used.0.clone() });
            }
            // The extension is stopped by the reload after the one that makes its exporters finish.
            wanted.push(used.clone());
        }
        Ok(wanted)
    }

    async fn change(&mut self, new: &Config) -> Result<(), ReloadError> {
        let change = Change::between(&self.config, new);
        let staged = self.exporters.stage(&new.graph).await.map_err(ReloadError::Refused)?;
        let (started, stopped) = staged.ids();
        let Some(reason) = change.restart else {
            self.swap(new, staged);
            for (id, config) in &change.adjust {
                self.host.sampling.control(id).iter().for_each(|control| config.adjust(control));
            }
            info!(started, stopped, "Configuration reloaded without a gap.");
            return Ok(());
        };
        let next = self.assemble(new, &staged).map_err(ReloadError::Refused)?;
        let stopped_at = Instant::now();
        // Leaving exporters finish in the background: the receivers must not wait for them.
        self.outlets.values().for_each(Outlets::leave_behind);
        if let Err(error) = self.receivers.stop(self.config.shutdown_timeout).await {
            warn!(%error, "Receiver has not ended well.");
        }
        // The outlets keep open the exporters that stay, even if the replacement fails.
        let outlets = next.outlets.clone();
        if let Err(error) = self.replace(new, staged, next).await {
            let old = self.config.clone();
            let restored = async {
                let staged = self.exporters.stage(&old.graph).await?;
                let next = self.assemble(&old, &staged)?;
                self.replace(&old, staged, next).await
            };
            restored.await.map_err(ReloadError::Fatal)?;
            drop(outlets);
            return Err(ReloadError::Refused(error));
        }
        let gap = stopped_at.elapsed();
        warn!(started, stopped, reason, ?gap, "Configuration reloaded. Nothing was sampled meanwhile.");
        Ok(())
    }

    /// Replaces the exporters behind the running pipelines.
    fn swap(&mut self, new: &Config, staged: Staged) {
        let mut ways = Vec::new();
        for pipeline in &new.graph.pipelines {
            let Some(outlets) = self.outlets.get(&pipeline.id) else { continue };
            let sinks: Vec<_> = self.exporters.sinks(&staged, pipeline).cloned().collect();
            let missing = sinks.iter().filter(|sink| !outlets.leads_to(sink));
            // All exporters are opened before any is closed: one that only changes pipelines must not take that for its
            // end.
            let inlets: Vec<_> = missing.map(Sink::open).collect();
            ways.push((outlets, sinks, inlets));
        }
        for (outlets, stay, inlets) in ways {
            outlets.drain_within(new.shutdown_timeout);
            outlets.swap(|sink| !stay.iter().any(|other| Arc::ptr_eq(other, sink)), inlets);
        }
        self.exporters.commit(staged);
    }

    /// Builds the pipelines up to their first stages. No receiver feeds them yet.
    fn assemble(&self, new: &Config, staged: &Staged) -> Result<Assembled, AgentError> {
        let mut assembled = Assembled::default();
        for pipeline in &new.graph.pipelines {
            let inlets = self.exporters.sinks(staged, pipeline).map(Sink::open).collect();
            let Head { stage, outlets } = assemble::head(&self.host, pipeline, inlets, new.shutdown_timeout)?;
            assembled.heads.push((pipeline.id.clone(), stage));
            assembled.outlets.insert(pipeline.id.clone(), outlets);
        }
        Ok(assembled)
    }

    /// Starts the receivers in front of these pipelines, while none runs.
    async fn replace(&mut self, new: &Config, staged: Staged, next: Assembled) -> Result<(), AgentError> {
        self.receivers.start(&new.graph, next.heads).await?;
        self.outlets = next.outlets;
        self.exporters.commit(staged);
        memory::settle();
        Ok(())
    }

    /// Stops all components in the reverse order: events that were received before are exported, as far as that takes
    /// no longer than `shutdown_timeout`.
    ///
    /// # Errors
    /// [`AgentError`] if a receiver did not end well.
    pub async fn stop(mut self) -> Result<(), AgentError> {
        self.host.board.enter(Phase::Stopping);
        let deadline = self.deadline();
        let result = self.receivers.stop(self.config.shutdown_timeout).await;
        self.close(deadline).await;
        result
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.config.shutdown_timeout
    }

    async fn close(&mut self, deadline: Instant) {
        self.outlets.clear();
        self.exporters.finish(deadline).await;
        self.extensions.stop().await;
    }
}

/// Pipelines that no receiver feeds yet.
#[derive(Debug, Default)]
struct Assembled {
    heads: Vec<(ComponentId, BoxedStage)>,
    outlets: BTreeMap<ComponentId, Outlets>,
}
