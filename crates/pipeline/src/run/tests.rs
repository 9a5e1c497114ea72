//! Tests of the agent with components that do as a test demands, without a kernel.

mod stuck;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use componentstatus::Phase;
use pdata::{Batch, Event, KTime, Sample, Watermark};
use receiver_ebpf::Control;
use serde::Serialize;
use tokio::time::sleep;
use tower::{Service as _, ServiceExt as _, service_fn};

use self::stuck::{HANGS, Hanging, NEVER_ANSWERS, NEVER_READY, NeverReady};
use super::*;
use crate::components::{
    BoxError, BoxFuture, Configuration, ExporterConfig, ExporterSettings, Receiver, ReceiverConfig,
    ReceiverSettings, stage,
};
use crate::config::{Location, Pipeline};

/// The events of a test in their order, and the samples that each exporter took, by its name.
type Events = (Vec<String>, BTreeMap<String, Vec<u64>>);

#[derive(Clone, Debug, Default)]
struct World(Arc<Mutex<Events>>);

impl World {
    fn happens(&self, what: impl Into<String>) {
        self.0.lock().unwrap().0.push(what.into());
    }

    /// The events since the last call.
    fn events(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().0)
    }

    fn took(&self, exporter: &str) -> Vec<u64> {
        self.0.lock().unwrap().1.get(exporter).cloned().unwrap_or_default()
    }
}

impl PartialEq for World {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A receiver of a sample every ten milliseconds, stamped with its number.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Ticks {
    #[serde(skip)]
    world: World,
    key: u32,
    rate: u32,
    starts: bool,
}

impl ReceiverConfig for Ticks {
    fn start(&self, _: &ReceiverSettings) -> Result<Box<dyn Receiver>, BoxError> {
        if !self.starts {
            return Err("no such kernel".into());
        }
        self.world.happens("receiver starts");
        if self.key == HANGS {
            return Ok(Box::new(Hanging));
        }
        Ok(Box::new(Ticking(self.world.clone())))
    }

    fn control(&self) -> Control {
        Control::new(&receiver_ebpf::Config { samples_per_second: self.rate, ..Default::default() })
    }

    fn adjusts(&self, running: &dyn Configuration) -> bool {
        running.as_any().downcast_ref::<Self>().is_some_and(|running| running.key == self.key)
    }

    fn adjust(&self, control: &Control) {
        control.set_samples_per_second(self.rate);
    }
}

#[derive(Debug)]
struct Ticking(World);

/// The next batch, counted over all receivers of a test.
fn tick(world: &World, watermark: Option<Watermark>) -> Batch {
    let mut world = world.0.lock().unwrap();
    let numbers = world.1.entry("receiver".to_owned()).or_default();
    let number = numbers.len() as u64 + 1;
    let at = KTime::from_nanos(number);
    let mut events = Vec::new();
    if watermark.is_none() {
        numbers.push(number);
        events.push(Event::Sample(Sample { at, ..Sample::default() }));
    }
    let watermark = watermark.unwrap_or(Watermark::before(KTime::from_nanos(number + 1)));
    Batch { events: Arc::new(events.into()), watermark, ..Batch::default() }
}

impl Receiver for Ticking {
    fn run(
        self: Box<Self>,
        mut next: BoxedStage,
        mut stop: BoxFuture<()>,
    ) -> BoxFuture<Result<(), BoxError>> {
        Box::pin(async move {
            loop {
                let stopping =
                    tokio::select! { () = &mut stop => true, () = sleep(Duration::from_millis(10)) => false };
                let batch = tick(&self.0, stopping.then_some(Watermark::END));
                next.ready().await?.call(batch).await?;
                if stopping {
                    self.0.happens("receiver ends");
                    return Ok(());
                }
            }
        })
    }
}

/// An exporter that takes some time for its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Keeps {
    #[serde(skip)]
    world: World,
    key: u32,
    holds: Option<&'static str>,
    starts: bool,
}

impl ExporterConfig for Keeps {
    fn start(&self, settings: &ExporterSettings) -> Result<BoxedStage, BoxError> {
        self.check(settings)?;
        let name = format!("{} {}", settings.id, self.key);
        self.world.happens(format!("{name} starts"));
        match self.key {
            NEVER_ANSWERS => {
                return Ok(stage(service_fn(|_batch| std::future::pending::<Result<Watermark, BoxError>>())));
            }
            NEVER_READY => return Ok(stage(NeverReady)),
            _ => {}
        }
        let world = self.world.clone();
        Ok(stage(service_fn(move |batch: Batch| {
            let (world, name) = (world.clone(), name.clone());
            async move {
                if batch.watermark == Watermark::END {
                    sleep(Duration::from_secs(2)).await;
                    world.happens(format!("{name} ends"));
                }
                let numbers = batch.samples().map(|sample| sample.at.as_nanos());
                world.0.lock().unwrap().1.entry(name).or_default().extend(numbers);
                Ok::<_, BoxError>(batch.watermark)
            }
        })))
    }

