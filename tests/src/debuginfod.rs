//! A debuginfod server: debug files by build ID, and answers that no honest server gives.
//!
//! It shares no code with the agent: it is written from debuginfod(8), "WEBAPI".

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::api_server::identity;

/// Pause between two bytes of an answer that trickles, and between two looks for an answer.
const TRICKLE: Duration = Duration::from_millis(20);

/// The answer to a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The bytes, with their length.
    File(Vec<u8>),
    /// The bytes in pieces, without their length.
    Chunked(Vec<u8>),
    /// The bytes, with a length of one more, and the connection is closed.
    Cut(Vec<u8>),
    /// A piece, again and again without an end.
    Endless(Vec<u8>),
    /// A byte, again and again without an end, slowly.
    Trickle,
    /// Nothing, until another answer takes the place of this one, which is then given.
    Wait,
    /// The status alone.
    Status(u16),
    /// A redirection to a URL or a path.
    Redirect(String),
}

/// A running server; gone once it is dropped.
#[derive(Debug)]
pub struct DebuginfodServer {
    port: u16,
    /// The certificate that the server is verified by, in PEM, if it speaks TLS.
    authority: Option<String>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    answers: Mutex<HashMap<String, Answer>>,
    requests: Mutex<Vec<String>>,
    connections: Mutex<usize>,
    is_over: AtomicBool,
}

impl DebuginfodServer {
    /// A server without any file, on a free port of the loopback interface.
    ///
    /// # Panics
    /// If the system has no port or thread left.
    #[must_use]
    pub fn start() -> Self {
        Self::over(None)
    }

    /// The same, by TLS.
    ///
    /// # Panics
    /// If the system has no port or thread left.
    #[must_use]
    pub fn start_tls() -> Self {
        Self::over(Some(identity::create()))
    }

    fn over(identity: Option<identity::Identity>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it listens").port();
        let shared = Arc::<Shared>::default();
        let (authority, tls) = identity.map(|of| (of.authority, Arc::new(of.server))).unzip();
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if own.is_over.load(Ordering::Relaxed) {
                    return;
                }
                *locked(&own.connections) += 1;
                let (own, tls) = (Arc::clone(&own), tls.clone());
                // A client that breaks off is no fault of the server's.
                thread::spawn(move || drop(serve(stream, tls, &own)));
            }
        });
        Self { port, authority, shared }
    }

    /// `http://HOST:PORT` or `https://HOST:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The certificate that the server is verified by, in PEM.
    ///
    /// # Panics
    /// If the server does not speak TLS.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.authority.as_deref().expect("it speaks TLS")
    }

    /// Answers requests for the debug file of a build ID, in lower-case hex, from now on.
    pub fn answer(&self, build_id: &str, answer: Answer) {
        self.answer_path(&format!("/buildid/{build_id}/debuginfo"), answer);
    }

    /// Answers requests for a path from now on. Any other path is not found.
    pub fn answer_path(&self, path: &str, answer: Answer) {
        locked(&self.shared.answers).insert(path.to_owned(), answer);
    }

    /// The paths of the requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        locked(&self.shared.requests).clone()
    }

    /// Number of connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        *locked(&self.shared.connections)
    }
}

impl Shared {
    /// The answer for a path, as soon as there is one.
    fn answer(&self, path: &str) -> Answer {
        loop {
            let answer = locked(&self.answers).get(path).cloned().unwrap_or(Answer::Status(404));
            if !matches!(answer, Answer::Wait) || self.is_over.load(Ordering::Relaxed) {
                return answer;
            }
            thread::sleep(TRICKLE);
        }
    }
}

impl Drop for DebuginfodServer {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        None => exchange(stream, shared),
        Some(tls) => {
            let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
            exchange(StreamOwned::new(connection, stream), shared)
        }
    }
}

/// Answers requests until the client closes the connection.
fn exchange(stream: impl Read + Write, shared: &Shared) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        while !line.trim_end().is_empty() {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Ok(());
            }
        }
        locked(&shared.requests).push(path.clone());
        let answer = shared.answer(&path);
        if !write(stream.get_mut(), answer, shared)? {
            return Ok(());
        }
    }
}

/// Writes an answer; false if the connection is to be closed.
fn write(out: &mut impl Write, answer: Answer, shared: &Shared) -> io::Result<bool> {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let head = |status: u16, length: usize| format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n");
    let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let bytes = match answer {
        Answer::File(bytes) => [head(200, bytes.len()).as_bytes(), b"\r\n", &bytes].concat(),
        Answer::Wait => return Ok(false),
        Answer::Status(status) => [head(status, 0).as_bytes(), b"\r\n"].concat(),
        Answer::Redirect(to) => format!("{}location: {to}\r\n\r\n", head(302, 0)).into_bytes(),
        Answer::Chunked(bytes) => {
            let pieces: Vec<u8> = bytes.chunks(1000).flat_map(chunk).collect();
            [CHUNKED.as_bytes(), &pieces, b"0\r\n\r\n"].concat()
        }
        Answer::Cut(bytes) => {
            out.write_all(&[head(200, bytes.len() + 1).as_bytes(), b"\r\n", &bytes].concat())?;
            out.flush()?;
            return Ok(false);
        }
        Answer::Endless(piece) => return go_on(out, (CHUNKED, &chunk(&piece)), Duration::ZERO, shared),
        Answer::Trickle => return go_on(out, (CHUNKED, &chunk(b"x")), TRICKLE, shared),
    };
    out.write_all(&bytes)?;
    out.flush()?;
    Ok(true)
}

/// Writes a piece again and again, until the client closes the connection or the server is gone.
fn go_on(
    out: &mut impl Write,
    (head, piece): (&str, &[u8]),
    pause: Duration,
    shared: &Shared,
) -> io::Result<bool> {
    out.write_all(head.as_bytes())?;
    while !shared.is_over.load(Ordering::Relaxed) {
        out.write_all(piece)?;
        out.flush()?;
        thread::sleep(pause);
    }
    Ok(false)
}
