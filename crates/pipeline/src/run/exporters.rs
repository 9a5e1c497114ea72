//! The exporters that run, each once even if several pipelines send to it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, ready};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use componentstatus::{Kind, Stage};
use layers::{Sink, SinkBounds};
use procfs::MemoryGroup;
use textline::with_causes;
use tokio::task;
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::bounded::{EXPORTER_WITHIN, within};
use super::error::AgentError;
use crate::components::{BoxedStage, ExporterConfig, ExporterSettings, Host};
use crate::config::{ComponentId, Graph, Pipeline};

/// Pause between two attempts to start an exporter whose predecessor has finished.
const RETRY_START: Duration = Duration::from_secs(1);

/// Number of parts of a control group's memory, one of which the queue before each exporter takes at most.
const QUEUE_PARTS: u64 = 16;

/// An exporter that runs, or will once its predecessor has finished.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) config: Arc<dyn ExporterConfig>,
    pub(super) sink: Arc<Sink>,
    shown: Arc<Stage>,
}

/// The exporters that run.
#[derive(Debug)]
pub(super) struct Exporters {
    host: Arc<Host>,
    running: BTreeMap<ComponentId, Running>,
    /// Exporters that have been taken out and may still have to finish.
    leaving: Vec<Running>,
}

/// A planned change of exporters, of which nothing can be seen outside yet.
#[derive(Debug)]
pub(super) struct Staged {
    /// Exporters that have started, or will once their predecessors have finished.
    new: BTreeMap<ComponentId, Running>,
    /// Ids of the exporters that are taken out.
    leaves: BTreeSet<ComponentId>,
}

impl Staged {
    /// Ids of the exporters that start, and of those that stop, for the log.
    pub(super) fn ids(&self) -> (String, String) {
        let join = |ids: Vec<String>| ids.join(", ");
        (
            join(self.new.keys().map(ToString::to_string).collect()),
            join(self.leaves.iter().map(ToString::to_string).collect()),
        )
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Exporters that were started for a change that does not happen have received nothing.
        self.new.values().for_each(|exporter| exporter.sink.abort());
    }
}

impl Exporters {
    pub(super) fn new(host: Arc<Host>) -> Self {
        Self { host, running: BTreeMap::new(), leaving: Vec::new() }
    }

    /// Starts the exporters of `graph` that do not run yet with the same configuration.
    ///
    /// An exporter that needs what a leaving one holds is only checked, and started once that one has finished.
    pub(super) async fn stage(&mut self, graph: &Graph) -> Result<Staged, AgentError> {
        self.leaving.retain(|exporter| !exporter.sink.is_gone());
        let wanted = graph.exporters();
        let runs = |id: &ComponentId, config: &Arc<dyn ExporterConfig>| {
            let running = self.running.get(id).filter(|running| running.config.same(&**config));
            // An exporter that has died is started anew, and so is one whose stream was ended for a change that did not
            // happen.
            running.is_some_and(|running| !running.sink.is_gone() && !running.sink.has_ended())
        };
        let kept: BTreeSet<_> =
            wanted.iter().filter(|(id, config)| runs(id, config)).map(|(id, _)| id).collect();
        let leaves: BTreeSet<_> = self.running.keys().filter(|id| !kept.contains(id)).cloned().collect();
        let new: Vec<_> = wanted.iter().filter(|(id, _)| !kept.contains(id)).collect();

        let (now, later): (Vec<_>, Vec<_>) = new
            .into_iter()
            .map(|(id, config)| (id, config, self.in_the_way(config, &leaves)))
            .partition(|(.., sinks)| sinks.is_empty());
        let mut staged = Staged { new: BTreeMap::new(), leaves };
        let failed =
            |id: &ComponentId, source| AgentError::Start { class: "exporters", id: id.clone(), source };
        for (id, config, _) in &later {
            let (settings, _) = self.settings(id, graph);
            let config = Arc::clone(config);
            let checked = within(EXPORTER_WITHIN, move || config.check(&settings)).await;
            checked.map_err(|source| failed(id, source))?;
        }
        for (id, config, _) in now {
            let (settings, shown) = self.settings(id, graph);
            let starting = Arc::clone(config);
            let service = within(EXPORTER_WITHIN, move || starting.start(&settings)).await;
            let service = service.map_err(|source| failed(id, source))?;
            staged.new.insert(id.clone(), run(config, shown, ready(service)));
        }
        for (id, config, before) in later {
            let (settings, shown) = self.settings(id, graph);
            let service = start_after(before, Arc::clone(config), settings);
            staged.new.insert(id.clone(), run(config, shown, service));
        }
        Ok(staged)
    }

