//! An agent in this process, for machines on which none runs.

use std::sync::{Arc, Mutex, PoisonError};

use exporter_top::Reporter;
use pdata::Batch;
use profile_seconds::Report;
use selection::{Observed, Scope, SelectionLayer};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::error::Cause;
use super::missed::Missed;
use crate::builtin::{Builtin, BuiltinError, Collect, Collector};
use crate::cli::{Cli, CliError, TopArguments};
use crate::config::Environment;
use crate::run::Agent;

/// Longest time that samples wait for names: a screen that lags is of no use.
const NAMES_WITHIN: &str = "2s";
/// Most reports that wait to be shown; further ones are not shown, and the next report counts them.
const WAITING: usize = 4;

/// An agent that runs in this process.
#[derive(Debug)]
pub(super) struct Own {
    agent: Agent,
    reports: mpsc::Receiver<Box<Report>>,
    /// Held for as long as the agent runs.
    _telemetry: telemetry::Handle,
}

/// The pipeline's end, which makes reports of batches once the agent runs.
#[derive(Debug)]
struct Reporting {
    reporter: Option<Reporter>,
    reports: mpsc::Sender<Box<Report>>,
    missed: Missed,
}

impl Collect for Reporting {
    fn take(&mut self, batch: &Batch) {
        let reports = self.reporter.iter_mut().flat_map(|reporter| reporter.take(batch));
        for mut report in reports {
            self.missed.put_into(&mut report);
            // The queue is full if a user has stopped the terminal.
            if let Err(TrySendError::Full(report)) = self.reports.try_send(Box::new(report)) {
                self.missed.add(report.skipped.saturating_add(1), &report.second.lost);
            }
        }
    }
}

impl Own {
    /// Starts an agent that samples this machine.
    ///
    /// # Errors
    /// [`Cause`] if it cannot start.
    pub(super) async fn start(
        cli: &Cli,
        arguments: &TopArguments,
        is_screen: bool,
        environment: Environment<'_>,
    ) -> Result<Self, Cause> {
        receiver_ebpf::preflight::check().map_err(Cause::Machine)?;
        let (sender, reports) = mpsc::channel(WAITING);
        let reporting =
            Arc::new(Mutex::new(Reporting { reporter: None, reports: sender, missed: Missed::default() }));
        let builtin = Builtin {
            samples_per_second: arguments.frequency,
            names_within: NAMES_WITHIN,
            log_level: "warn",
            // Lines of the log would overwrite the screen.
            log_path: if is_screen { "/dev/null" } else { "stderr" },
            changes: cli.locations().map_err(CliError::from)?,
            selection: SelectionLayer::new(Scope::Machine, Arc::<Observed>::default()),
            collector: Collector::new(Arc::clone(&reporting) as Arc<_>),
        };
        let config = builtin.config(environment).map_err(CliError::from)?;
        let telemetry = telemetry::install(&config.telemetry).map_err(BuiltinError::from)?;
        layers::metrics::describe();
        let agent = Agent::start(config).await.map_err(BuiltinError::from)?;
        let board = Arc::clone(&agent.host().board);
        reporting.lock().unwrap_or_else(PoisonError::into_inner).reporter = Some(Reporter::new(board));
        Ok(Self { agent, reports, _telemetry: telemetry })
    }

    /// The report of the next second. May be cancelled and called again.
    ///
    /// # Errors
    /// [`Cause`] if the agent has failed.
    pub(super) async fn next(&mut self) -> Result<Box<Report>, Cause> {
        tokio::select! {
            Some(report) = self.reports.recv() => Ok(report),
            error = self.agent.failed() => Err(BuiltinError::from(error).into()),
        }
    }

    /// Stops the agent.
    ///
    /// # Errors
    /// [`Cause`] if it does not end well.
    pub(super) async fn end(self) -> Result<(), Cause> {
        Ok(self.agent.stop().await.map_err(BuiltinError::from)?)
    }
}
