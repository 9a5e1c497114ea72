//! A server below HTTP, that may break off anywhere; and the outcome of requests that meet one.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use exporterhelper::SendError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower::{Service as _, ServiceExt as _};

use super::grpc::{self, request};
use super::http::{self, answer};

/// The server's act on one request.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Reads the request and answers these bytes.
    Answer(Vec<u8>),
    /// Answers like `Answer`, then closes the connection without a header that announces it.
    AnswerAndClose(Vec<u8>),
    /// Reads the request and answers `head`, then `chunk` as long as somebody reads it.
    Endless { head: Vec<u8>, chunk: Vec<u8> },
    /// Reads the first bytes of the request, or of an answer's end, and resets the connection.
    Reset,
    /// Reads the request, answers these bytes and resets the connection.
    AnswerAndReset(Vec<u8>),
    /// Reads the request, closes its half of the connection without an answer.
    HalfClose,
    /// Takes no byte and sends nothing, for ever.
    Stall,
    /// Takes a little of the request at a time, with pauses, then answers these bytes.
    ReadSlowly(Vec<u8>),
}

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(super) struct Got {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

/// A server that handles each request, in turn, by a script.
#[derive(Debug)]
pub(super) struct Rude {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    acts: std::collections::VecDeque<Act>,
    requests: Vec<Got>,
    connections: usize,
}

impl Rude {
    pub(super) async fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { acts: acts.into(), ..State::default() }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                tokio::spawn(connection(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state }
    }

    pub(super) fn requests(&self) -> Vec<Got> {
        self.state.lock().unwrap().requests.clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }
}

async fn connection(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    loop {
        // The act waits until there is a request: a connection may be closed unused.
        let mut first = [0];
        if !matches!(stream.peek(&mut first).await, Ok(1)) {
            return;
        }
        let Some(act) = state.lock().unwrap().acts.pop_front() else { return };
        match act {
            Act::Stall => std::future::pending().await,
            Act::Reset => {
                let _some = stream.read(&mut [0; 10]).await;
                return reset(stream);
            }
            _ => {}
        }
        let pause = if matches!(act, Act::ReadSlowly(_)) { Duration::from_millis(1) } else { Duration::ZERO };
        let Some(got) = read(&mut stream, pause).await else { return };
        state.lock().unwrap().requests.push(got);
        match act {
            Act::Answer(bytes) | Act::ReadSlowly(bytes) => stream.write_all(&bytes).await.unwrap(),
            Act::AnswerAndClose(bytes) => return stream.write_all(&bytes).await.unwrap(),
            Act::AnswerAndReset(bytes) => {
                stream.write_all(&bytes).await.unwrap();
                return reset(stream);
            }
            Act::HalfClose => {
                stream.shutdown().await.unwrap();
                // The other half stays open until the client has had enough.
                let _end = stream.read(&mut first).await;
                return;
            }
            Act::Endless { head, chunk } => {
                stream.write_all(&head).await.unwrap();
                while stream.write_all(&chunk).await.is_ok() {}
                return;
            }
            Act::Stall | Act::Reset => return,
        }
    }
}

/// Closes with RST.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

/// Reads a request, a kilobyte at a time if there is a `pause`; nothing if the connection ends before it.
async fn read(stream: &mut TcpStream, pause: Duration) -> Option<Got> {
    let mut bytes = Vec::new();
    loop {
        let mut part = vec![0; if pause.is_zero() { 65536 } else { 1024 }];
        let count = stream.read(&mut part).await.ok().filter(|&count| count > 0)?;
        bytes.extend_from_slice(&part[..count]);
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let body = &bytes[end + 4..];
            if body.len() >= length.unwrap_or(0_usize) {
                return Some(Got { head, body: body.to_vec() });
            }
        }
        tokio::time::sleep(pause).await;
    }
}

fn ok() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()
}

