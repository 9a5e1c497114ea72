//! Scores a profiler's OTLP JSON lines against a storm's truth. Exit code 1 if a gate fails.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use workloads::profiles::Profiles;
use workloads::table::Table;
use workloads::truth::Truth;
use workloads::{gates, score};

/// Scores a profiler's OTLP JSON lines against a storm's truth. Exit code 1 if a gate fails.
#[derive(Parser, Debug)]
struct Arguments {
    /// The truth, as `storm` wrote it.
    #[arg(long, default_value = "truth.jsonl")]
    truth: PathBuf,
    /// The profiles, as the profiler wrote them.
    #[arg(long, default_value = "profiles.jsonl")]
    profiles: PathBuf,
    /// Samples a second and CPU.
    #[arg(long)]
    hz: f64,
}

fn main() -> ExitCode {
    workloads::exit(run())
}

fn run() -> anyhow::Result<bool> {
    let arguments = Arguments::parse();
    let open =
        |path: &PathBuf| File::open(path).map(BufReader::new).with_context(|| path.display().to_string());
    let truth = Truth::read(open(&arguments.truth)?)?;
    let profiles = Profiles::read(open(&arguments.profiles)?)?;
    let score = score::score(&truth, &profiles, arguments.hz);
    print!("{}", Table(&score));
    for example in &score.examples {
        println!("  {example}");
    }
    let failures = gates::failures(&score);
    for failure in &failures {
        println!("FAILED {failure}");
    }
    Ok(failures.is_empty())
}
