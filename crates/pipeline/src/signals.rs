//! SIGINT and SIGTERM: the first stops, the second forces.

use std::future::Future;
use std::io;
use std::process;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info};

/// Exit code when a second signal cuts the shutdown short.
pub const FORCED: i32 = 1;

/// Resolves at the first signal; at the second the process exits at once with [`FORCED`].
///
/// # Errors
/// If the process cannot handle signals.
pub fn stop() -> io::Result<impl Future<Output = ()> + Send> {
    let mut signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        let name = next(&mut signals).await;
        info!(signal = name, "Starting shutdown...");
        tokio::spawn(async move {
            let name = next(&mut signals).await;
            error!(signal = name, "Second signal: exiting before the shutdown is complete.");
            process::exit(FORCED);
        });
    })
}

async fn next((interrupt, terminate): &mut (Signal, Signal)) -> &'static str {
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}
