//! The run from the first start to the end, with the requests of signals and failures.

use std::fmt::Display;
use std::io;
use std::sync::Arc;

use telemetry::config::Telemetry;
use telemetry::{Handle, TelemetryError};
use textline::with_causes;
use thiserror::Error;
use tokio::task;
use tracing::{error, info, warn};

use super::systemd::{self, Notice};
use super::{Agent, AgentError, ReloadError};
use crate::config::{Alias, Config, MetricsLevel};
use crate::signals::{self, SignalRequest, Signals};

/// An error for which the agent did not start, or stopped by itself.
#[derive(Debug, Error)]
pub enum RunError {
    /// The agent's own logs or metrics cannot be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The agent cannot handle signals.
    #[error("cannot handle signals")]
    Signals(#[source] io::Error),
    /// A component cannot start, or has failed.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// A reload has failed, and nothing runs any more.
    #[error("cannot reload")]
    Reload(#[source] ReloadError),
}

/// Reads the configuration anew, on a thread that may wait for files.
type Load = Arc<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// Runs `config` until a signal asks to stop; when a signal asks to reload, runs the configuration that `load` returns.
///
/// # Errors
/// [`RunError`] if the agent cannot start, or fails; then everything that can be delivered has been.
pub async fn run<E: Display>(
    config: Config,
    load: impl Fn() -> Result<Config, E> + Send + Sync + 'static,
) -> Result<(), RunError> {
    // Held for as long as the agent runs.
    let mut telemetry = telemetry::install(&config.telemetry)?;
    layers::metrics::describe();
    warn_of(&config);
    let mut signals = signals::listen(telemetry.flusher()).map_err(RunError::Signals)?;
    let starting = tokio::select! {
        biased;
        // Nothing has been sampled yet that would have to be delivered.
        () = signals.stopped() => None,
        agent = Agent::start(config) => Some(agent),
    };
    let Some(agent) = starting else {
        info!("Shutdown complete, before anything was sampled.");
        return Ok(());
    };
    let mut agent = agent?;
    measure_programs(&agent);
    systemd::notify(&[Notice::Ready, Notice::Status("sampling")]);
    let watchdog = systemd::watchdog(Arc::clone(&agent.host().board));
    let load: Load = Arc::new(move || load().map_err(|error| error.to_string()));
    let result = serve(&mut agent, &mut signals, &mut telemetry, &load).await;
    systemd::notify(&[Notice::Stopping, Notice::Status("delivering what is left")]);
    if let Err(error) = &result {
        // The same error is printed in full at the very end.
        error!(%error, "Cannot go on. Starting shutdown...");
    }
    let stopped = agent.stop().await;
    watchdog.abort();
    result?;
    stopped?;
    info!("Shutdown complete.");
    Ok(())
}

/// Carries out the requests of signals, until one asks to stop.
async fn serve(
    agent: &mut Agent,
    signals: &mut Signals,
    telemetry: &mut Handle,
    load: &Load,
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
                let result = tokio::select! {
                    biased;
                    () = signals.stopped() => return Ok(()),
                    prepared = prepare(agent.config().telemetry.clone(), telemetry, load) => prepared,
                };
                let result = match result {
                    Ok(prepared) => reload(agent, telemetry, prepared).await,
                    Err(refusal) => Err(refusal),
                };
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

/// The fault for which a new configuration is not in force.
enum Refusal {
    /// The new configuration is not sound.
    Load(String),
    /// The agent's own logs or metrics cannot be set up as it demands.
    Telemetry(TelemetryError),
    /// The components of the new configuration cannot be started.
    Reload(ReloadError),
}

impl Refusal {
    /// Every fault, in one line.
    fn in_one_line(&self) -> String {
        match self {
            // The faults are one a line, for people at a terminal.
            Self::Load(faults) => faults.lines().map(str::trim).collect::<Vec<_>>().join("; "),
            Self::Telemetry(error) => with_causes(error),
            Self::Reload(error) => with_causes(error),
        }
    }
}

/// A new configuration whose telemetry is in force already.
struct Prepared {
    new: Config,
    /// The telemetry before, if it was another.
    before: Option<Telemetry>,
}

/// Reads the new configuration and applies its telemetry. Both may wait for files; nothing is lost if that is given
/// up.
async fn prepare(before: Telemetry, telemetry: &mut Handle, load: &Load) -> Result<Prepared, Refusal> {
    let load = Arc::clone(load);
    let loaded = task::spawn_blocking(move || load()).await;
    let new = loaded.unwrap_or_else(|panic| Err(panic.to_string())).map_err(Refusal::Load)?;
    warn_of(&new);
    // Applied even if nothing has changed: log files that have been moved away are opened anew.
    telemetry.apply(&new.telemetry).await.map_err(Refusal::Telemetry)?;
    let before = Some(before).filter(|before| new.telemetry != *before);
    Ok(Prepared { new, before })
}

async fn reload(
    agent: &mut Agent,
    telemetry: &mut Handle,
    Prepared { new, before }: Prepared,
) -> Result<(), Refusal> {
    let result = agent.reload(new).await.map_err(Refusal::Reload);
    if result.is_err()
        && let Some(before) = before
        && let Err(error) = telemetry.apply(&before).await
    {
        warn!(%error, "Telemetry goes on as the refused configuration says.");
    }
    measure_programs(agent);
    result
}

/// Makes the kernel measure its BPF programs if a metric shows that: it costs every BPF program of the machine.
fn measure_programs(agent: &Agent) {
    let level = agent.config().telemetry.metrics.level;
    agent.host().sampling.set_program_statistics(level == MetricsLevel::Detailed);
}

/// Logs the warnings of a configuration.
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
