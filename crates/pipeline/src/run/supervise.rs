//! The run from the first start to the end: what signals ask for, and failures.

use std::fmt::Display;
use std::io;
use std::sync::Arc;

use telemetry::{Handle, TelemetryError};
use thiserror::Error;
use tracing::{error, info, warn};

use super::error::chain;
use super::systemd::{self, Notice};
use super::{Agent, AgentError, ReloadError};
use crate::config::{Alias, Config, MetricsLevel};
use crate::signals::{self, SignalRequest, Signals};

/// Why the agent did not start, or stopped without being asked to.
#[derive(Debug, Error)]
pub enum RunError {
    /// It cannot report on itself.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// It cannot handle signals.
    #[error("cannot handle signals")]
    Signals(#[source] io::Error),
    /// A component of it cannot start, or has failed.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// A reload has failed so that nothing runs any more.
    #[error("cannot reload")]
    Reload(#[source] ReloadError),
}

/// Runs what `config` says until a signal asks to stop, and by what `load` returns from the time that one asks to
/// reload.
///
/// # Errors
/// [`RunError`] if it cannot start, or fails; what can be delivered has been then.
pub async fn run<E: Display>(config: Config, load: impl Fn() -> Result<Config, E>) -> Result<(), RunError> {
    // Held: it is for the time that the agent runs.
    let mut telemetry = telemetry::install(&config.telemetry)?;
    layers::metrics::describe();
    warn_of(&config);
    let mut signals = signals::listen(telemetry.flusher()).map_err(RunError::Signals)?;
    let mut agent = Agent::start(config).await?;
    measure_programs(&agent);
    systemd::notify(&[Notice::Ready, Notice::Status("sampling")]);
    let watchdog = systemd::watchdog(Arc::clone(&agent.host().board));
    let result = serve(&mut agent, &mut signals, &mut telemetry, &load).await;
    systemd::notify(&[Notice::Stopping, Notice::Status("delivering what is left")]);
    if let Err(error) = &result {
        // Logged once more, and in full, at the very end.
        error!(%error, "Cannot go on. Starting shutdown...");
    }
    let stopped = agent.stop().await;
    watchdog.abort();
    result?;
    stopped?;
    info!("Shutdown complete.");
    Ok(())
}

/// Does what signals ask for, until one asks to stop.
async fn serve<E: Display>(
    agent: &mut Agent,
    signals: &mut Signals,
    telemetry: &mut Handle,
    load: &impl Fn() -> Result<Config, E>,
) -> Result<(), RunError> {
    loop {
        let request = tokio::select! {
            request = signals.next() => request,
            error = agent.failed() => return Err(error.into()),
        };
        match request {
            SignalRequest::Stop => return Ok(()),
            SignalRequest::Flush => {
                info!("Delivering what is held.");
                agent.host().sampling.flush();
            }
            SignalRequest::Reload => {
                systemd::notify(&[Notice::Reloading]);
                let result = reload(agent, telemetry, load).await;
                let status =
                    if result.is_ok() { "sampling" } else { "sampling; the last reload was refused" };
                systemd::notify(&[Notice::Ready, Notice::Status(status)]);
                match result {
                    Err(Refusal::Reload(error @ ReloadError::Fatal(_))) => {
                        return Err(RunError::Reload(error));
                    }
                    Err(refusal) => {
                        let error = refusal.in_one_line();
                        error!(error, "New configuration is refused. The running one goes on.");
                    }
                    Ok(()) => {}
                }
            }
        }
    }
}

/// Why a new configuration is not in force.
enum Refusal {
    /// It is not sound.
    Load(String),
    /// The agent cannot report on itself so.
    Telemetry(TelemetryError),
    /// Its components cannot be started.
    Reload(ReloadError),
}

impl Refusal {
    /// Every fault, in one line.
    fn in_one_line(&self) -> String {
        match self {
            // One fault a line, for people at a terminal.
            Self::Load(faults) => faults.lines().map(str::trim).collect::<Vec<_>>().join("; "),
            Self::Telemetry(error) => chain(error),
            Self::Reload(error) => chain(error),
        }
    }
}

async fn reload<E: Display>(
    agent: &mut Agent,
    telemetry: &mut Handle,
    load: &impl Fn() -> Result<Config, E>,
) -> Result<(), Refusal> {
    let new = load().map_err(|error| Refusal::Load(error.to_string()))?;
    warn_of(&new);
    let before = agent.config().telemetry.clone();
    let changed = new.telemetry != before;
    // Even if nothing has changed: files of the log that have been moved away are opened anew.
    telemetry.apply(&new.telemetry).await.map_err(Refusal::Telemetry)?;
    let result = agent.reload(new).await.map_err(Refusal::Reload);
    if result.is_err()
        && changed
        && let Err(error) = telemetry.apply(&before).await
    {
        warn!(%error, "Telemetry goes on as the refused configuration says.");
    }
    measure_programs(agent);
    result
}

/// Has the kernel measure its BPF programs if somebody is to see it: that costs every one of the machine's.
fn measure_programs(agent: &Agent) {
    let level = agent.config().telemetry.metrics.level;
    agent.host().sampling.set_program_statistics(level == MetricsLevel::Detailed);
}

/// Warns of what is dubious about a configuration.
fn warn_of(config: &Config) {
    for name in &config.unset {
        warn!(name, "Configuration references unset environment variable.");
    }
    for Alias { alias, name } in &config.aliases {
        warn!(alias, name, "Alias of a component type is deprecated.");
    }
    for doubt in config.doubts() {
        warn!(doubt, "Configuration is sound but probably not meant.");
    }
}
