//! A server that takes connections and never answers: the sight of an exporter that stalls.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const POLL: Duration = Duration::from_millis(20);

/// The silent server. Dropped, it closes its connections and refuses new ones.
#[derive(Debug)]
pub struct Silent {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Silent {
    /// Starts the server on a free loopback port.
    ///
    /// # Errors
    /// Errors of the socket.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut held = Vec::new();
            while !seen.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => held.push(stream),
                    Err(_none) => thread::sleep(POLL),
                }
            }
        });
        Ok(Self { port, stop, thread: Some(thread) })
    }

    /// The port on which the server listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn it_takes_bytes_says_nothing_and_closes_when_dropped() {
        let server = Silent::start().unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(stream.read(&mut [0; 1]).is_err(), "no answer");
        let port = server.port();
        drop(server);
        assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}
