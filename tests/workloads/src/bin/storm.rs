//! Starts short-lived processes of many kinds and writes down the truth about them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use workloads::mode::Mode;
use workloads::plan::{Arrival, Shape};
use workloads::storm::{Prepared, StormSite};

/// Starts short-lived processes of many kinds and writes down the truth about them. Needs root.
#[derive(Parser, Debug)]
struct Arguments {
    /// File for the truth, JSON lines.
    #[arg(long, default_value = "truth.jsonl")]
    truth: PathBuf,
    /// Seed of everything random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Processes a second (Poisson arrivals).
    #[arg(long, default_value_t = 40.0)]
    rate: f64,
    /// Time for which processes keep coming, seconds.
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// Closed loop: this many processes, each started when one before it has ended.
    #[arg(long, conflicts_with_all = ["rate", "seconds"])]
    closed: Option<usize>,
    /// Closed loop: processes at the same time.
    #[arg(long, default_value_t = 2)]
    at_once: usize,
    /// CPU time of each process in microseconds, instead of 0.5, 2, 10 and 50 ms +-25 %.
    #[arg(long)]
    cpu_us: Option<u64>,
    /// Kinds of process; all by default.
    #[arg(long, value_delimiter = ',')]
    modes: Vec<Mode>,
    /// Processes of each kind that are older than the storm and burn during it.
    #[arg(long, default_value_t = 0)]
    older: usize,
    /// Processes that only sleep, for the whole of the storm.
    #[arg(long, default_value_t = 0)]
    sleepers: usize,
    /// Distinct executables.
    #[arg(long, default_value_t = 200)]
    executables: usize,
    /// kernel.pid_max during the storm, so that pids are used again; restored afterwards.
    #[arg(long)]
    pid_max: Option<u32>,
    /// Let each image wait until the launcher has read its link: slow, to check the truth itself.
    #[arg(long)]
    verify: bool,
    /// Print `ready` and wait for a line on stdin before the storm.
    #[arg(long)]
    wait_go: bool,
    /// Directory in which to make the temporary one.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
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
    let modes =
        if arguments.modes.is_empty() { Mode::value_variants().to_vec() } else { arguments.modes.clone() };
    let arrival = match arguments.closed {
        Some(processes) => Arrival::Closed { processes, at_once: arguments.at_once.max(1) },
        None => Arrival::Open { rate: arguments.rate, span: Duration::from_secs_f64(arguments.seconds) },
    };
    let shape = Shape {
        seed: arguments.seed,
        arrival,
        cpu: arguments.cpu_us.map(Duration::from_micros),
        modes,
        older: arguments.older,
        sleepers: arguments.sleepers,
        verify: arguments.verify,
    };
    let place = StormSite {
        dir: arguments.dir,
        executables: arguments.executables.max(1),
        pid_max: arguments.pid_max,
    };
    let mut storm = Prepared::new(&shape, &place)?;
    if arguments.wait_go {
        println!("ready");
        io::stdin().read_line(&mut String::new())?;
    }
    let truth = storm.run(&stop)?;
    let name = || arguments.truth.display().to_string();
    let mut file = BufWriter::new(File::create(&arguments.truth).with_context(name)?);
    truth.write(&mut file).and_then(|()| file.flush()).with_context(name)?;
    let cpu: u64 = truth.processes.iter().map(|process| process.cpu_ns).sum();
    println!(
        "{} processes, {:.2} s of CPU time in {:.2} s",
        truth.processes.len(),
        cpu as f64 / 1e9,
        truth.wall_ns() as f64 / 1e9
    );
    Ok(true)
}
