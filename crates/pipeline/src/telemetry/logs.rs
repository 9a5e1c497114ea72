//! Log lines, to standard error.

use std::io::{IsTerminal as _, stderr};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::set_global_default;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, Registry, fmt};

use super::TelemetryError;
use crate::config::{LogEncoding, LogLevel, Logs};

/// Libraries whose finer lines would drown ours.
const QUIET: [&str; 6] = ["h2", "hyper", "hyper_util", "tonic", "tower", "aya"];

pub(super) fn install(config: Logs) -> Result<(), TelemetryError> {
    let level = match config.level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    let quiet = QUIET.map(|target| (target, level.min(LevelFilter::WARN)));
    let filter = Targets::new().with_default(level).with_targets(quiet);
    let lines = match config.encoding {
        LogEncoding::Console => {
            fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal()).with_target(false).boxed()
        }
        LogEncoding::Json => fmt::layer().with_writer(stderr).json().flatten_event(true).boxed(),
    };
    set_global_default(Registry::default().with(lines.with_filter(filter)))
        .map_err(|_installed| TelemetryError::Installed)
}
