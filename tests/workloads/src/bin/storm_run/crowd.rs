//! `storm-run crowd`: the agent's cost among few and among many live processes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use workloads::agent::{self, Agent, Stages};
use workloads::hooks::{self, Hook};
use workloads::kernel::{BPF_STATS_ENABLED, Restored};
use workloads::mode::Mode;
use workloads::plan::{Arrival, Shape};
use workloads::storm::{Prepared, StormSite};

/// Time after which the agent has done the work of its start.
const SETTLED: Duration = Duration::from_secs(2);

/// The agent's cost among few and among many live processes.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Numbers of processes that only sleep; a run for each. The last is compared with the first.
    #[arg(long, value_delimiter = ',', default_values_t = [500, 10_000])]
    sleepers: Vec<usize>,
    /// Processes that come and go, a second.
    #[arg(long, default_value_t = 1000.0)]
    rate: f64,
    /// Time for which they come and go, seconds.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// CPU time of each of those processes in microseconds.
    #[arg(long, default_value_t = 50)]
    cpu_us: u64,
    /// Samples a second and CPU.
    #[arg(long, default_value_t = 99)]
    hz: u32,
    /// Count the run time of BPF programs; this itself costs a little.
    #[arg(long)]
    bpf_stats: bool,
}

/// The agent's cost in one crowd.
#[derive(Clone, Debug)]
struct Cost {
    sleepers: usize,
    execs: usize,
    seconds: f64,
    start_cpu: f64,
    cpu: f64,
    rss: u64,
    peak_rss: u64,
    hooks: Vec<Hook>,
    metrics: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments, binary: &Path, stop: &Arc<AtomicBool>) -> anyhow::Result<bool> {
    let stats = Restored::remember(BPF_STATS_ENABLED).ok().filter(|_| arguments.bpf_stats);
    if let Some(stats) = &stats {
        stats.set("1").context("cannot switch on the kernel's BPF statistics")?;
    }
    let costs: Vec<Cost> = arguments
        .sleepers
        .iter()
        .map(|&sleepers| measure(arguments, sleepers, binary, stop))
        .collect::<Result<_, _>>()?;
    println!("| live | execs | execs/s | CPU s to start | CPU s | CPU us an exec | RSS MiB | peak MiB |");
    println!("| ---: | ----: | ------: | -------------: | ----: | -------------: | ------: | -------: |");
    for cost in &costs {
        println!(
            "| {:>4} | {:>5} | {:>7.0} | {:>14.2} | {:>5.2} | {:>14.1} | {:>7} | {:>8} |",
            cost.sleepers,
            cost.execs,
            cost.execs as f64 / cost.seconds,
            cost.start_cpu,
            cost.cpu,
            cost.each() * 1e6,
            cost.rss >> 20,
            cost.peak_rss >> 20
        );
    }
    if let (Some(first), Some(last)) = (costs.first(), costs.last()) {
        println!(
            "\ncost of an exec, {} live against {}: {:.2}",
            last.sleepers,
            first.sleepers,
            last.each() / first.each()
        );
    }
    for cost in &costs {
        println!("\n{} live:", cost.sleepers);
        cost.metrics.iter().for_each(|line| println!("  {line}"));
        for hook in cost.hooks.iter().filter(|hook| hook.runs > 0) {
            let each = hook.time.as_nanos() / u128::from(hook.runs);
            println!("  {:<16} {:>9} runs {each:>7} ns each", hook.name, hook.runs);
        }
    }
    Ok(true)
}

impl Cost {
    fn each(&self) -> f64 {
        self.cpu / self.execs.max(1) as f64
    }
}

fn measure(
    arguments: &Arguments,
    sleepers: usize,
    binary: &Path,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Cost> {
    let shape = Shape {
        seed: 1,
        arrival: Arrival::Open { rate: arguments.rate, span: Duration::from_secs_f64(arguments.seconds) },
        cpu: Some(Duration::from_micros(arguments.cpu_us)),
        modes: vec![Mode::Vfork],
        older: 0,
        sleepers,
        verify: false,
    };
    let place = StormSite { dir: std::env::temp_dir(), executables: 200, pid_max: None };
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
    let agent = Agent::start(&settings)?;
    // The cost of reading the living processes at the start is another one.
    thread::sleep(SETTLED);
    let (begin, programs) = (agent.usage(), hooks::of_process(agent.pid()).unwrap_or_default());
    let truth = storm.run(stop)?;
    let (end, ran) = (agent.usage(), hooks::of_process(agent.pid()).unwrap_or_default());
    let metrics = agent.metrics().unwrap_or_default();
    agent.stop()?;
    Ok(Cost {
        sleepers,
        execs: truth.processes.len(),
        seconds: truth.wall_ns() as f64 / 1e9,
        start_cpu: begin.cpu.as_secs_f64(),
        cpu: end.cpu.saturating_sub(begin.cpu).as_secs_f64(),
        rss: end.rss,
        peak_rss: end.peak_rss,
        hooks: hooks::since(&programs, &ran),
        metrics: metrics.lines().filter(|line| tells(line)).map(str::to_owned).collect(),
    })
}

/// True for a metric of events that were held, evicted, late or lost.
fn tells(line: &str) -> bool {
    line.starts_with("otelcol_")
        && ["held", "evicted", "late", "lost", "lag", "images", "misses"]
            .iter()
            .any(|word| line.contains(word))
}
