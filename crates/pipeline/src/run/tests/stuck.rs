//! Components that are stuck, and an agent that goes on and ends beside them.

use std::task::{Context, Poll};

use tower::Service;

use super::*;

/// Key of a receiver that forwards nothing and does not stop.
pub(super) const HANGS: u32 = 999;

#[derive(Debug)]
pub(super) struct Hanging;

impl Receiver for Hanging {
    fn run(self: Box<Self>, next: BoxedStage, _stop: BoxFuture<()>) -> BoxFuture<Result<(), BoxError>> {
        Box::pin(async move {
            let _held = next;
            std::future::pending().await
        })
    }
}

/// Keys of exporters that are stuck.
pub(super) const NEVER_ANSWERS: u32 = 998;
pub(super) const NEVER_READY: u32 = 997;

#[derive(Debug)]
pub(super) struct NeverReady;

impl Service<Batch> for NeverReady {
    type Response = Watermark;
    type Error = BoxError;
    type Future = BoxFuture<Result<Watermark, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Pending
    }

    fn call(&mut self, _: Batch) -> Self::Future {
        unreachable!("it is never ready")
    }
}

/// The receiver's bound and the exporters' run side by side, so a hanging receiver does not add to theirs.
#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_does_not_double_the_time_to_stop() {
    let world = World::default();
    let mut setup = Setup::new(&world);
    setup.pipeline().receiver.1 =
        Arc::new(Ticks { world: world.clone(), key: HANGS, rate: 19, starts: true });
    let agent = Agent::start(setup.config).await.unwrap();
    pass(100).await;
    let (asked, bound) = (Instant::now(), agent.config().shutdown_timeout);
    let error = agent.stop().await.unwrap_err();
    assert!(matches!(error, AgentError::Stuck), "{error}");
    assert!(asked.elapsed() <= bound + Duration::from_secs(5), "{:?}", asked.elapsed());
}

/// The reload has gone on without the receiver, and so does the agent.
#[tokio::test(start_paused = true)]
async fn a_receiver_that_ends_after_its_reload_does_not_end_the_agent() {
    let world = World::default();
    let mut setup = Setup::new(&world);
    setup.pipeline().receiver.1 =
        Arc::new(Ticks { world: world.clone(), key: HANGS, rate: 19, starts: true });
    let mut agent = Agent::start(setup.config).await.unwrap();
    pass(100).await;
    agent.reload(Setup::new(&world).config).await.unwrap();
    let before = world.took("a 1").len();
    let failed = tokio::time::timeout(Duration::from_secs(60), agent.failed()).await;
    assert!(failed.is_err(), "{failed:?}");
    assert!(world.took("a 1").len() > before, "the new receiver runs");
    agent.stop().await.unwrap();
}

/// A receiver is stopped and started again beside exporters that are stuck: the reload has the time of a stop, the
/// other exporter gets the samples of both receivers, and the agent goes on.
#[tokio::test(start_paused = true)]
async fn a_receiver_restarts_beside_exporters_that_are_stuck() {
    for stuck in [NEVER_ANSWERS, NEVER_READY] {
        let world = World::default();
        let exporters = [("a", 1, None, true), ("b", stuck, None, true)];
        let setup = |key| Setup::new(&world).exporters(&exporters).receiver(key, 19, true);
        let mut agent = Agent::start(setup(1).config).await.unwrap();
        pass(1_000).await;
        let (asked, bound) = (Instant::now(), agent.config().shutdown_timeout);
        agent.reload(setup(2).config).await.unwrap();
        assert!(asked.elapsed() <= bound + Duration::from_secs(5), "{stuck}: {:?}", asked.elapsed());
        let restarts = world.events().iter().filter(|event| *event == "receiver starts").count();
        assert_eq!(restarts, 2, "{stuck}");
        let before = world.took("a 1").len();
        let failed = tokio::time::timeout(Duration::from_secs(60), agent.failed()).await;
        assert!(failed.is_err(), "{stuck}: {failed:?}");
        assert!(world.took("a 1").len() > before, "{stuck}: the new receiver runs");
        let asked = Instant::now();
        let _stuck = agent.stop().await;
        assert!(asked.elapsed() <= bound + Duration::from_secs(5), "{stuck}: {:?}", asked.elapsed());
        assert_eq!(world.took("a 1"), world.took("receiver"), "{stuck}: each sample once, in order");
    }
}
