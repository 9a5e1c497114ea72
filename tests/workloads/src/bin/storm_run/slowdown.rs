//! `storm-run slowdown`: the slowdown of short processes under a profiler.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Args;
use workloads::agent::{self, Agent, Stages};
use workloads::mode::Mode;
use workloads::peer::Perf;
use workloads::plan::{Arrival, Shape};
use workloads::storm::{Prepared, StormSite};

/// The largest median slowdown that is allowed.
const ALLOWED: f64 = 1.05;

/// The slowdown of a closed loop of short processes.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Samples a second and CPU.
    #[arg(long, default_value_t = 99)]
    hz: u32,
    /// Rounds, each of two runs without a profiler, one with the agent and one with perf.
    #[arg(long, default_value_t = 16)]
    rounds: usize,
    /// Processes of a run.
    #[arg(long, default_value_t = 1500)]
    processes: usize,
    /// Processes of a run at the same time.
    #[arg(long, default_value_t = 2)]
    at_once: usize,
    /// CPU time of each process in microseconds.
    #[arg(long, default_value_t = 300)]
    cpu_us: u64,
}

/// The profiler that watches a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watcher {
    Nobody,
    Agent,
    Perf,
}

/// The time that a run took, in seconds.
#[derive(Clone, Copy, Debug)]
struct Run {
    watcher: Watcher,
    round: usize,
    wall: f64,
    cpu: f64,
}

pub(crate) fn run(arguments: &Arguments, binary: &Path, stop: &Arc<AtomicBool>) -> anyhow::Result<bool> {
    let mut order = vec![Watcher::Nobody, Watcher::Agent, Watcher::Nobody];
    if Perf::is_installed() {
        order.push(Watcher::Perf);
    }
    let mut runs = Vec::new();
    for round in 0..arguments.rounds {
        // Watchers come back and forth, so that a machine that gets slower does not favour one of them.
        for &watcher in &order {
            runs.push(measure(arguments, watcher, round, binary, stop)?);
        }
        order.reverse();
    }
    println!(
        "{} rounds of {} processes of {} us, {} at once, {} Hz\n",
        arguments.rounds, arguments.processes, arguments.cpu_us, arguments.at_once, arguments.hz
    );
    println!("| profiler | runs | wall ratio | median wall s | best wall s | ratio | median CPU s | ratio |");
    println!("| -------- | ---: | ---------: | ------------: | ----------: | ----: | -----------: | ----: |");
    let base = column(&runs, Watcher::Nobody);
    for watcher in [Watcher::Nobody, Watcher::Agent, Watcher::Perf] {
        let own = column(&runs, watcher);
        if own.runs > 0 {
            println!(
                "| {:<8} | {:>4} | {:>10.3} | {:>13.3} | {:>11.3} | {:>5.3} | {:>12.3} | {:>5.3} |",
                format!("{watcher:?}").to_lowercase(),
                own.runs,
                paired(&runs, watcher),
                own.wall,
                own.best,
                own.best / base.best,
                own.cpu,
                own.cpu / base.cpu,
            );
        }
    }
    println!(
        "\nwall ratio: median over the rounds of wall time against the mean of the same round's runs without a profiler"
    );
    let ratio = paired(&runs, Watcher::Agent);
    if ratio > ALLOWED {
        println!("FAILED the agent slows the loop down {ratio:.3} times, {ALLOWED} is allowed");
    }
    Ok(ratio <= ALLOWED)
}

/// Slowdown within a round, the median of all rounds: runs of a round share the machine's mood.
fn paired(runs: &[Run], watcher: Watcher) -> f64 {
    let own = runs.iter().filter(|run| run.watcher == watcher);
    let ratios = own.map(|run| {
        let base = |other: &&Run| other.round == run.round && other.watcher == Watcher::Nobody;
        let walls: Vec<f64> = runs.iter().filter(base).map(|run| run.wall).collect();
        run.wall / (walls.iter().sum::<f64>() / walls.len() as f64)
    });
    median(ratios.collect())
}

fn measure(
    arguments: &Arguments,
    watcher: Watcher,
    round: usize,
    binary: &Path,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Run> {
    let arrival = Arrival::Closed { processes: arguments.processes, at_once: arguments.at_once };
    let shape = Shape {
        seed: round as u64,
        arrival,
        cpu: Some(Duration::from_micros(arguments.cpu_us)),
        modes: vec![Mode::Spawn],
        older: 0,
        sleepers: 0,
        verify: false,
    };
    let place = StormSite { dir: std::env::temp_dir(), executables: 50, pid_max: None };
    let mut storm = Prepared::new(&shape, &place)?;
    let dir = tempfile::tempdir()?;
    let settings = agent::AgentSettings {
        binary: binary.to_owned(),
        dir: dir.path().to_owned(),
        hz: arguments.hz,
        window: Duration::from_secs(5),
        otlp_port: None,
        stages: Stages::Few,
    };
    let agent = (watcher == Watcher::Agent).then(|| Agent::start(&settings)).transpose()?;
    let output = dir.path().join("perf.data");
    let perf = (watcher == Watcher::Perf).then(|| Perf::start(arguments.hz, &output)).transpose()?;
    let truth = storm.run(stop)?;
    agent.map(Agent::stop).transpose()?;
    perf.map(Perf::stop).transpose()?;
    let cpu: u64 = truth.processes.iter().map(|process| process.cpu_ns).sum();
    Ok(Run { watcher, round, wall: truth.wall_ns() as f64 / 1e9, cpu: cpu as f64 / 1e9 })
}

/// Medians of the runs of one watcher.
#[derive(Clone, Copy, Debug)]
struct Column {
    runs: usize,
    wall: f64,
    best: f64,
    cpu: f64,
}

fn column(runs: &[Run], watcher: Watcher) -> Column {
    let own = |value: fn(&Run) -> f64| -> Vec<f64> {
        runs.iter().filter(|run| run.watcher == watcher).map(value).collect()
    };
    let walls = own(|run| run.wall);
    Column {
        runs: walls.len(),
        best: walls.iter().copied().fold(f64::INFINITY, f64::min),
        wall: median(walls),
        cpu: median(own(|run| run.cpu)),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.get(middle.wrapping_sub(1))) {
        (Some(upper), Some(lower)) if values.len().is_multiple_of(2) => f64::midpoint(*upper, *lower),
        (Some(upper), _) => *upper,
        (None, _) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_round_does_not_change_the_slowdown() {
        let run = |watcher, round, wall| Run { watcher, round, wall, cpu: 0.0 };
        let mut runs = Vec::new();
        for (round, mood) in [(0, 1.0), (1, 5.0), (2, 1.0)] {
            runs.push(run(Watcher::Nobody, round, 0.9 * mood));
            runs.push(run(Watcher::Agent, round, 1.5 * mood));
            runs.push(run(Watcher::Nobody, round, 1.1 * mood));
        }
        assert!((paired(&runs, Watcher::Agent) - 1.5).abs() < 1e-9);
    }

    #[test]
    fn the_median_of_an_even_number_is_the_middle_of_both() {
        assert_eq!(median(vec![4.0, 1.0, 2.0]).to_bits(), 2.0_f64.to_bits());
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]).to_bits(), 2.5_f64.to_bits());
        assert!(median(Vec::new()).is_nan());
    }
}
