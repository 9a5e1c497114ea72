//! Log lines: their form, their thinning, and their outputs.

mod fields;
mod line;
mod output;
mod sampling;
mod writer;

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Instant;

use metrics::{counter, describe_counter};
use tracing::callsite::Identifier;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{Interest, set_global_default};
use tracing::{Event, Metadata, Subscriber, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::{Registry, reload};

use self::line::Style;
use self::output::Outputs;
use self::sampling::Sampler;
pub(crate) use self::writer::Writer;
use crate::config::{LogLevel, Logs};
use crate::error::TelemetryError;

/// Libraries whose finer lines would drown ours.
const QUIET: [&str; 6] = ["h2", "hyper", "hyper_util", "tonic", "tower", "aya"];

/// Counter of lines left out since there were too many alike.
const LEFT_OUT: &str = "otelcol_telemetry_log_lines_dropped_total";
/// Counter of lines that an output did not take, or that were dropped since one does not keep up.
const NOT_WRITTEN: &str = "otelcol_telemetry_log_write_failures_total";

/// The log as it is configured, with its outputs open.
#[derive(Debug)]
pub(crate) struct Log {
    levels: Targets,
    sampler: Option<Sampler<Identifier>>,
    style: Style,
    outputs: Arc<Outputs>,
    writer: Writer,
}

impl Log {
    /// Who else can decide what becomes of the outputs, as sentences.
    pub(crate) fn doubts(&self) -> BTreeSet<String> {
        self.outputs.doubts()
    }

    /// Opens the outputs, to which `writer` writes. `resource` is part of each line if the configuration wants that.
    pub(crate) fn open(
        config: &Logs,
        resource: &[(String, String)],
        writer: &Writer,
    ) -> Result<Self, TelemetryError> {
        let level = match config.level {
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Error => LevelFilter::ERROR,
        };
        let quiet = QUIET.map(|target| (target, level.min(LevelFilter::WARN)));
        let colours = config.output_paths == ["stderr"] && std::io::stderr().is_terminal();
        Ok(Self {
            levels: Targets::new().with_default(level).with_targets(quiet),
            sampler: config.sampling.enabled.then(|| Sampler::new(config.sampling)),
            style: Style::new(config, resource, colours),
            outputs: Arc::new(Outputs::open(config)?),
            writer: writer.clone(),
        })
    }

    fn write(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        if let Some(sampler) = &self.sampler
            && !sampler.admit(metadata.callsite(), Instant::now())
        {
            counter!(LEFT_OUT, "level" => line::level(*metadata.level())).increment(1);
            return;
        }
        self.writer.write(self.style.line(event), &self.outputs, counter!(NOT_WRITTEN));
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        Layer::<S>::register_callsite(&self.levels, metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        self.levels.enabled(metadata, context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Layer::<S>::max_level_hint(&self.levels)
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        self.write(event);
    }
}

/// Changes the log while it is written.
#[derive(Clone, Debug)]
pub(crate) struct Control(reload::Handle<Log, Registry>);

impl Control {
    /// Writes to `log` from now on.
    pub(crate) fn replace(&self, log: Log) {
        // Fails only without a subscriber, which is never taken down.
        let _replaced = self.0.reload(log);
    }
}

/// Warns of outputs of which others can decide what becomes of them.
pub(crate) fn warn_of(doubts: BTreeSet<String>) {
    for doubt in doubts {
        warn!(doubt, "Others can decide what becomes of the log.");
    }
}

/// Sends all lines of the process to `log`.
pub(crate) fn install(log: Log) -> Result<Control, TelemetryError> {
    describe_counter!(LEFT_OUT, "Log lines left out since there were many of the same message, by level.");
    describe_counter!(
        NOT_WRITTEN,
        "Log lines that an output did not take, or that were dropped since one does not keep up."
    );
    for level in ["error", "warn", "info"] {
        counter!(LEFT_OUT, "level" => level).increment(0);
    }
    counter!(NOT_WRITTEN).increment(0);
    let (layer, handle) = reload::Layer::new(log);
    set_global_default(Registry::default().with(layer)).map_err(|_installed| TelemetryError::Installed)?;
    Ok(Control(handle))
}

#[cfg(test)]
mod tests;
