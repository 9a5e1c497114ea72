//! The exporters that run, each once however many pipelines send to it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, ready};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use componentstatus::{Kind, Stage};
use layers::{Sink, SinkBounds};
use procfs::MemoryGroup;
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::error::{AgentError, chain};
use crate::components::{BoxedStage, ExporterConfig, ExporterSettings, Host};
use crate::config::{ComponentId, Graph, Pipeline};

/// Between two attempts to start an exporter whose predecessor has finished.
const RETRY_START: Duration = Duration::from_secs(1);

/// Of a control group's memory, the queue before each exporter takes one of so many parts at most.
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
    /// Those that have been taken out and may still have to finish.
    leaving: Vec<Running>,
}

/// A planned change; nothing of it has happened yet that others could see.
#[derive(Debug)]
pub(super) struct Staged {
    /// Started, or about to once their predecessors have finished.
    new: BTreeMap<ComponentId, Running>,
    /// To be taken out.
    leaves: BTreeSet<ComponentId>,
}

impl Staged {
    /// Ids of those that start, and of those that stop, for the log.
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

    /// Starts what `graph` has and does not run yet as it is configured there.
    ///
    /// One that needs what another holds, which is to leave, is only checked, and started once that one has finished.
    pub(super) fn stage(&mut self, graph: &Graph) -> Result<Staged, AgentError> {
        self.leaving.retain(|exporter| !exporter.sink.is_gone());
        let wanted = graph.exporters();
        let runs = |id: &ComponentId, config: &Arc<dyn ExporterConfig>| {
            let running = self.running.get(id).filter(|running| running.config.same(&**config));
            // One that has died is started anew, and one whose stream was ended for a change that did not happen.
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
            config.check(&settings).map_err(|source| failed(id, source))?;
        }
        for (id, config, _) in now {
            let (settings, shown) = self.settings(id, graph);
            let service = config.start(&settings).map_err(|source| failed(id, source))?;
            staged.new.insert(id.clone(), run(config, shown, ready(service)));
        }
        for (id, config, before) in later {
            let (settings, shown) = self.settings(id, graph);
            let service = start_after(before, Arc::clone(config), settings);
            staged.new.insert(id.clone(), run(config, shown, service));
        }
        Ok(staged)
    }

    /// The exporters of `pipeline`, once the change has happened.
    pub(super) fn sinks<'a>(
        &'a self,
        staged: &'a Staged,
        pipeline: &'a Pipeline,
    ) -> impl Iterator<Item = &'a Arc<Sink>> {
        let find = |id: &ComponentId| staged.new.get(id).or_else(|| self.running.get(id));
        pipeline.exporters.iter().filter_map(move |(id, _)| Some(&find(id)?.sink))
    }

    /// The change has happened: every fan-out leads to the new ones.
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

    /// Waits until all have finished, those that were taken out before included; gives up at `deadline`.
    pub(super) async fn finish(&mut self, deadline: Instant) {
        let running = mem::take(&mut self.running).into_values();
        for exporter in running.chain(mem::take(&mut self.leaving)) {
            exporter.sink.finish(deadline).await;
            self.host.board.remove(&exporter.shown);
        }
    }

    /// Ids of the extensions that exporters use, those included that have been taken out and still finish.
    pub(super) fn extensions(&self) -> BTreeSet<String> {
        let leaving = self.leaving.iter().filter(|exporter| !exporter.sink.is_gone());
        let using = self.running.values().chain(leaving);
        using.flat_map(|exporter| exporter.config.extensions()).map(|(_, id)| id).collect()
    }

    /// Those that hold what `config` needs and are to leave, or do already.
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
    // With more patience than any request needs by its own configuration, which is the exporter's to give up.
    let SinkBounds { queue_bytes, give_up_after } = SinkBounds::default();
    // A control group may leave less.
    let room = usize::try_from(MemoryGroup::part(QUEUE_PARTS)).unwrap_or(usize::MAX);
    let settings = SinkBounds {
        queue_bytes: queue_bytes.min(room),
        give_up_after: give_up_after.max(config.patience()),
    };
    let sink = Sink::spawn(Arc::clone(&shown), service, settings);
    Running { config: Arc::clone(config), sink, shown }
}

/// Waits for those in the way, then starts the exporter, for as long as it takes: what it is sent meanwhile is queued.
async fn start_after(
    before: Vec<Arc<Sink>>,
    config: Arc<dyn ExporterConfig>,
    settings: ExporterSettings,
) -> BoxedStage {
    let gone: Vec<_> = before.iter().map(|sink| sink.gone()).collect();
    // Not to be held while it waits: they would never be dropped.
    drop(before);
    for gone in gone {
        gone.await;
    }
    loop {
        match config.start(&settings) {
            Ok(service) => return service,
            Err(error) => {
                let error = chain(&*error);
                settings.exporter.status.failed(&error);
                let exporter = &*settings.exporter.id;
                warn!(exporter, error, "Exporter cannot take its predecessor's place yet. Trying again.");
            }
        }
        sleep(RETRY_START).await;
    }
}
