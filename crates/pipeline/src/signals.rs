//! Signals, and the requests that they make.
//!
//! | signal | request |
//! | --- | --- |
//! | SIGINT, SIGTERM | stop and deliver what is left; the second one, exit at once |
//! | SIGHUP | read the configuration again |
//! | SIGUSR1 | deliver what is held now |

use std::io;
use std::process;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{error, info};

/// Exit code of an agent whose shutdown a second signal has cut short.
pub const FORCED: i32 = 1;

/// The number of SIGHUP, signal(7).
const HANGUP: u32 = 1;

/// The same signal within this time is the same request: `timeout`, a terminal or a supervisor may signal a process
/// itself and then its group. A user who waits for an effect sends no other signal so soon.
const SAME_REQUEST: Duration = Duration::from_millis(100);

/// The request that a signal makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalRequest {
    /// Stop the agent.
    Stop,
    /// Read the configuration again.
    Reload,
    /// Deliver what is held.
    Flush,
}

/// The requests that wait to be carried out: one of each kind, since further ones would ask for the same.
#[derive(Debug)]
pub struct Signals {
    stop: mpsc::Receiver<()>,
    reload: mpsc::Receiver<()>,
    flush: mpsc::Receiver<()>,
}

impl Signals {
    /// Waits for a request to stop; requests of other kinds wait on.
    pub async fn stopped(&mut self) {
        if self.stop.recv().await.is_none() {
            // Never reached, since the task that sends lives as long as the process.
            std::future::pending().await
        }
    }

    /// The next request; a request to stop comes before all others.
    pub async fn next(&mut self) -> SignalRequest {
        tokio::select! {
            biased;
            Some(()) = self.stop.recv() => SignalRequest::Stop,
            Some(()) = self.reload.recv() => SignalRequest::Reload,
            Some(()) = self.flush.recv() => SignalRequest::Flush,
            // Never reached, since the task that sends lives as long as the process.
            else => std::future::pending().await,
        }
    }
}

/// The sending end of the queue of requests.
#[derive(Debug)]
struct Requests {
    stop: mpsc::Sender<()>,
    reload: mpsc::Sender<()>,
    flush: mpsc::Sender<()>,
}

impl Requests {
    fn put(&self, request: SignalRequest) {
        let sender = match request {
            SignalRequest::Stop => &self.stop,
            SignalRequest::Reload => &self.reload,
            SignalRequest::Flush => &self.flush,
        };
        // The queue is full if a request of the kind waits already.
        let _full = sender.try_send(());
    }
}

fn requests() -> (Requests, Signals) {
    let ((stop, stops), (reload, reloads), (flush, flushes)) =
        (mpsc::channel(1), mpsc::channel(1), mpsc::channel(1));
    (Requests { stop, reload, flush }, Signals { stop: stops, reload: reloads, flush: flushes })
}

/// Handles signals from now on. After the first one that asks to stop, the next one ends the process with [`FORCED`],
/// once `last` has returned, even if the shutdown is not complete.
///
/// # Errors
/// The operating system's error, if the process cannot handle signals.
pub fn listen(last: impl Fn() + Send + 'static) -> io::Result<Signals> {
    let hangup = signal(SignalKind::hangup())?;
    handle(last, Some(hangup))
}

/// The same as [`listen`], except that SIGHUP stays ignored if it is: `nohup` ignores it so that work goes on when the
/// terminal is closed.
///
/// # Errors
/// The same as of [`listen`].
pub fn listen_unless_ignored(last: impl Fn() + Send + 'static) -> io::Result<Signals> {
    let status = std::fs::read("/proc/self/status").unwrap_or_default();
    let is_ignored = procfs::text::ignores(&status, HANGUP) == Some(true);
    let hangup = if is_ignored { None } else { Some(signal(SignalKind::hangup())?) };
    handle(last, hangup)
}

fn handle(last: impl Fn() + Send + 'static, mut hangup: Option<Signal>) -> io::Result<Signals> {
    let mut stop = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut flush = signal(SignalKind::user_defined1())?;
    let (requests, pending) = requests();
    tokio::spawn(async move {
        let mut stopping = Stopping::default();
        loop {
            let request = tokio::select! {
                name = next_stop(&mut stop) => match stopping.asked(name, Instant::now()) {
                    Asked::First => {
                        info!(signal = name, "Starting shutdown...");
                        SignalRequest::Stop
                    }
                    Asked::Same => continue,
                    Asked::Again => {
                        error!(signal = name, "Second signal: exiting before the shutdown is complete.");
                        last();
                        process::exit(FORCED);
                    }
                },
                () = next(&mut hangup) => SignalRequest::Reload,
                _ = flush.recv() => SignalRequest::Flush,
            };
            requests.put(request);
        }
    });
    Ok(pending)
}

/// Waits for the next signal of a kind; for ever if the kind is not handled.
async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

async fn next_stop((interrupt, terminate): &mut (Signal, Signal)) -> &'static str {
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

/// The first signal to stop, and when it came.
#[derive(Debug, Default)]
struct Stopping {
    first: Option<(&'static str, Instant)>,
}

/// The meaning of a signal to stop: the first or a later one.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    First,
    Same,
    Again,
}

impl Stopping {
    fn asked(&mut self, name: &'static str, at: Instant) -> Asked {
        match self.first {
            None => {
                self.first = Some((name, at));
                Asked::First
            }
            Some((first, since)) if first == name && at.duration_since(since) < SAME_REQUEST => Asked::Same,
            Some(_) => Asked::Again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_signal_at_once_is_the_same_request_and_any_other_is_the_second() {
        let (mut stopping, start) = (Stopping::default(), Instant::now());
        assert_eq!(stopping.asked("SIGTERM", start), Asked::First);
        assert_eq!(stopping.asked("SIGTERM", start + Duration::from_millis(99)), Asked::Same);
        assert_eq!(stopping.asked("SIGINT", start + Duration::from_millis(1)), Asked::Again);
        assert_eq!(stopping.asked("SIGTERM", start + SAME_REQUEST), Asked::Again);
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_of_one_kind_wait_another_is_not_lost_and_a_stop_comes_first() {
        let (requests, mut pending) = requests();
        for request in
            [[SignalRequest::Flush; 9].as_slice(), &[SignalRequest::Reload, SignalRequest::Stop]].concat()
        {
            requests.put(request);
        }
        let next = [pending.next().await, pending.next().await, pending.next().await];
        assert_eq!(next, [SignalRequest::Stop, SignalRequest::Reload, SignalRequest::Flush]);
        tokio::time::timeout(SAME_REQUEST, pending.next()).await.unwrap_err();
    }
}
