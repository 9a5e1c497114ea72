//! The arguments of `top`.

use std::path::PathBuf;
use std::time::Duration;

use top_view::{SECONDS, Sort, Tab};

/// The text that follows the list of flags in the help.
const AFTER_HELP: &str = "\
Attaches to the agent that runs here by the socket of its exporter `top`. If none runs, it samples by itself until it
ends, which needs root as the agent does.

If standard output is no terminal, or with --plain or --once, it prints tables. NO_COLOR is respected.

Examples:
  sudo pipeline top                                 the agent that runs, or this machine
  sudo pipeline top --view processes --filter make  begins with the process tree of a build
  sudo pipeline top --once -d 10 > table.txt        one table, of ten seconds";

/// Arguments of `top`: the agent to attach to, and the view of its seconds.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct TopArguments {
    /// Attaches to the agent that listens on this socket, and to no other [default: /run/pipeline/top.sock if an agent
    /// is there].
    #[arg(long, value_name = "SOCKET")]
    pub connect: Option<PathBuf>,
    /// Samples in each second of a CPU's time if no agent runs.
    #[arg(short = 'F', long, value_name = "HZ", default_value_t = 99, conflicts_with = "connect")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub frequency: u32,
    /// View to begin with: executables, functions, processes, icicle or stages.
    #[arg(long, value_name = "VIEW", default_value = "executables", value_parser = tab)]
    pub view: Tab,
    /// Order of rows: self, total or name.
    #[arg(long, value_name = "ORDER", default_value = "self", value_parser = sort)]
    pub sort: Sort,
    /// Shows only rows whose name has this part.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub filter: String,
    /// Seconds that the figures cover, and between two tables: 1 to 60.
    #[arg(short = 'd', long, value_name = "TIME", default_value = "5", value_parser = seconds)]
    pub interval: u64,
    /// Rows of a table.
    #[arg(short = 'n', long, value_name = "ROWS", default_value_t = 20)]
    pub rows: usize,
    /// Prints tables though standard output is a terminal.
    #[arg(long)]
    pub plain: bool,
    /// Prints one table and ends.
    #[arg(long)]
    pub once: bool,
}

fn tab(name: &str) -> Result<Tab, String> {
    named(&Tab::ALL, Tab::name, name)
}

fn sort(name: &str) -> Result<Sort, String> {
    named(&Sort::ALL, Sort::name, name)
}

/// The item that has a name.
fn named<T: Copy>(items: &[T], name_of: fn(T) -> &'static str, name: &str) -> Result<T, String> {
    let found = items.iter().copied().find(|&item| name_of(item) == name);
    found.ok_or_else(|| {
        let names: Vec<_> = items.iter().map(|&item| name_of(item)).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// Reads a time of whole seconds within the minute that a history holds.
fn seconds(text: &str) -> Result<u64, String> {
    let time = text
        .parse()
        .map_or_else(|_| configtypes::duration::parse(text), |seconds| Ok(Duration::from_secs(seconds)))?;
    let seconds = time.as_secs();
    if (1..=SECONDS).contains(&seconds) && time.subsec_nanos() == 0 {
        return Ok(seconds);
    }
    Err(format!("expected 1 to {SECONDS} whole seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_times_are_read_or_what_is_expected_is_named() {
        assert_eq!((tab("icicle"), sort("total")), (Ok(Tab::Icicle), Ok(Sort::Total)));
        assert!(tab("x").unwrap_err().ends_with("executables, functions, processes, icicle, stages"));
        assert_eq!([seconds("1"), seconds("10s"), seconds("1m")], [Ok(1), Ok(10), Ok(60)]);
        for text in ["0", "61", "1.5", "500ms", "x", ""] {
            seconds(text).unwrap_err();
        }
    }
}
