//! `storm-run hostile`: the agent, and other programs' samples, while an unprivileged user does the worst.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, ValueEnum as _};
use workloads::agent::{Agent, AgentSettings, Stages, Usage};
use workloads::mode::Mode;
use workloads::plan::{Arrival, Shape};
use workloads::profiles::Profiles;
use workloads::score;
use workloads::siege::{Head, Siege};
use workloads::storm::{Prepared, StormSite};
use workloads::toolbox::{Tool, Toolbox};

/// Time by which the tools outlast the storm, so that the agent is stopped while they run.
const LONGER: Duration = Duration::from_secs(5);

/// The agent's cost, and the right samples of other programs, while hostile programs run.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The tools; all by default.
    #[arg(long, value_delimiter = ',')]
    tools: Vec<Tool>,
    /// Time of each tool, one after another, seconds; 0 for none.
    #[arg(long, default_value_t = 15.0)]
    each: f64,
    /// Time of all tools at once, seconds; 0 for none.
    #[arg(long, default_value_t = 300.0)]
    together: f64,
    /// Programs that the tool of that name makes.
    #[arg(long, default_value_t = 10_000)]
    programs: usize,
    /// Other programs, whose samples are to be right: processes a second.
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// Samples a second and CPU.
    #[arg(long, default_value_t = 997)]
    hz: u32,
}

pub(crate) fn run(arguments: &Arguments, binary: &Path, stop: &Arc<AtomicBool>) -> anyhow::Result<bool> {
    let tools = if arguments.tools.is_empty() { Tool::value_variants() } else { &arguments.tools };
    let alone = tools.iter().map(|tool| (vec![*tool], arguments.each));
    let rounds = alone.chain([(tools.to_vec(), arguments.together)]);
    println!("{Head}");
    let mut passed = true;
    for (tools, seconds) in rounds.filter(|(_, seconds)| *seconds > 0.0) {
        let siege = besiege(arguments, &tools, seconds, binary, stop)?;
        println!("{siege}");
        if let [_, _, ..] = *siege.tools {
            let did: Vec<_> = siege.tools.iter().map(|(tool, count)| format!("{tool} {count}")).collect();
            println!("  {}", did.join(", "));
        }
        for (reason, count) in siege.score.reasons.iter().filter(|(_, count)| **count > 0) {
            println!("  {reason}: {count}");
        }
        let failures = siege.failures();
        if !failures.is_empty() {
            siege.score.examples.iter().for_each(|example| println!("  {example}"));
        }
        failures.iter().for_each(|failure| println!("FAILED {failure}"));
        passed &= failures.is_empty();
    }
    Ok(passed)
}

fn besiege(
    arguments: &Arguments,
    tools: &[Tool],
    seconds: f64,
    binary: &Path,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Siege> {
    let dir = tempfile::tempdir()?;
    let span = Duration::from_secs_f64(seconds);
    let shape = Shape {
        seed: 1,
        arrival: Arrival::Open { rate: arguments.rate, span },
        cpu: None,
        modes: Mode::value_variants().to_vec(),
        older: 1,
        sleepers: 0,
        verify: false,
    };
    let place = StormSite { dir: std::env::temp_dir(), executables: 200, pid_max: None };
    let mut storm = Prepared::new(&shape, &place)?;
    let settings = AgentSettings {
        binary: binary.to_owned(),
        dir: dir.path().to_owned(),
        hz: arguments.hz,
        window: Duration::from_secs(2),
        otlp_port: None,
        stages: Stages::Default,
    };
    let agent = Agent::start(&settings)?;
    let (started, before) = (Instant::now(), agent.usage());
    let toolbox = Toolbox::start(tools, span + LONGER, arguments.programs)?;
    let truth = storm.run(stop)?;
    let (after, seconds) = (agent.usage(), started.elapsed().as_secs_f64());
    let usage = Usage { cpu: after.cpu.saturating_sub(before.cpu), ..after };
    // The agent still answers, and ends well, whatever the tools do.
    agent.metrics().context("the agent serves no metrics any more")?;
    let path = agent.profiles();
    agent.stop()?;
    let did = toolbox.finish()?;
    let file = File::open(&path).with_context(|| path.display().to_string())?;
    let profiles = Profiles::read(BufReader::new(file))?;
    let score = score::score(&truth, &profiles, f64::from(arguments.hz));
    let did = did.into_iter().map(|(tool, count)| (tool.name(), count)).collect();
    Ok(Siege::of(did, score, &profiles, usage, seconds))
}
