//! A server with bounds on the number of its clients and on their time.
//!
//! A connection carries one request: a client that keeps it open costs a place that the next one needs, and to connect
//! again costs a scraper nothing. So two bounds suffice: on the time until its head, and on the time until its end.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use axum::{Router, middleware};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::Endpoint;
use crate::clients::{Clients, Watched};
use crate::host;

/// Bounds on the cost of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The most connections that are served at once; for one more, the one that has stood still for the longest is
    /// closed.
    pub connections: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: CONNECTIONS }
    }
}

/// The most connections that are served at once unless more are needed.
const CONNECTIONS: usize = 32;
/// The longest time that a client may take to send the head of its request.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// The longest time that a connection may last: a client that reads its answer more slowly than that is cut off.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Largest head of a request, in bytes.
const HEAD_BYTES: usize = 16 * 1024;
/// The longest time that answers under way may take once the server is stopped.
const STOP_WITHIN: Duration = Duration::from_secs(1);
/// The longest time that a name may take to be looked up.
const RESOLVE_WITHIN: Duration = Duration::from_secs(5);
/// Pause after the system has refused to accept: for want of file descriptors, for example.
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);

/// A reason why a server cannot be started.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the name of a field in an error says all there is to say")]
pub enum ListenError {
    /// The host has no address.
    #[error("cannot resolve {host:?}: {reason}")]
    Resolve { host: String, reason: String },
    /// The system does not let us listen at the address.
    #[error("cannot listen on {endpoint}: {reason}")]
    Listen {
        endpoint: Endpoint,
        /// The reason, in the system's words.
        reason: String,
    },
}

/// A running server; [`stop`](Self::stop) ends it, and so does dropping it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    /// Token that is cancelled when the server's port is free again and its clients are gone.
    over: CancellationToken,
}

impl Server {
    /// Listens on `endpoint` and serves `router` there. Needs a Tokio runtime; a name is looked up, which blocks for
    /// five seconds at most.
    ///
    /// Of several addresses of a host the first of IPv4 is taken, as in the Collector, else the first.
    ///
    /// # Errors
    /// [`ListenError`] if the host has no address, or the port is in use or not allowed.
    pub fn start(endpoint: &Endpoint, router: Router) -> Result<Self, ListenError> {
        Self::start_within(endpoint, router, Bounds::default())
    }

    /// Starts a server like [`start`](Self::start), with these bounds.
    ///
    /// # Errors
    /// The same as those of [`start`](Self::start).
    pub fn start_within(endpoint: &Endpoint, router: Router, bounds: Bounds) -> Result<Self, ListenError> {
        let refuse =
            |error: io::Error| ListenError::Listen { endpoint: endpoint.clone(), reason: error.to_string() };
        let listener = std::net::TcpListener::bind(resolve(endpoint)?).map_err(refuse)?;
        listener.set_nonblocking(true).map_err(refuse)?;
        let listener = TcpListener::from_std(listener).map_err(refuse)?;
        let address = listener.local_addr().map_err(refuse)?;
        let (stop, over) = (CancellationToken::new(), CancellationToken::new());
        let ended = over.clone().drop_guard();
        let serving = serve(listener, router, endpoint.host.clone(), bounds, stop.clone());
        tokio::spawn(async move {
            serving.await;
            drop(ended);
        });
        Ok(Self { address, stop, over })
    }

    /// Address of the server: the port that was free if 0 was asked for.
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
    let host = if endpoint.host.is_empty() { "0.0.0.0" } else { &endpoint.host };
    if let Ok(address) = host.parse() {
        return Ok(SocketAddr::new(address, endpoint.port));
    }
    let refuse = |reason: String| ListenError::Resolve { host: endpoint.host.clone(), reason };
    let (sender, answer) = mpsc::sync_channel(1);
    let asked = (host.to_owned(), endpoint.port);
    let ask = move || {
        // Nobody waits for it any more if this fails.
        let _sent = sender.send(asked.to_socket_addrs().map(Vec::from_iter));
    };
    let thread = thread::Builder::new().name("resolve".to_owned()).spawn(ask);
    thread.map_err(|error| refuse(error.to_string()))?;
    let addresses = match answer.recv_timeout(RESOLVE_WITHIN) {
        Ok(addresses) => addresses.map_err(|error| refuse(error.to_string()))?,
        Err(_elapsed) => return Err(refuse(format!("no answer within {RESOLVE_WITHIN:?}"))),
    };
    let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    first.copied().ok_or_else(|| refuse("it has no address".to_owned()))
}

