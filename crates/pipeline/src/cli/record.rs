//! The arguments of `record`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::output_format::OutputFormat;

/// Samples per second and CPU in a recording of a command, of processes or of a group.
const FEW_CPUS: u32 = 997;
/// Samples per second and CPU in a recording of the machine.
const ALL_CPUS: u32 = 99;

/// The text that follows the list of flags in the help.
const AFTER_HELP: &str = "\
The recording ends with the command, after --duration, when the processes of --pid are gone, or with Ctrl-C.
Whatever ends it, nothing that was sampled is lost.

Exit codes:
  the command's, or 128 and the number of the signal that ended it; 126 if it cannot be executed, 127 if there is none
  0  without a command, or if the recording ended before the command did, by --duration
  1  something cannot start, has failed, or cannot be written: standard error says what

Examples:
  sudo pipeline record -- make -j8               the compilers too; writes profile.html
  sudo pipeline record -d 10 -p 1234 -o a.pb.gz  a process for ten seconds, for `go tool pprof`
  sudo pipeline record -a -F 199 -- sleep 5      the machine, while a command runs";

/// Arguments of `record`: the selection of processes, the rate, and the output.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct RecordArguments {
    /// Samples in each second of a CPU's time [default: 997, or 99 with --all].
    #[arg(short = 'F', long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub frequency: Option<u32>,
    /// Ends the recording after this time: seconds, or a number with a unit such as 500ms or 2m.
    #[arg(short, long, value_name = "TIME", value_parser = time)]
    pub duration: Option<Duration>,
    /// Records these processes with all their threads; not their children, unless --children is set.
    #[arg(short, long, value_name = "PID", value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// With --pid: records the processes that those fork from now on, and their descendants, too.
    #[arg(long, requires = "pid")]
    pub children: bool,
    /// Records a control group (version 2) with all groups below it: a directory, or a path as in /proc/PID/cgroup.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["pid", "all"])]
    pub cgroup: Option<PathBuf>,
    /// Records the whole machine.
    #[arg(short, long, conflicts_with = "pid")]
    pub all: bool,
    /// File to write; - is standard output. It is written whole or not at all, and belongs to the user who called sudo.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Format of the file [default: by its name].
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    pub format: Option<OutputFormat>,
    /// Runs the command as this user, a name or a number [default: the user who called sudo, else the same user].
    #[arg(long, value_name = "USER", requires = "command")]
    pub user: Option<String>,
    /// Prints neither progress nor the summary.
    #[arg(short, long)]
    pub quiet: bool,
    /// Command to run and record with all its descendants, unless --pid, --cgroup or --all says what to record.
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    pub command: Vec<OsString>,
}

impl RecordArguments {
    /// Samples per second and CPU.
    #[must_use]
    pub fn samples_per_second(&self) -> u32 {
        self.frequency.unwrap_or(if self.all { ALL_CPUS } else { FEW_CPUS })
    }
}

/// Reads a time as people type it: seconds, or a number with a unit.
fn time(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok();
    let time = match seconds.map(Duration::try_from_secs_f64) {
        Some(time) => time.map_err(|fault| format!("{text:?} is no time: {fault}"))?,
        None => configtypes::duration::parse(text)?,
    };
    if time.is_zero() { Err("must be more than nothing".to_owned()) } else { Ok(time) }
}

/// Reads the name of a format.
fn format(name: &str) -> Result<OutputFormat, String> {
    OutputFormat::named(name)
        .ok_or_else(|| format!("there is no such format, but these: {}", OutputFormat::names()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_has_a_name_and_the_others_are_listed() {
        assert_eq!(format("html"), Ok(OutputFormat::Html));
        assert!(format("svgz").unwrap_err().contains("html, pprof, folded"));
    }

    #[test]
    fn a_time_is_seconds_or_has_a_unit() {
        for (text, millis) in [("10", 10_000), ("0.5", 500), ("500ms", 500), ("1m30s", 90_000)] {
            assert_eq!(time(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "0", "-1", "nan", "inf", "ten", "1e400"] {
            time(text).unwrap_err();
        }
    }
}
