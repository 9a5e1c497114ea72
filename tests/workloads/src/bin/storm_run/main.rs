//! Runs the agent in storms and prints the results.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::{Parser, Subcommand};

mod crowd;
mod hostile;
mod isolation;
mod slowdown;
mod table;

/// Runs the agent in storms of short-lived processes and prints the results. Needs root.
#[derive(Parser, Debug)]
struct Arguments {
    /// The agent.
    #[arg(long, global = true, default_value = "target/release/pipeline")]
    agent: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Coverage and names by mode, with gates: exit code 1 if one fails.
    Table(table::Arguments),
    /// The slowdown of a closed loop of short processes, with the agent and with perf.
    Slowdown(slowdown::Arguments),
    /// The delay of one exporter while another is stalled: exit code 1 if it is two windows or more.
    Isolation(isolation::Arguments),
    /// The agent's cost among few and among many live processes.
    Crowd(crowd::Arguments),
    /// The agent while an unprivileged user does the worst: exit code 1 if a gate fails.
    Hostile(hostile::Arguments),
}

fn main() -> ExitCode {
    workloads::exit(run())
}

fn run() -> anyhow::Result<bool> {
    let arguments = Arguments::parse();
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    match arguments.command {
        Command::Table(table) => table::run(&table, &arguments.agent, &stop),
        Command::Slowdown(slowdown) => slowdown::run(&slowdown, &arguments.agent, &stop),
        Command::Isolation(isolation) => isolation::run(&isolation, &arguments.agent, &stop),
        Command::Crowd(crowd) => crowd::run(&crowd, &arguments.agent, &stop),
        Command::Hostile(hostile) => hostile::run(&hostile, &arguments.agent, &stop),
    }
}
