//! `storm-run isolation`: the delay of one exporter while another is stalled.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::Args;
use workloads::agent::{self, Agent, Stages};
use workloads::arrival::{Arrived, Growing, window_end};
use workloads::mode::Mode;
use workloads::plan::{Arrival, Shape};
use workloads::silent::Silent;
use workloads::storm::{Prepared, StormSite};

/// Time between two looks at the file: the precision of a delay.
const LOOK: Duration = Duration::from_millis(10);

/// The delay of one exporter while another is stalled.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Time for which processes keep coming, and the other exporter is stalled, seconds.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Processes a second.
    #[arg(long, default_value_t = 40.0)]
    rate: f64,
    /// Samples a second and CPU.
    #[arg(long, default_value_t = 997)]
    hz: u32,
    /// Length of a profile in milliseconds.
    #[arg(long, default_value_t = 1000)]
    window_ms: u64,
}

/// Prints the delays from the end of a window to its whole line in the file. False if the 99th percentile is not
/// below two windows.
pub(crate) fn run(arguments: &Arguments, binary: &Path, stop: &Arc<AtomicBool>) -> anyhow::Result<bool> {
    let shape = Shape {
        seed: 1,
        arrival: Arrival::Open { rate: arguments.rate, span: Duration::from_secs_f64(arguments.seconds) },
        cpu: None,
        modes: vec![Mode::Spawn, Mode::Vfork, Mode::Fork, Mode::Chain],
        older: 1,
        sleepers: 0,
        verify: false,
    };
    let mut storm =
        Prepared::new(&shape, &StormSite { dir: std::env::temp_dir(), executables: 200, pid_max: None })?;
    let (dir, window) = (tempfile::tempdir()?, Duration::from_millis(arguments.window_ms));
    println!("| other exporter | windows | p50 ms | p99 ms | most ms | p99, windows |");
    println!("| -------------- | ------: | -----: | -----: | ------: | -----------: |");
    let server = Silent::start()?;
    let settings = agent::AgentSettings {
        binary: binary.to_owned(),
        dir: dir.path().to_owned(),
        hz: arguments.hz,
        window,
        otlp_port: Some(server.port()),
        stages: Stages::Few,
    };
    let agent = Agent::start(&settings)?;
    let (over, profiles) = (AtomicBool::new(false), agent.profiles());
    let arrived = thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&profiles, &over));
        let ran = storm.run(stop);
        over.store(true, Ordering::Relaxed);
        ran?;
        watcher.join().unwrap_or_else(|_panic| anyhow::bail!("the watcher has panicked"))
    })?;
    // Without this the agent would wait for the server.
    drop(server);
    agent.stop()?;
    let mut delays: Vec<Duration> = arrived
        .into_iter()
        .filter_map(|Arrived { line, at }| Some(at.saturating_sub(window_end(&line)?)))
        .collect();
    delays.sort_unstable();
    let (p50, p99, most) = (percentile(&delays, 50), percentile(&delays, 99), percentile(&delays, 100));
    let windows = p99.as_secs_f64() / window.as_secs_f64();
    let ms = |delay: Duration| delay.as_secs_f64() * 1e3;
    println!(
        "| stalled        | {:>7} | {:>6.0} | {:>6.0} | {:>7.0} | {windows:>12.2} |",
        delays.len(),
        ms(p50),
        ms(p99),
        ms(most)
    );
    anyhow::ensure!(!delays.is_empty(), "no window has arrived");
    Ok(windows < 2.0)
}

/// The lines that arrive in the file until `over`.
fn watch(profiles: &Path, over: &AtomicBool) -> anyhow::Result<Vec<Arrived>> {
    let mut file = Growing::open(profiles)?;
    let mut arrived = Vec::new();
    while !over.load(Ordering::Relaxed) {
        arrived.extend(file.look()?);
        thread::sleep(LOOK);
    }
    Ok(arrived)
}

/// The least delay that `percent` percent of the delays are not above; zero if there is none.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_delays() {
        let delays: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&delays, 50), Duration::from_millis(100));
        assert_eq!(percentile(&delays, 99), Duration::from_millis(198));
        assert_eq!(percentile(&delays, 100), Duration::from_millis(200));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
