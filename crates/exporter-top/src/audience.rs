//! Those who watch: each is sent what there is, as fast as it reads.

use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use profile_seconds::{Hello, Losses, Message, Report, VERSION};
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

/// A second as it is sent.
#[derive(Clone, Debug)]
struct Line {
    bytes: Arc<[u8]>,
    /// Records lost in the seconds before it.
    lost_before: Arc<Losses>,
    /// Records lost until its end.
    lost: Arc<Losses>,
}

/// One who watches, and what it has heard of.
#[derive(Debug)]
struct Watcher {
    lines: Receiver<Line>,
    /// Records lost until the end of the last second that it was sent.
    lost: Arc<Losses>,
}

/// Those who watch. The socket is gone once the [`stop`](Self::stop) is over, or soon after this is dropped.
#[derive(Debug)]
pub(crate) struct Audience {
    lines: Arc<Lines>,
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
        let lines = Arc::new(Lines { sender: broadcast::channel(HELD).0, lost: Mutex::default() });
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

    /// True if nobody watches.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.sender.receiver_count() == 0
    }

    /// Sends a second to all who watch.
    pub(crate) fn send(&self, report: Report) {
        self.lines.send(report);
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

/// The seconds on their way to those who watch.
#[derive(Debug)]
struct Lines {
    sender: Sender<Line>,
    /// Records lost in all seconds that were sent so far.
    lost: Mutex<Arc<Losses>>,
}

impl Lines {
    fn send(&self, report: Report) {
        let mut so_far = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let lost_before = Arc::clone(&so_far);
        if !report.second.lost.is_empty() {
            Arc::make_mut(&mut so_far).add(&report.second.lost);
        }
        let bytes = Message::Report(Box::new(report)).line().into();
        // Nobody, if the last has just left.
        let _watchers = self.sender.send(Line { bytes, lost_before, lost: Arc::clone(&so_far) });
    }

    /// A place for one more, who hears of all that is sent from now on; `None` if there is none.
    fn subscribe(&self) -> Option<Watcher> {
        // Under the lock, so that what was lost before is that before the first second that it hears of.
        let so_far = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = self.sender.receiver_count() < MOST;
        has_room.then(|| Watcher { lines: self.sender.subscribe(), lost: Arc::clone(&so_far) })
    }
}

/// Where those who want to watch come in.
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
        let agent = env!("CARGO_PKG_VERSION").to_owned();
        let hello = Message::Hello(Hello { version: VERSION, agent, pid: std::process::id() });
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
                // Nobody has anything to say: this is the end.
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
            if skipped > 0 {
                // A second that is missing is neither one in which nothing ran nor one in which nothing was lost.
                let lost = line.lost_before.since(&watcher.lost);
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

/// Sends a line to one who reads it in time.
async fn send(stream: &mut UnixStream, line: &[u8]) -> io::Result<()> {
    timeout(READ_WITHIN, stream.write_all(line)).await?
}
