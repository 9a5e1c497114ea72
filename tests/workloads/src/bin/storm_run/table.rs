//! `storm-run table`: coverage and names by mode.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, ValueEnum};
use workloads::agent::{self, Agent, Stages};
use workloads::kernel::{BPF_STATS_ENABLED, Restored};
use workloads::mode::Mode;
use workloads::plan::{Arrival, Shape};
use workloads::profiles::Profiles;
use workloads::silent::Silent;
use workloads::storm::{Prepared, StormSite};
use workloads::table::Table;
use workloads::truth::Truth;
use workloads::{gates, hooks, score};

/// Time in which the agent should recover from a stall.
const RECOVERED: Duration = Duration::from_secs(10);

/// Coverage and names by mode.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Samples a second and CPU; a run for each.
    #[arg(long, value_delimiter = ',', default_values_t = [99, 997])]
    hz: Vec<u32>,
    /// Time for which processes keep coming, seconds.
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// Processes a second.
    #[arg(long, default_value_t = 40.0)]
    rate: f64,
    /// Seed of everything random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Kinds of process; all by default.
    #[arg(long, value_delimiter = ',')]
    modes: Vec<Mode>,
    /// Processes of each kind that are older than the agent.
    #[arg(long, default_value_t = 1)]
    older: usize,
    /// Pids up to this number only, so that they are used again, in the modes made for it.
    #[arg(long)]
    pid_max: Option<u32>,
    /// Length of a profile in milliseconds.
    #[arg(long, default_value_t = 2000)]
    window_ms: u64,
    /// Stop the agent for this time in the middle of the storm, seconds.
    #[arg(long)]
    sigstop: Option<f64>,
    /// Also export to a server that never answers, and that is gone after this time, seconds.
    #[arg(long)]
    exporter_stall: Option<f64>,
    /// Also export to a port where nobody listens, so that every export fails.
    #[arg(long, conflicts_with = "exporter_stall")]
    exporter_fails: bool,
    /// Also print the cost of each of the agent's BPF programs.
    #[arg(long)]
    bpf_stats: bool,
    /// Keep truth, profiles, configuration and log in this directory.
    #[arg(long)]
    keep: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, binary: &Path, stop: &Arc<AtomicBool>) -> anyhow::Result<bool> {
    let mut passed = true;
    for &hz in &arguments.hz {
        passed &= run_at(arguments, hz, binary, stop)?;
    }
    Ok(passed)
}

fn run_at(arguments: &Arguments, hz: u32, binary: &Path, stop: &Arc<AtomicBool>) -> anyhow::Result<bool> {
    let temporary = tempfile::tempdir()?;
    let dir = match &arguments.keep {
        Some(dir) => dir.join(format!("{hz}hz")),
        None => temporary.path().to_owned(),
    };
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let place = StormSite { dir: std::env::temp_dir(), executables: 200, pid_max: arguments.pid_max };
    let mut storm = Prepared::new(&shape(arguments), &place)?;
    let window = Duration::from_millis(arguments.window_ms);
    let sick = arguments.exporter_stall.is_some() || arguments.exporter_fails;
    let server = sick.then(Silent::start).transpose()?;
    let otlp_port = server.as_ref().map(Silent::port);
    // A port that was listened on a moment ago, and is not any more, refuses.
    let server = server.filter(|_| !arguments.exporter_fails);
    let settings = agent::AgentSettings {
        binary: binary.to_owned(),
        dir: dir.clone(),
        hz,
        window,
        otlp_port,
        stages: Stages::Few,
    };
    let stats = Restored::remember(BPF_STATS_ENABLED).ok().filter(|_| arguments.bpf_stats);
    if let Some(stats) = &stats {
        stats.set("1").context("cannot switch on the kernel's BPF statistics")?;
    }
    let agent = Agent::start(&settings)?;
    let started = Instant::now();
    let (usage, programs) = (agent.usage(), hooks::of_process(agent.pid()).unwrap_or_default());
    let truth = thread::scope(|scope| {
        if let Some(span) = arguments.sigstop {
            let agent = &agent;
            let middle = Duration::from_secs_f64(arguments.seconds / 2.0);
            scope.spawn(move || {
                thread::sleep(middle);
                agent.suspend(Duration::from_secs_f64(span));
            });
        }
        storm.run(stop)
    })?;
    let (used, ran) = (agent.usage(), hooks::of_process(agent.pid()).unwrap_or_default());
    let profiles = agent.profiles();
    if sick {
        let stall = Duration::from_secs_f64(arguments.exporter_stall.unwrap_or_default());
        end_sickness(&agent, server, stall.saturating_sub(started.elapsed()));
    }
    agent.stop()?;
    write(&truth, &dir.join("truth.jsonl"))?;

    let pids: HashSet<u32> = truth.processes.iter().map(|process| process.pid).collect();
    let (processes, seconds) = (truth.processes.len(), truth.wall_ns() as f64 / 1e9);
    println!("{hz} Hz, {processes} processes with {} pids in {seconds:.1} s\n", pids.len());
    let passed = evaluate(&truth, &profiles, hz)?;
    let cpu = used.cpu.saturating_sub(usage.cpu).as_secs_f64();
    println!(
        "agent: {:.1} CPU-s a minute, {} MiB resident at most\n",
        cpu * 60e9 / truth.wall_ns() as f64,
        used.peak_rss >> 20
    );
    for hook in hooks::since(&programs, &ran).iter().filter(|hook| stats.is_some() && hook.runs > 0) {
        let each = hook.time.as_nanos() / u128::from(hook.runs);
        println!("  {:<16} {:>9} runs {each:>7} ns each", hook.name, hook.runs);
    }
    Ok(passed)
}

/// Prints the data that the agent holds while an exporter stalls or fails, and after.
fn end_sickness(agent: &Agent, server: Option<Silent>, rest: Duration) {
    let held = || agent.metric("otelcol_processor_procinfo_held_processes").unwrap_or(f64::NAN);
    let mib = || agent.usage().rss >> 20;
    thread::sleep(rest);
    println!("while an exporter does not deliver: {} exited processes held, {} MiB resident", held(), mib());
    drop(server);
    thread::sleep(RECOVERED);
    println!("{} s later: {} held, {} MiB", RECOVERED.as_secs(), held(), mib());
}

fn shape(arguments: &Arguments) -> Shape {
    let all = match arguments.pid_max {
        Some(_) => Mode::PID_REUSE.to_vec(),
        None => Mode::value_variants().to_vec(),
    };
    let span = Duration::from_secs_f64(arguments.seconds);
    Shape {
        seed: arguments.seed,
        arrival: Arrival::Open { rate: arguments.rate, span },
        cpu: None,
        modes: if arguments.modes.is_empty() { all } else { arguments.modes.clone() },
        older: arguments.older,
        sleepers: 0,
        verify: false,
    }
}

fn evaluate(truth: &Truth, profiles: &Path, hz: u32) -> anyhow::Result<bool> {
    let file = File::open(profiles).with_context(|| profiles.display().to_string())?;
    let score = score::score(truth, &Profiles::read(BufReader::new(file))?, f64::from(hz));
    print!("{}", Table(&score));
    score.examples.iter().for_each(|example| println!("  {example}"));
    let failures = gates::failures(&score);
    failures.iter().for_each(|failure| println!("FAILED {failure}"));
    Ok(failures.is_empty())
}

fn write(truth: &Truth, path: &Path) -> anyhow::Result<()> {
    let name = || path.display().to_string();
    let mut file = BufWriter::new(File::create(path).with_context(name)?);
    truth.write(&mut file).and_then(|()| file.flush()).with_context(name)
}
