//! A server with bounds: so many clients, each so patient.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::Endpoint;

/// Connections served at once; more wait in the kernel's backlog.
const CONNECTIONS: usize = 32;
/// Longest that a client may take to send the head of its next request. Longer than scrapes are usually apart.
const HEAD_WITHIN: Duration = Duration::from_secs(75);
/// Longest that answers under way may take once the server is stopped.
const STOP_WITHIN: Duration = Duration::from_secs(1);
/// Pause after the system has refused to accept: for want of file descriptors, for example.
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);

/// Why a server cannot be started.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The host means no address.
    #[error("cannot resolve {host:?}: {reason}")]
    Resolve {
        /// Host as configured.
        host: String,
        /// Why.
        reason: String,
    },
    /// The system does not let us listen there.
    #[error("cannot listen on {endpoint}: {reason}")]
    Listen {
        /// Where.
        endpoint: Endpoint,
        /// Why, in the system's words.
        reason: String,
    },
}

/// A running server; [`stop`](Self::stop) ends it, and so does dropping it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    /// Set when its port is free again and its clients are gone.
    over: CancellationToken,
}

impl Server {
    /// Listens on `endpoint` and serves `router` there. Needs a Tokio runtime; a name that is not in the machine's own
    /// table of hosts is asked for, which blocks.
    ///
    /// Of several addresses of a host the first of IPv4 is taken, as in the Collector, else the first.
    ///
    /// # Errors
    /// [`ListenError`] if the host has no address, or the port is in use or not allowed.
    pub fn start(endpoint: &Endpoint, router: Router) -> Result<Self, ListenError> {
        let refuse =
            |error: io::Error| ListenError::Listen { endpoint: endpoint.clone(), reason: error.to_string() };
        let listener = std::net::TcpListener::bind(resolve(endpoint)?).map_err(refuse)?;
        listener.set_nonblocking(true).map_err(refuse)?;
        let listener = TcpListener::from_std(listener).map_err(refuse)?;
        let address = listener.local_addr().map_err(refuse)?;
        let (stop, over) = (CancellationToken::new(), CancellationToken::new());
        let ended = over.clone().drop_guard();
        let serving = serve(listener, router, stop.clone());
        tokio::spawn(async move {
            serving.await;
            drop(ended);
        });
        Ok(Self { address, stop, over })
    }

    /// Where it listens: the port that was free if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening and finishes the answers under way, within a second; done when the port is free again.
    pub fn stop(&self) -> impl Future<Output = ()> + Send + use<> {
        self.stop.cancel();
        self.over.clone().cancelled_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn resolve(endpoint: &Endpoint) -> Result<SocketAddr, ListenError> {
    let refuse = |reason: String| ListenError::Resolve { host: endpoint.host.clone(), reason };
    let host = if endpoint.host.is_empty() { "0.0.0.0" } else { &endpoint.host };
    let addresses = (host, endpoint.port).to_socket_addrs();
    let addresses: Vec<_> = addresses.map_err(|error| refuse(error.to_string()))?.collect();
    let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    first.copied().ok_or_else(|| refuse("it has no address".to_owned()))
}

async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let clients = Arc::new(Semaphore::new(CONNECTIONS));
    let cut = CancellationToken::new();
    let _cut_off_at_the_end = cut.clone().drop_guard();
    while let Some(accepted) = stop.run_until_cancelled(accept(&listener, &clients)).await {
        match accepted {
            Ok((stream, permit)) => client(stream, permit, router.clone(), &graceful, cut.clone()),
            Err(error) => {
                warn!(%error, "Cannot accept a connection.");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    drop(listener);
    // Whoever is not done by then is cut off.
    let _late = tokio::time::timeout(STOP_WITHIN, graceful.shutdown()).await;
}

async fn accept(
    listener: &TcpListener,
    clients: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = clients.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _peer) = listener.accept().await?;
    Ok((stream, permit))
}

fn client(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    router: Router,
    graceful: &GracefulShutdown,
    cut: CancellationToken,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Some(Err(error)) = cut.run_until_cancelled_owned(connection).await {
            debug!(%error, "A client has gone away.");
        }
        drop(permit);
    });
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn start() -> Server {
        let router = Router::new().route("/", get(|| async { "hello" }));
        Server::start(&Endpoint::new("localhost", 0), router).unwrap()
    }

    async fn fetch(address: SocketAddr) -> io::Result<String> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn it_answers_until_it_is_stopped() {
        let server = start();
        let address = server.address();
        assert!(address.is_ipv4());
        assert!(fetch(address).await.unwrap().ends_with("\r\n\r\nhello"));
        server.stop().await;
        assert!(fetch(address).await.is_err());
    }

    #[tokio::test]
    async fn a_client_that_stays_does_not_hold_up_the_stop() {
        let server = start();
        let mut idle = TcpStream::connect(server.address()).await.unwrap();
        idle.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut byte = [0];
        idle.read_exact(&mut byte).await.unwrap();
        server.stop().await;
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).await.unwrap();
        assert!(rest.ends_with(b"hello"));
    }

    #[tokio::test]
    async fn a_client_in_the_middle_of_a_request_is_cut_off_by_the_stop() {
        let server = start();
        let mut slow = TcpStream::connect(server.address()).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nHost: lo").await.unwrap();
        // Its turn has come once the next one is answered.
        fetch(server.address()).await.unwrap();
        server.stop().await;
        let mut rest = Vec::new();
        // An error if it is reset.
        let over = tokio::time::timeout(HEAD_WITHIN / 2, slow.read_to_end(&mut rest)).await;
        assert!(over.is_ok(), "it is still served");
    }

    #[tokio::test]
    async fn clients_that_say_nothing_are_bounded_and_do_not_shut_out_the_next_for_ever() {
        let server = start();
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS {
            silent.push(TcpStream::connect(server.address()).await.unwrap());
        }
        tokio::time::pause();
        // Answered once the first of the silent ones is shown out.
        assert!(fetch(server.address()).await.unwrap().ends_with("hello"));
    }

    #[tokio::test]
    async fn a_port_in_use_and_a_host_unknown_are_told() {
        let server = start();
        let port = server.address().port();
        let error = Server::start(&Endpoint::new("localhost", port), Router::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot listen on localhost:{port}: Address already in use (os error 98)")
        );
        let error = Server::start(&Endpoint::new("a..b", 1), Router::new()).unwrap_err();
        assert!(error.to_string().starts_with("cannot resolve \"a..b\": "), "{error}");
    }
}