    fn check(&self, _: &ExporterSettings) -> Result<(), BoxError> {
        if self.starts { Ok(()) } else { Err("no such place".into()) }
    }

    fn holds(&self) -> Vec<String> {
        self.holds.iter().map(ToString::to_string).collect()
    }

    fn extensions(&self) -> Vec<(&'static str, String)> {
        self.holds.iter().map(|held| ("holds", (*held).to_owned())).collect()
    }
}

/// A configuration of such components, to be changed.
struct Setup {
    world: World,
    config: Config,
}

impl Setup {
    fn new(world: &World) -> Self {
        let text = "{ receivers: { ebpf: }, processors: { procinfo: }, exporters: { debug: }, \
                    service: { pipelines: { profiles: { receivers: [ebpf], processors: [procinfo], exporters: [debug] } } } }";
        let config = Config::load(&[Location::Yaml(text.to_owned())], &|_| None).unwrap();
        Self { world: world.clone(), config }.receiver(1, 19, true).exporters(&[("a", 1, None, true)])
    }

    fn pipeline(&mut self) -> &mut Pipeline {
        &mut self.config.graph.pipelines[0]
    }

    fn receiver(mut self, key: u32, rate: u32, starts: bool) -> Self {
        let world = self.world.clone();
        self.pipeline().receiver.1 = Arc::new(Ticks { world, key, rate, starts });
        // No test looks up a process.
        self.pipeline().processors.clear();
        self
    }

