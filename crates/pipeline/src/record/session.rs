//! A recording from its start to its end.

use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use pdata::{KTime, Pid, ProcessKey};
use procfs::{children_cpu_time, clock};
use selection::Observed;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::command::RunningCommand;
use super::descendants::Descendants;
use super::error::Cause;
use super::held::Held;
use super::progress::{self, Progress};
use crate::builtin::BuiltinError;
use crate::config::Config;
use crate::run::{Agent, AgentError};
use crate::signals::{self, SignalRequest, Signals};

/// Time in which a command may end by the same Ctrl-C that ends the recording: its end is then part of the recording.
const ENDS_BY_ITSELF: Duration = Duration::from_secs(1);
/// Time in which a command may end after it was asked to.
const ENDS_WHEN_ASKED: Duration = Duration::from_secs(5);

/// Settings of a recording before it starts.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) config: Config,
    pub(super) command: Option<Held>,
    pub(super) duration: Option<Duration>,
    pub(super) observed: Arc<Observed>,
    pub(super) quiet: bool,
}

/// The cause of a recording's end.
#[derive(Debug)]
pub(super) enum End {
    /// The command has ended.
    Command(ExitStatus),
    /// The duration is over.
    Time,
    /// A signal has asked for the end.
    Asked,
    /// All processes of the recording have ended.
    Gone,
    /// The agent has failed.
    Failed(AgentError),
}

/// A recording that is over; all of its samples have been gathered.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) end: End,
    pub(super) from: KTime,
    pub(super) until: KTime,
    /// CPU time of the command and its descendants, as far as those were waited for.
    pub(super) command_cpu: Option<Duration>,
    /// The command, if it still runs.
    command: Option<RunningCommand>,
}

/// Records until the end.
///
/// # Errors
/// [`Cause`] if the recording cannot start; the command has not run then.
pub(super) async fn record(plan: Plan) -> Result<Recorded, Cause> {
    let Plan { config, command, duration, observed, quiet } = plan;
    // Held for as long as the agent runs.
    let telemetry = telemetry::install(&config.telemetry).map_err(BuiltinError::from)?;
    layers::metrics::describe();
    let mut signals = signals::listen_unless_ignored(telemetry.flusher()).map_err(BuiltinError::Signals)?;
    let mut agent = Agent::start(config).await.map_err(BuiltinError::from)?;
    let (from, cpu_before) = (clock::now(), waited_for());
    let mut command = command.map(RunningCommand::start).transpose().map_err(Cause::Command)?;
    let progress = Progress::new(Arc::clone(&observed), !quiet, command.is_some());
    let mut watch = Watch { signals: &mut signals, observed, progress };
    let mut end = watch.end(&mut agent, command.as_mut(), duration).await;
    if let (End::Asked, Some(running)) = (&end, &mut command)
        && let Some(status) = running.ended_within(ENDS_BY_ITSELF).await
    {
        end = End::Command(status);
    }
    watch.progress.clear();
    let until = clock::now();
    let command_cpu = matches!(end, End::Command(_)).then(|| waited_for().saturating_sub(cpu_before));
    if let Err(error) = agent.stop().await {
        end = End::Failed(error);
    }
    let command = command.filter(|_| !matches!(end, End::Command(_)));
    Ok(Recorded { end, from, until, command_cpu, command })
}

impl Recorded {
    /// Ends a command that runs longer than the recording, together with the processes of `running`; returns the
    /// command's status. `None` if there is no command, or if it goes on nevertheless.
    pub(super) async fn finish_command(&mut self, running: &[ProcessKey]) -> Option<ExitStatus> {
        if let End::Command(status) = self.end {
            return Some(status);
        }
        let command = self.command.as_mut()?;
        if matches!(self.end, End::Failed(_)) {
            // The failed agent is no fault of the command.
            return command.ended().await.ok();
        }
        // A shell that is asked to end leaves the processes that it waits for.
        let others = Descendants::of(running, Pid(command.id()));
        command.terminate();
        others.terminate();
        let (ended, _late) = tokio::join!(
            command.ended_within(ENDS_WHEN_ASKED),
            tokio::time::timeout(ENDS_WHEN_ASKED, others.ended())
        );
        if ended.is_none() {
            eprintln!("The command still runs, as process {}.", command.id());
        }
        match others.running() {
            0 => {}
            1 => eprintln!("A process that the command has started still runs."),
            left => eprintln!("{left} processes that the command has started still run."),
        }
        ended
    }
}

/// The sources of a recording's end, and its progress.
struct Watch<'a> {
    signals: &'a mut Signals,
    observed: Arc<Observed>,
    progress: Progress,
}

impl Watch<'_> {
    /// Waits for the end, and shows the progress until then.
    async fn end(
        &mut self,
        agent: &mut Agent,
        mut command: Option<&mut RunningCommand>,
        duration: Option<Duration>,
    ) -> End {
        let mut ticks = interval(progress::EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let over = async {
            match duration {
                Some(duration) => sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        loop {
            let ended = async {
                match &mut command {
                    Some(command) => command.ended().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                status = ended => return status.map_or(End::Asked, End::Command),
                request = self.signals.next() => {
                    // A terminal that is closed ends the programs that were started in it.
                    if request != SignalRequest::Flush {
                        return End::Asked;
                    }
                }
                error = agent.failed() => return End::Failed(error),
                () = &mut over => return End::Time,
                _ = ticks.tick() => {
                    self.progress.show();
                    // A recording of a command lasts as long as the command.
                    if command.is_none() && self.observed.has_ended() {
                        return End::Gone;
                    }
                }
            }
        }
    }
}

/// CPU time of the children that this process has waited for, and of theirs.
fn waited_for() -> Duration {
    std::fs::read(Path::new("/proc/self/stat"))
        .ok()
        .and_then(|stat| children_cpu_time(&stat))
        .unwrap_or_default()
}