/// A connection that breaks, however it does, is worth another attempt, and the next request gets a new one.
#[tokio::test]
async fn table_of_broken_connections_by_http() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec();
    for (act, reason) in [
        (Act::Reset, "client error (SendRequest)"),
        (Act::HalfClose, "client error (SendRequest): connection closed before message completed"),
        (Act::AnswerAndClose(half.clone()), "the server's answer broke off"),
        (Act::AnswerAndReset(half), "the server's answer broke off"),
        (Act::Answer(b"garbage\r\n\r\n".to_vec()), "client error (SendRequest): invalid HTTP version parsed"),
    ] {
        let rude = Rude::start(vec![act.clone(), Act::Answer(ok())]).await;
        let mut transport = http::transport(&http::config(&rude));
        let error = transport.ready().await.unwrap().call(request(1 << 20)).await.unwrap_err();
        assert!(error.is_retryable() && error.to_string().starts_with(reason), "{act:?}: {error}");
        transport.ready().await.unwrap().call(request(9)).await.unwrap();
        assert_eq!(rude.connections(), 2, "{act:?}");
    }
}

/// A server that closes a connection between two requests, without announcing it, costs nothing.
#[tokio::test]
async fn a_connection_that_is_closed_while_it_is_idle_is_made_anew() {
    let rude = Rude::start(vec![Act::AnswerAndClose(ok()), Act::Answer(ok())]).await;
    let mut transport = http::transport(&http::config(&rude));
    transport.ready().await.unwrap().call(request(9)).await.unwrap();
    // Time for the client to see the end of the connection; one that has not seen it yet gets an error and tries again.
    let second = loop {
        match transport.ready().await.unwrap().call(request(9)).await {
            Err(SendError::Retryable { .. }) => {}
            result => break result,
        }
    };
    second.unwrap();
    assert_eq!((rude.requests().len(), rude.connections()), (2, 2));
}

#[tokio::test]
async fn a_server_that_reads_slowly_gets_it_all() {
    let rude = Rude::start(vec![Act::ReadSlowly(ok())]).await;
    let config = crate::HttpConfig { compression: crate::HttpCompression::None, ..http::config(&rude) };
    http::transport(&config).ready().await.unwrap().call(request(100_000)).await.unwrap();
    assert_eq!(rude.requests()[0].body, request(100_000).bytes);
}

/// A connection that breaks or does not speak gRPC is worth another attempt, too.
#[tokio::test]
async fn table_of_broken_connections_by_grpc() {
    for act in [
        Act::Reset,
        answer("400 Bad Request", "", b"no gRPC here"),
        Act::AnswerAndClose(b"garbage".to_vec()),
        Act::AnswerAndReset(b"garbage".to_vec()),
    ] {
        // The preface of HTTP/2 reads as a request without a body.
        let rude = Rude::start(vec![act.clone()]).await;
        let error = grpc::send(&grpc::config(rude.address)).await.unwrap_err();
        assert!(error.is_retryable(), "{act:?}: {error}");
    }
}

/// Time is paused: it leaps to the bound when nothing else can happen.
#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_costs_the_timeout_and_no_more() {
    use exporterhelper::TimeoutLayer;
    use tower::Layer as _;
    let rude = Rude::start(vec![Act::Stall, Act::Stall]).await;
    let timeout = TimeoutLayer::new(Duration::from_secs(3));
    let began = tokio::time::Instant::now();
    let by_http = timeout.layer(http::transport(&http::config(&rude))).oneshot(request(9)).await;
    assert_eq!(by_http, Err(SendError::retryable("no answer within 3s")));
    assert_eq!(began.elapsed().as_secs(), 3);
    let by_grpc = timeout.layer(grpc::transport(&grpc::config(rude.address))).oneshot(request(9)).await;
    assert_eq!(by_grpc, Err(SendError::retryable("no answer within 3s")));
    assert_eq!(began.elapsed().as_secs(), 6);
}
