//! SIGINT and SIGTERM: the first stops, a second forces.

use std::future::Future;
use std::io;
use std::process;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};
use tracing::{error, info};

/// Exit code when a second signal cuts the shutdown short.
pub const FORCED: i32 = 1;

/// Signals that come closer together are one request: `timeout`, a terminal and a supervisor may each
/// signal the process, its group, or both.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// Resolves at the first signal; at a later one the process exits at once with [`FORCED`].
///
/// # Errors
/// If the process cannot handle signals.
pub fn stop() -> io::Result<impl Future<Output = ()> + Send> {
    let mut signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        let name = next(&mut signals).await;
        info!(signal = name, "Starting shutdown...");
        tokio::spawn(async move {
            ignore_until(Instant::now() + SAME_REQUEST, &mut signals).await;
            let name = next(&mut signals).await;
            error!(signal = name, "Second signal: exiting before the shutdown is complete.");
            process::exit(FORCED);
        });
    })
}

async fn ignore_until(end: Instant, signals: &mut (Signal, Signal)) {
    let mut end = std::pin::pin!(sleep_until(end));
    loop {
        tokio::select! {
            () = &mut end => return,
            _ = next(signals) => {}
        }
    }
}

async fn next((interrupt, terminate): &mut (Signal, Signal)) -> &'static str {
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}
