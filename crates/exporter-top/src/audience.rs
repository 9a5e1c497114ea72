//! The watchers of the socket: each is sent the seconds as fast as it reads them.

use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pdata::KTime;
use procfs::clock;
use profile_seconds::{Hello, Losses, LostRecords, Message, Report, VERSION};
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

/// Most watchers that are served at once: each is a task and a socket, and shares the lines below with the others.
const MOST: usize = 16;
/// Most lines that are held for watchers that do not keep up: one that is further behind misses the oldest.
const HELD: usize = 4;
/// Longest time that a watcher may take to read a line.
pub(crate) const READ_WITHIN: Duration = Duration::from_secs(30);
/// Pause after the kernel has refused to accept a connection, for want of file descriptors, for example.
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);

/// The line of one second, with the losses around it.
#[derive(Clone, Debug)]
struct Line {
    bytes: Arc<[u8]>,
    /// Records lost in the seconds before this one.
    lost_before: Arc<Losses>,
    /// Records lost until the end of this second.
    lost: Arc<Losses>,
}

/// A watcher's queue of lines, and the losses so far.
#[derive(Debug)]
struct Watcher {
    lines: Receiver<Line>,
    /// Records lost until the end of the last second that the watcher was sent, or until it attached.
    lost: Arc<Losses>,
}

/// All watchers of the socket. The socket is removed once [`stop`](Self::stop) has returned, or soon after this is
/// dropped.
#[derive(Debug)]
pub(crate) struct Audience {
    lines: Arc<Lines>,
    stop: CancellationToken,
    over: CancellationToken,
}

impl Audience {
    /// Accepts connections, and sends seconds to each peer that may watch. Needs a Tokio runtime.
    ///
    /// # Errors
    /// The operating system's error for the listening socket.
    pub(crate) fn serve(
        (socket, listener): (Socket, StdListener),
        watchers: Watchers,
        watched: Watched,
    ) -> io::Result<Self> {
        let listener = UnixListener::from_std(listener)?;
        let lines = Lines { sender: broadcast::channel(HELD).0, since: clock::now(), lost: Mutex::default() };
        let lines = Arc::new(lines);
        let (stop, over) = (CancellationToken::new(), CancellationToken::new());
        let (ended, clients) = (over.clone().drop_guard(), stop.clone());
        let door = Door { watchers, watched, lines: Arc::clone(&lines) };
        let open = stop.clone();
        tokio::spawn(async move {
            open.run_until_cancelled(door.admit(listener, clients)).await;
            drop((socket, ended));
        });
        Ok(Self { lines, stop, over })
    }

    /// True if there is no watcher.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.sender.receiver_count() == 0
    }

    /// Sends a second to all watchers.
    pub(crate) fn send(&self, report: Report) {
        self.lines.send(report);
    }

    /// Counts records that were lost in seconds that are sent to nobody.
    pub(crate) fn count(&self, lost: &[LostRecords]) {
        self.lines.count(lost);
    }

    /// Closes all connections; returns when the socket is removed.
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

/// The lines of seconds on their way to the watchers.
#[derive(Debug)]
struct Lines {
    sender: Sender<Line>,
    /// The instant at which the first loss may have been counted.
    since: KTime,
    /// Records lost since then, in seconds that were sent and in those for which there was no watcher.
    lost: Mutex<Arc<Losses>>,
}

impl Lines {
    fn count(&self, lost: &[LostRecords]) {
        if !lost.is_empty() {
            Arc::make_mut(&mut *self.lost.lock().unwrap_or_else(PoisonError::into_inner)).add(lost);
        }
    }

    fn send(&self, report: Report) {
        let mut so_far = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let lost_before = Arc::clone(&so_far);
        if !report.second.lost.is_empty() {
            Arc::make_mut(&mut so_far).add(&report.second.lost);
        }
        let bytes = Message::Report(Box::new(report)).line().into();
        // Fails if the last watcher has just left.
        let _watchers = self.sender.send(Line { bytes, lost_before, lost: Arc::clone(&so_far) });
    }

    /// A queue for one more watcher, which gets all lines that are sent from now on; `None` if there are too many
    /// watchers.
    fn subscribe(&self) -> Option<Watcher> {
        // Under the lock, so that `lost` is up to the first second that the watcher gets.
        let so_far = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = self.sender.receiver_count() < MOST;
        has_room.then(|| Watcher { lines: self.sender.subscribe(), lost: Arc::clone(&so_far) })
    }
}

/// Admits peers that connect, and sends them the lines.
#[derive(Clone, Debug)]
struct Door {
    watchers: Watchers,
    watched: Watched,
    lines: Arc<Lines>,
}

impl Door {
    async fn admit(self, listener: UnixListener, stop: CancellationToken) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // Admitted here rather than in the task, so that the next connection is counted with this one.
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

    fn look_at(&self, stream: &UnixStream) -> Result<Watcher, String> {
        self.watchers.admit(stream)?;
        let watcher = self.lines.subscribe();
        watcher.ok_or_else(|| format!("{MOST} programs are attached already, which is the most that can be"))
    }

    async fn serve(self, mut stream: UnixStream, admitted: Result<Watcher, String>) {
        let watcher = match admitted {
            Ok(watcher) => watcher,
            Err(reason) => {
                debug!(reason, "Somebody is not let in.");
                let _left = send(&mut stream, &Message::Refused { reason }.line()).await;
                return;
            }
        };
        let hello = Message::Hello(Hello {
            version: VERSION,
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            since: self.lines.since.as_nanos(),
            lost: watcher.lost.all(),
        });
        self.watched.clients.increment(1.0);
        if send(&mut stream, &hello.line()).await.is_ok() {
            self.relay(stream, watcher).await;
        }
        self.watched.clients.decrement(1.0);
    }

    async fn relay(&self, mut stream: UnixStream, mut watcher: Watcher) {
        let mut word = [0];
        let mut skipped = 0;
        loop {
            let line = tokio::select! {
                // Watchers never send anything, so a read that returns is the end of the connection.
                _ = stream.read(&mut word) => return,
                line = watcher.lines.recv() => line,
            };
            let line = match line {
                Ok(line) => line,
                Err(RecvError::Lagged(seconds)) => {
                    self.watched.skipped.increment(seconds);
                    skipped += seconds;
                    continue;
                }
                Err(RecvError::Closed) => return,
            };
            let lost = line.lost_before.since(&watcher.lost);
            if skipped > 0 || !lost.is_empty() {
                // The watcher must distinguish a missing second from one in which nothing ran or nothing was lost.
                let message = Message::Skipped { seconds: std::mem::take(&mut skipped), lost };
                if send(&mut stream, &message.line()).await.is_err() {
                    return;
                }
            }
            if send(&mut stream, &line.bytes).await.is_err() {
                return;
            }
            watcher.lost = line.lost;
        }
    }
}

/// Sends a line to a peer, which must read it in time.
async fn send(stream: &mut UnixStream, line: &[u8]) -> io::Result<()> {
    timeout(READ_WITHIN, stream.write_all(line)).await?
}