async fn serve(
    listener: TcpListener,
    router: Router,
    own_name: String,
    bounds: Bounds,
    stop: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    let clients = Clients::new(bounds.connections);
    let cut = CancellationToken::new();
    let _cut_off_at_the_end = cut.clone().drop_guard();
    let local = router.clone().layer(middleware::from_fn_with_state(own_name.into(), host::refuse_others));
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => {
                // DNS rebinding aims only at addresses that a browser on this machine reaches and the network does not.
                let is_local =
                    stream.local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback());
                let router = if is_local { local.clone() } else { router.clone() };
                client(stream, clients.admit(peer.ip(), &cut), router, &graceful);
            }
            Err(error) => {
                warn!(%error, "Cannot accept a connection.");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    drop(listener);
    // Clients that are not done by then are cut off.
    let _late = timeout(STOP_WITHIN, graceful.shutdown()).await;
}

fn client(stream: TcpStream, place: Watched, router: Router, graceful: &GracefulShutdown) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(place.watch(stream)), TowerToHyperService::new(router));
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        match timeout(ANSWER_WITHIN, place.cut().run_until_cancelled(connection)).await {
            Ok(Some(Err(error))) => debug!(%error, "Client has closed its connection."),
            Ok(_) => {}
            Err(_elapsed) => debug!("Client takes too long and is cut off."),
        }
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
        ask(address, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await
    }

    async fn ask(address: SocketAddr, request: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
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
    async fn a_client_in_the_middle_of_a_request_is_cut_off_by_the_stop() {
        let server = start();
        let mut slow = TcpStream::connect(server.address()).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nHost: lo").await.unwrap();
        // Its turn has come once the next one is answered.
        fetch(server.address()).await.unwrap();
        server.stop().await;
        // On a clock that goes on by what is waited for alone, it is over at once, however slow the machine is.
        tokio::time::pause();
        let stopped = tokio::time::Instant::now();
        let mut rest = Vec::new();
        // An error if it is reset.
        let _over = slow.read_to_end(&mut rest).await;
        assert!(stopped.elapsed() < HEAD_WITHIN / 2, "it is still served");
    }

    /// The request of a browser that a foreign page has lured to this address by a name of its own.
    #[tokio::test]
    async fn a_page_from_elsewhere_reads_nothing() {
        let server = start();
        let address = server.address();
        let status = async |host: &str| {
            let answer = ask(address, &format!("GET / HTTP/1.1\r\n{host}\r\n\r\n")).await.unwrap();
            answer.split(' ').nth(1).unwrap().to_owned()
        };
        for own in
            ["Host: localhost", "Host: LOCALHOST:80", "Host: 127.0.0.1:1", "Host: [::1]:1", "Host: 10.0.0.1"]
        {
            assert_eq!(status(own).await, "200", "{own}");
        }
        for foreign in
            ["Host: evil.example", "Host: localhost.evil.example:80", "Host: 127.0.0.1.evil", "Host: "]
        {
            assert_eq!(status(foreign).await, "403", "{foreign}");
        }
        let answer = ask(address, "GET / HTTP/1.0\r\n\r\n").await.unwrap();
        assert!(answer.ends_with("hello"), "no browser asks without a host: {answer}");
    }

    #[tokio::test]
    async fn a_connection_carries_one_request() {
        let server = start();
        let answer = ask(server.address(), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        assert!(answer.ends_with("hello"), "{answer}");
    }

    #[tokio::test]
    async fn clients_that_say_nothing_do_not_keep_others_waiting() {
        let server = start();
        // Before any of them has taken longer than he may.
        let end = tokio::time::Instant::now() + HEAD_WITHIN * 9 / 10;
        let mut silent = Vec::new();
        for _ in 0..2 * CONNECTIONS {
            silent.push(TcpStream::connect(server.address()).await.unwrap());
        }
        let answer = tokio::time::timeout_at(end, fetch(server.address())).await;
        assert!(answer.expect("others are served first").unwrap().ends_with("hello"));
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_is_shown_out() {
        let server = start();
        let mut silent = TcpStream::connect(server.address()).await.unwrap();
        tokio::time::pause();
        let began = tokio::time::Instant::now();
        let mut rest = Vec::new();
        let _closed = silent.read_to_end(&mut rest).await;
        assert!(began.elapsed() <= HEAD_WITHIN + Duration::from_secs(1), "{:?}", began.elapsed());
    }

    /// A head that comes a byte at a time, or an answer that is never read, takes no longer than its bound.
    #[tokio::test]
    async fn a_client_that_does_not_read_is_cut_off() {
        let router = Router::new().route("/", get(|| async { "x".repeat(64 << 20) }));
        let server = Server::start(&Endpoint::new("localhost", 0), router).unwrap();
        let mut slow = TcpStream::connect(server.address()).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut byte = [0];
        slow.read_exact(&mut byte).await.unwrap();
        tokio::time::pause();
        tokio::time::sleep(ANSWER_WITHIN + Duration::from_secs(1)).await;
        tokio::time::resume();
        let mut rest = Vec::new();
        let _reset = slow.read_to_end(&mut rest).await;
        assert!(rest.len() < 64 << 20, "the whole answer was sent");
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
