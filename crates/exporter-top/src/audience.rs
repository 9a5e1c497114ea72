//! Those who watch: each is sent what there is, as fast as it reads.

use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use profile_seconds::{Hello, Message, VERSION};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::metrics::Watched;
use crate::peers::Watchers;
use crate::socket::Socket;

/// Most who are served at once: each is a task, a socket, and shares the lines below with the others.
const MOST: usize = 16;
/// Lines that are held for those who do not keep up: one who misses more than these skips what is gone.
const HELD: usize = 4;
/// Longest that one may take to read a line.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// Pause after the system has refused to accept: for want of file descriptors, for example.
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);

type Line = Arc<[u8]>;

/// Those who watch. The socket is gone once the [`stop`](Self::stop) is over, or soon after this is dropped.
#[derive(Debug)]
pub(crate) struct Audience {
    lines: Sender<Line>,
    stop: CancellationToken,
    over: CancellationToken,
}

impl Audience {
    /// Serves whoever connects and may watch. Needs a Tokio runtime.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn serve(
        (socket, listener): (Socket, StdListener),
        watchers: Watchers,
        watched: Watched,
    ) -> io::Result<Self> {
        let listener = UnixListener::from_std(listener)?;
        let lines = broadcast::channel(HELD).0;
        let (stop, over) = (CancellationToken::new(), CancellationToken::new());
        let (ended, clients) = (over.clone().drop_guard(), stop.clone());
        let door = Door { watchers, watched, lines: lines.clone() };
        let open = stop.clone();
        tokio::spawn(async move {
            open.run_until_cancelled(door.admit(listener, clients)).await;
            drop((socket, ended));
        });
        Ok(Self { lines, stop, over })
    }

    /// True if nobody watches.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.receiver_count() == 0
    }

    /// Sends a message to all who watch.
    pub(crate) fn send(&self, message: &Message) {
        // Nobody, if the last has just left.
        let _watchers = self.lines.send(message.line().into());
    }

    /// Sends everybody away; done when the socket is gone.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.over.cancelled().await;
    }
}

impl Drop for Audience {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Where those who want to watch come in.
#[derive(Clone, Debug)]
struct Door {
    watchers: Watchers,
    watched: Watched,
    lines: Sender<Line>,
}

impl Door {
    async fn admit(self, listener: UnixListener, stop: CancellationToken) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // Before the next is counted.
                    let admitted = self.look_at(&stream);
                    let (door, stop) = (self.clone(), stop.clone());
                    tokio::spawn(async move {
                        stop.run_until_cancelled(door.serve(stream, admitted)).await;
                    });
                }
                Err(error) => {
                    warn!(%error, "Cannot accept a connection.");
                    sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }

    fn look_at(&self, stream: &UnixStream) -> Result<Receiver<Line>, String> {
        self.watchers.admit(stream)?;
        if self.lines.receiver_count() >= MOST {
            return Err(format!("{MOST} programs are attached already, which is the most that can be"));
        }
        Ok(self.lines.subscribe())
    }

    async fn serve(self, mut stream: UnixStream, admitted: Result<Receiver<Line>, String>) {
        let lines = match admitted {
            Ok(lines) => lines,
            Err(reason) => {
                debug!(reason, "Somebody is not let in.");
                let _left = send(&mut stream, &Message::Refused { reason }.line()).await;
                return;
            }
        };
        let agent = env!("CARGO_PKG_VERSION").to_owned();
        let hello = Message::Hello(Hello { version: VERSION, agent, pid: std::process::id() });
        self.watched.clients.increment(1.0);
        if send(&mut stream, &hello.line()).await.is_ok() {
            self.relay(stream, lines).await;
        }
        self.watched.clients.decrement(1.0);
    }

    async fn relay(&self, mut stream: UnixStream, mut lines: Receiver<Line>) {
        let mut word = [0];
        loop {
            let line = tokio::select! {
                // Nobody has anything to say: this is the end.
                _ = stream.read(&mut word) => return,
                line = lines.recv() => line,
            };
            match line {
                Ok(line) if send(&mut stream, &line).await.is_ok() => {}
                Err(RecvError::Lagged(seconds)) => {
                    self.watched.skipped.increment(seconds);
                    // A second that is missing is not one in which nothing ran.
                    if send(&mut stream, &Message::Skipped { seconds }.line()).await.is_err() {
                        return;
                    }
                }
                Ok(_) | Err(RecvError::Closed) => return,
            }
        }
    }
}

/// Sends a line to one who reads it in time.
async fn send(stream: &mut UnixStream, line: &[u8]) -> io::Result<()> {
    timeout(READ_WITHIN, stream.write_all(line)).await?
}
