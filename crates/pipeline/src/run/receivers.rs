//! The receivers that run, each on a task of its own, even if it feeds several pipelines.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use componentstatus::{Kind, Stage};
use layers::{InstrumentLayer, Tee};
use tokio::sync::watch;
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::timeout;
use tower::Layer as _;

use super::error::AgentError;
use crate::components::{BoxError, BoxedStage, Host, Receiver, ReceiverSettings, stage};
use crate::config::{ComponentId, Graph};

/// Longest time that a receiver may take to end, beyond the time that exporters have.
const STUCK_AFTER: Duration = Duration::from_secs(5);

type Ended = (ComponentId, Result<(), BoxError>);

/// The receivers that run.
#[derive(Debug)]
pub(super) struct Receivers {
    host: Arc<Host>,
    tasks: JoinSet<Ended>,
    stop: watch::Sender<bool>,
    running: BTreeMap<ComponentId, Arc<Stage>>,
}

impl Receivers {
    pub(super) fn new(host: Arc<Host>) -> Self {
        Self { host, tasks: JoinSet::new(), stop: watch::Sender::new(false), running: BTreeMap::new() }
    }

    /// Starts the receivers of `graph`, each in front of the `heads` of its pipelines. Starts all of them or none.
    pub(super) async fn start(
        &mut self,
        graph: &Graph,
        mut heads: Vec<(ComponentId, BoxedStage)>,
    ) -> Result<(), AgentError> {
        let mut started: Vec<(_, Box<dyn Receiver>)> = Vec::new();
        for (id, config) in graph.receivers() {
            let control = config.control();
            self.host.sampling.add(id.clone(), control.clone());
            let settings = ReceiverSettings { id: id.clone(), control, host: Arc::clone(&self.host) };
            // Loading programs into the kernel takes long, so it blocks a thread of its own.
            let receiver =
                task::spawn_blocking(move || config.start(&settings)).await.unwrap_or_else(panicked);
            let failed = |source| AgentError::Start { class: "receivers", id: id.clone(), source };
            let receiver = receiver.map_err(failed).inspect_err(|_failed| {
                let controls = started.iter().map(|(id, _)| id).chain([&id]);
                controls.for_each(|id| self.host.sampling.remove(id));
            })?;
            started.push((id, receiver));
        }
        self.stop = watch::Sender::new(false);
        for (id, receiver) in started {
            let fed = |pipeline: &ComponentId| {
                graph.pipelines.iter().any(|other| other.id == *pipeline && other.receiver.0 == id)
            };
            let (own, others) = heads.into_iter().partition::<Vec<_>, _>(|(pipeline, _)| fed(pipeline));
            heads = others;
            self.run(id, receiver, own);
        }
        Ok(())
    }

    fn run(&mut self, id: ComponentId, receiver: Box<dyn Receiver>, heads: Vec<(ComponentId, BoxedStage)>) {
        let heads: Vec<_> = heads.into_iter().map(|(pipeline, head)| (pipeline.to_string(), head)).collect();
        let pipelines: Vec<_> = heads.iter().map(|(pipeline, _)| pipeline.clone()).collect();
        let shown = Arc::new(Stage::new(Kind::Receiver, &id.to_string(), &pipelines));
        self.host.board.add(&shown);
        let next = stage(InstrumentLayer::new().shows(Arc::clone(&shown)).layer(Tee::new(heads)));
        self.running.insert(id.clone(), shown);
        let mut stop = self.stop.subscribe();
        let stop = Box::pin(async move {
            // The sender is only dropped after it has sent the stop, or together with everything else.
            let _told = stop.wait_for(|stop| *stop).await;
        });
        let run = receiver.run(next, stop);
        self.tasks.spawn(async move { (id, run.await) });
    }

    /// Resolves when a receiver ends by itself, which is always an error.
    pub(super) async fn failed(&mut self) -> AgentError {
        match self.tasks.join_next().await {
            Some(Ok((id, Err(source)))) => AgentError::Run { id, source },
            Some(Ok((id, Ok(())))) => AgentError::Run { id, source: "it has ended by itself".into() },
            Some(Err(panic)) => AgentError::Panicked(panic),
            None => std::future::pending().await,
        }
    }

    /// Stops all receivers and waits until the events that they forwarded are acked, for which exporters have
    /// `drain_within`.
    ///
    /// # Errors
    /// The error of the first receiver that did not end well.
    pub(super) async fn stop(&mut self, drain_within: Duration) -> Result<(), AgentError> {
        self.stop.send_replace(true);
        let mut result = Ok(());
        let all_ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                let ended = match ended {
                    Ok((id, ended)) => ended.map_err(|source| AgentError::Run { id, source }),
                    Err(panic) => Err(AgentError::Panicked(panic)),
                };
                result = std::mem::replace(&mut result, Ok(())).and(ended);
            }
        };
        let late = timeout(drain_within + STUCK_AFTER, all_ended).await.is_err();
        // Removed rather than only aborted: a later result of these must not be taken for one of the receivers that run
        // next.
        self.tasks.abort_all();
        self.tasks = JoinSet::new();
        for (id, shown) in std::mem::take(&mut self.running) {
            self.host.board.remove(&shown);
            self.host.sampling.remove(&id);
        }
        if late { result.and(Err(AgentError::Stuck)) } else { result }
    }
}

fn panicked<T>(panic: JoinError) -> Result<T, BoxError> {
    Err(panic.into())
}
