//! The server that reports the agent's health.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use componentstatus::{Board, Readiness};
use confighttp::{ListenError, Server};
use rustix::time::{ClockId, clock_gettime};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::body::Body;
use crate::config::Config;

/// Time between two looks at the agent's health, beside those for requests.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A running health check; dropping it ends it.
#[derive(Debug)]
pub struct HealthCheck {
    server: Server,
    /// The task that looks at the agent's health; it ends with the server.
    watch: AbortOnDropHandle<()>,
}

/// The state that answers are made from.
#[derive(Debug)]
struct Health {
    config: Config,
    board: Arc<Board>,
    /// Time when the agent first was healthy: since the Unix epoch, and on the clock that is never
    /// set.
    since: Mutex<Option<(Duration, Instant)>>,
}

impl HealthCheck {
    /// Listens on the endpoint of `config`, and answers by the state on `board`. Needs a Tokio
    /// runtime.
    ///
    /// # Errors
    /// [`ListenError`] if the endpoint cannot be opened.
    pub fn start(config: Config, board: Arc<Board>) -> Result<Self, ListenError> {
        let endpoint = config.endpoint.clone();
        let health = Arc::new(Health { config, board, since: Mutex::default() });
        let router = Router::new().fallback(answer).with_state(health.clone());
        let server = Server::start(&endpoint, router)?;
        info!(endpoint = %server.address(), "Serving the health check.");
        let watch = AbortOnDropHandle::new(tokio::spawn(watch(health)));
        Ok(Self { server, watch })
    }

    /// Address that the health check listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Ends the health check; done when the port is free again.
    pub fn stop(&self) -> impl Future<Output = ()> + Send + use<> {
        self.watch.abort();
        self.server.stop()
    }
}

impl Health {
    /// The reason for which the agent is not healthy, if it is not; and the time when it first was
    /// healthy.
    fn look(&self) -> (Option<String>, Option<(Duration, Instant)>) {
        let reason = match self.board.readiness(&self.config.thresholds()) {
            Readiness::Ready => None,
            Readiness::NotReady { reason } => Some(reason),
        };
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if reason.is_none() && since.is_none() {
            *since = Some((wall_clock(), Instant::now()));
        }
        (reason, *since)
    }

    /// True if a request for `path` is answered: as in Go, a path that ends in a slash stands for
    /// all below it.
    fn answers(&self, path: &str) -> bool {
        let own = self.config.path.as_str();
        path == own || own.ends_with('/') && path.starts_with(own)
    }
}

/// Time since the Unix epoch, by the system's clock.
fn wall_clock() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Realtime)).unwrap_or_default()
}

async fn answer(State(health): State<Arc<Health>>, uri: Uri) -> Response {
    if !health.answers(uri.path()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let (reason, since) = health.look();
    let status = if reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if let Some(bodies) = &health.config.response_body {
        let body = if reason.is_none() { &bodies.healthy } else { &bodies.unhealthy };
        return (status, body.clone()).into_response();
    }
    let since = since.map(|(at, then)| (at, then.elapsed()));
    match serde_json::to_string(&Body::new(reason.as_deref(), &health.board.failing(), since)) {
        Ok(body) => (status, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        // Text and numbers are never refused.
        Err(_refused) => status.into_response(),
    }
}

/// Logs when the agent falls ill and when it has recovered, for ever.
async fn watch(health: Arc<Health>) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let mut was_healthy = None;
    loop {
        ticks.tick().await;
        let (reason, since) = health.look();
        let was_healthy = was_healthy.replace(reason.is_none());
        match reason {
            // Before it has ever been healthy it is starting.
            Some(reason) if was_healthy == Some(true) => warn!(%reason, "The agent is not healthy."),
            None if was_healthy == Some(false) && since.is_some() => info!("The agent is healthy."),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use componentstatus::{Kind, Phase};
    use confighttp::Endpoint;
    use pdata::{KTime, Watermark};
    use serde_json::Value;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use crate::config::ResponseBody;

    fn start(config: Config) -> (HealthCheck, Arc<Board>) {
        let board = Arc::<Board>::default();
        let config = Config { endpoint: Endpoint::new("localhost", 0), ..config };
        (HealthCheck::start(config, board.clone()).unwrap(), board)
    }

    /// Status and body.
    async fn get(check: &HealthCheck, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(check.address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    async fn error(check: &HealthCheck) -> Option<String> {
        let (status, body) = get(check, "/").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        let error = body["error"].as_str().map(str::to_owned);
        assert_eq!(status, if error.is_none() { 200 } else { 503 });
        error
    }

    #[tokio::test]
    async fn healthy_is_who_runs_and_whose_watermark_is_not_far_behind() {
        let (check, board) = start(Config::default());
        assert_eq!(error(&check).await.as_deref(), Some("the pipelines have not started yet"));
        board.enter(Phase::Running);
        assert_eq!(error(&check).await, None);
        let exporter = board.stage(Kind::Exporter, "otlp", &["profiles".to_owned()]);
        exporter.forwarded(1, Watermark::before(procfs::clock::now()));
        assert_eq!(error(&check).await, None);
        // A watermark never goes back, so that of another stage.
        let slow = board.stage(Kind::Exporter, "slow", &["profiles".to_owned()]);
        let past = procfs::clock::now().as_nanos() - 31_000_000_000;
        slow.forwarded(1, Watermark::before(KTime::from_nanos(past)));
        let reason = error(&check).await.unwrap();
        assert!(reason.starts_with("exporter slow is "), "{reason}");
        board.remove(&slow);
        assert_eq!(error(&check).await, None);
        board.enter(Phase::Stopping);
        assert_eq!(error(&check).await.as_deref(), Some("the agent is stopping"));
        check.stop().await;
        assert!(TcpStream::connect(check.address()).await.is_err());
    }

    #[tokio::test]
    async fn the_time_since_it_is_up_stays_when_it_falls_ill() {
        let (check, board) = start(Config::default());
        let up_since = async || {
            let body: Value = serde_json::from_str(&get(&check, "/").await.1).unwrap();
            body["upSince"].as_str().unwrap().to_owned()
        };
        assert_eq!(up_since().await, "0001-01-01T00:00:00Z");
        board.enter(Phase::Running);
        let first = up_since().await;
        assert!(first.starts_with("20"), "{first}");
        board.enter(Phase::Stopping);
        assert_eq!(up_since().await, first);
    }

    #[tokio::test]
    async fn only_its_path_is_answered_and_with_the_bodies_of_the_user() {
        let bodies = ResponseBody { healthy: "yes".to_owned(), unhealthy: "no".to_owned() };
        let config = Config { path: "/health".to_owned(), response_body: Some(bodies), ..Config::default() };
        let (check, board) = start(config);
        assert_eq!(get(&check, "/health").await, (503, "no".to_owned()));
        board.enter(Phase::Running);
        assert_eq!(get(&check, "/health?verbose").await, (200, "yes".to_owned()));
        for path in ["/", "/health/", "/healthy"] {
            assert_eq!(get(&check, path).await.0, 404, "{path}");
        }
        let (check, _board) = start(Config { path: "/live/".to_owned(), ..Config::default() });
        assert_eq!(get(&check, "/live/any").await.0, 503);
        assert_eq!(get(&check, "/live").await.0, 404);
    }
}