    fn exporters(mut self, exporters: &[(&str, u32, Option<&'static str>, bool)]) -> Self {
        let world = self.world.clone();
        let exporters = exporters.iter().map(|&(id, key, holds, starts)| {
            let config: Arc<dyn ExporterConfig> =
                Arc::new(Keeps { world: world.clone(), key, holds, starts });
            (ComponentId::parse(id).unwrap(), config)
        });
        self.pipeline().exporters = exporters.collect();
        self
    }
}

async fn pass(millis: u64) {
    sleep(Duration::from_millis(millis)).await;
}

/// Starting, reloading and stopping happen in the documented order, and every sample reaches exactly one exporter.
#[tokio::test(start_paused = true)]
async fn a_changed_exporter_takes_over_between_two_batches() {
    let world = World::default();
    let mut agent = Agent::start(Setup::new(&world).config).await.unwrap();
    assert_eq!(world.events(), ["a 1 starts", "receiver starts"]);
    assert_eq!(agent.host().board.phase(), Phase::Running);
    pass(1_000).await;
    agent.reload(Setup::new(&world).exporters(&[("a", 2, None, true)]).config).await.unwrap();
    assert_eq!(
        world.events(),
        ["a 2 starts"],
        "it holds nothing that the old one has, which still works on its end"
    );
    pass(3_000).await;
    assert_eq!(world.events(), ["a 1 ends"]);
    agent.stop().await.unwrap();
    assert_eq!(world.events(), ["a 2 ends", "receiver ends"]);
    assert_eq!([world.took("a 1"), world.took("a 2")].concat(), world.took("receiver"));
}

#[tokio::test(start_paused = true)]
async fn a_successor_starts_when_what_it_needs_is_free() {
    let world = World::default();
    let config = |id, key| Setup::new(&world).exporters(&[(id, key, Some("file:x"), true)]).config;
    let mut agent = Agent::start(config("a", 1)).await.unwrap();
    pass(100).await;
    // The same resource is recognised under another exporter's name.
    agent.reload(config("b", 1)).await.unwrap();
    pass(100).await;
    agent.reload(config("b", 2)).await.unwrap();
    pass(10_000).await;
    assert_eq!(world.events()[2..], ["a 1 ends", "b 1 starts", "b 1 ends", "b 2 starts"]);
    agent.stop().await.unwrap();
    let taken = [world.took("a 1"), world.took("b 1"), world.took("b 2")].concat();
    assert_eq!(taken, world.took("receiver"));
}

#[tokio::test(start_paused = true)]
async fn an_extension_is_in_use_until_its_last_exporter_has_finished() {
    let world = World::default();
    let uses = Setup::new(&world).exporters(&[("a", 1, Some("storage"), true)]).config;
    let mut agent = Agent::start(uses).await.unwrap();
    agent.reload(Setup::new(&world).config).await.unwrap();
    assert_eq!(agent.exporters.extensions(), ["storage".to_owned()].into());
    pass(3_000).await;
    assert_eq!(agent.exporters.extensions(), [].into());
    agent.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_start_is_refused_before_anything_is_touched() {
    let world = World::default();
    let held = Some("file:x");
    let mut agent = Agent::start(Setup::new(&world).exporters(&[("a", 1, held, true)]).config).await.unwrap();
    world.events();
    for exporters in
        [[("a", 2, held, false), ("b", 1, None, true)], [("a", 1, held, true), ("b", 1, None, false)]]
    {
        let error = agent.reload(Setup::new(&world).exporters(&exporters).config).await.unwrap_err();
        assert!(
            matches!(error, ReloadError::Refused(AgentError::Start { class: "exporters", .. })),
            "{error}"
        );
    }
    assert_eq!(world.events(), Vec::<String>::new());
    pass(100).await;
    agent.stop().await.unwrap();
    assert_eq!(world.took("a 1"), world.took("receiver"));
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_told_and_any_other_key_restarts_the_receiver_alone() {
    let world = World::default();
    let mut agent = Agent::start(Setup::new(&world).config).await.unwrap();
    let id = ComponentId::parse("ebpf").unwrap();
    world.events();
    agent.reload(Setup::new(&world).receiver(1, 97, true).config).await.unwrap();
    assert_eq!(agent.host().sampling.control(&id).unwrap().samples_per_second(), 97);
    assert_eq!(world.events(), Vec::<String>::new());
    pass(100).await;
    agent.reload(Setup::new(&world).receiver(2, 97, true).config).await.unwrap();
    assert_eq!(world.events(), ["receiver ends", "receiver starts"], "the exporter goes on");
    pass(100).await;
    agent.stop().await.unwrap();
    assert_eq!(world.took("a 1"), world.took("receiver"));
}

#[tokio::test(start_paused = true)]
async fn if_a_receiver_cannot_start_again_the_old_configuration_does() {
    let world = World::default();
    let mut agent = Agent::start(Setup::new(&world).config).await.unwrap();
    pass(100).await;
    let broken =
        Setup::new(&world).receiver(2, 19, false).exporters(&[("a", 1, None, true), ("b", 1, None, true)]);
    let error = agent.reload(broken.config).await.unwrap_err();
    assert!(matches!(error, ReloadError::Refused(AgentError::Start { class: "receivers", .. })), "{error}");
    pass(100).await;
    assert_eq!(world.events()[2..], ["b 1 starts", "receiver ends", "receiver starts"]);
    agent.stop().await.unwrap();
    assert_eq!(world.took("a 1"), world.took("receiver"), "the exporter has seen no end in between");
    assert_eq!(world.took("b 1"), Vec::<u64>::new());
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_has_not_started_has_no_handle() {
    let (world, host) = (World::default(), Arc::<Host>::default());
    let graph = Setup::new(&world).receiver(1, 19, false).config.graph;
    Receivers::new(Arc::clone(&host)).start(&graph, Vec::new()).await.unwrap_err();
    assert!(host.sampling.control(&ComponentId::parse("ebpf").unwrap()).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_cannot_start_leaves_nothing_behind() {
    let world = World::default();
    let error = Agent::start(Setup::new(&world).receiver(1, 19, false).config).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot start receivers::ebpf");
    pass(20_000).await;
    assert_eq!(world.events(), ["a 1 starts"], "and it has ended without a stream");
}

#[tokio::test(start_paused = true)]
async fn pipelines_share_a_receiver_and_an_exporter() {
    let world = World::default();
    let mut setup = Setup::new(&world);
    let mut second = setup.pipeline().clone();
    second.id = ComponentId::parse("profiles/b").unwrap();
    setup.config.graph.pipelines.push(second);
    let mut agent = Agent::start(setup.config).await.unwrap();
    assert_eq!(world.events(), ["a 1 starts", "receiver starts"], "once each");
    pass(100).await;
    agent.reload(Setup::new(&world).config).await.unwrap();
    let both = world.took("receiver").len();
    pass(100).await;
    agent.stop().await.unwrap();
    let twice = world
        .took("receiver")
        .iter()
        .enumerate()
        .flat_map(|(at, n)| vec![*n; if at < both { 2 } else { 1 }])
        .collect::<Vec<_>>();
    assert_eq!(
        world.took("a 1"),
        twice,
        "in order, and the pipeline that stays goes on after the other is gone"
    );
}