    /// The sinks of `pipeline`'s exporters, once the change has happened.
    pub(super) fn sinks<'a>(
        &'a self,
        staged: &'a Staged,
        pipeline: &'a Pipeline,
    ) -> impl Iterator<Item = &'a Arc<Sink>> {
        let find = |id: &ComponentId| staged.new.get(id).or_else(|| self.running.get(id));
        pipeline.exporters.iter().filter_map(move |(id, _)| Some(&find(id)?.sink))
    }

    /// Makes the change final: every fan-out leads to the new exporters.
    pub(super) fn commit(&mut self, mut staged: Staged) {
        for id in &staged.leaves {
            if let Some(exporter) = self.running.remove(id) {
                self.host.board.remove(&exporter.shown);
                self.leaving.push(exporter);
            }
        }
        for (id, exporter) in mem::take(&mut staged.new) {
            self.host.board.add(&exporter.shown);
            self.running.insert(id, exporter);
        }
    }

    /// Waits until all exporters have finished, including those that were taken out before; gives up at `deadline`.
    pub(super) async fn finish(&mut self, deadline: Instant) {
        let running = mem::take(&mut self.running).into_values();
        for exporter in running.chain(mem::take(&mut self.leaving)) {
            exporter.sink.finish(deadline).await;
            self.host.board.remove(&exporter.shown);
        }
    }

    /// Ids of the extensions that exporters use, including exporters that have been taken out and still finish.
    pub(super) fn extensions(&self) -> BTreeSet<String> {
        let leaving = self.leaving.iter().filter(|exporter| !exporter.sink.is_gone());
        let using = self.running.values().chain(leaving);
        using.flat_map(|exporter| exporter.config.extensions()).map(|(_, id)| id).collect()
    }

    /// The leaving exporters that hold what `config` needs.
    fn in_the_way(&self, config: &Arc<dyn ExporterConfig>, leaves: &BTreeSet<ComponentId>) -> Vec<Arc<Sink>> {
        let needed = config.holds();
        let leaving = leaves.iter().filter_map(|id| self.running.get(id)).chain(&self.leaving);
        let holders =
            leaving.filter(|exporter| exporter.config.holds().iter().any(|held| needed.contains(held)));
        holders.map(|exporter| Arc::clone(&exporter.sink)).collect()
    }

    fn settings(&self, id: &ComponentId, graph: &Graph) -> (ExporterSettings, Arc<Stage>) {
        let used_by =
            graph.pipelines.iter().filter(|pipeline| pipeline.exporters.iter().any(|(used, _)| used == id));
        let pipelines: Vec<_> = used_by.map(|pipeline| pipeline.id.to_string()).collect();
        let name = id.to_string();
        let shown = Arc::new(Stage::new(Kind::Exporter, &name, &pipelines));
        let exporter = exporterhelper::DeliverySettings {
            id: name.into(),
            status: Arc::clone(shown.status()),
            storage: None,
        };
        (ExporterSettings { id: id.clone(), exporter, host: Arc::clone(&self.host) }, shown)
    }
}

fn run(
    config: &Arc<dyn ExporterConfig>,
    shown: Arc<Stage>,
    service: impl Future<Output = BoxedStage> + Send + 'static,
) -> Running {
    // The sink must not give up before the exporter, which gives a request up by its own configuration.
    let SinkBounds { queue_bytes, give_up_after } = SinkBounds::default();
    // A control group may leave less memory than is configured.
    let room = usize::try_from(MemoryGroup::part(QUEUE_PARTS)).unwrap_or(usize::MAX);
    let settings = SinkBounds {
        queue_bytes: queue_bytes.min(room),
        give_up_after: give_up_after.max(config.patience()),
    };
    let sink = Sink::spawn(Arc::clone(&shown), service, settings);
    Running { config: Arc::clone(config), sink, shown }
}

/// Waits until the exporters in the way have finished, then tries to start the exporter until that works: batches that
/// arrive meanwhile are queued.
async fn start_after(
    before: Vec<Arc<Sink>>,
    config: Arc<dyn ExporterConfig>,
    settings: ExporterSettings,
) -> BoxedStage {
    let gone: Vec<_> = before.iter().map(|sink| sink.gone()).collect();
    // Dropped before waiting: sinks that are held here would never be gone.
    drop(before);
    for gone in gone {
        gone.await;
    }
    loop {
        let (config, starting) = (Arc::clone(&config), settings.clone());
        // Without a bound, since nobody waits but batches in a bounded queue.
        let started = task::spawn_blocking(move || config.start(&starting)).await;
        match started.unwrap_or_else(|panic| Err(panic.into())) {
            Ok(service) => return service,
            Err(error) => {
                let error = with_causes(&*error);
                settings.exporter.status.failed(&error);
                let exporter = &*settings.exporter.id;
                warn!(exporter, error, "Exporter cannot take its predecessor's place yet. Trying again.");
            }
        }
        sleep(RETRY_START).await;
    }
}
