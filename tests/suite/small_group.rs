//! An agent in a control group with little memory or CPU time takes fewer samples or ends with one line, and is never
//! killed.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tests::agent::Setup;
use tests::daemon::{Daemon, Ended};
use tests::group::Group;
use tests::program::{self, Burner, Step};
use tests::{http, wait, workspace};

use crate::alone;

const MIB: u64 = 1 << 20;
/// Least memory that the agent starts in.
const LEAST_MIB: u64 = 64;
/// Rate at which samples take most memory, in samples a second.
const HIGHEST_RATE: u32 = 10_000;

/// Checks that an agent survives in `mib` MiB while both CPUs are busy and sampled at the highest rate for several
/// windows.
fn survives(mib: u64) {
    let group = Group::with_memory(mib * MIB);
    let setup = Setup::new().samples_per_second(HIGHEST_RATE).with(json!({
        "processors": { "memory_limiter": {}, "symbolizer": {} },
        "exporters": { "file": { "window": "5s" } },
        "service": { "pipelines": { "profiles": {
            "processors": ["memory_limiter", "procinfo", "symbolizer"],
        } } },
    }));
    let path = setup.dir().join("busy");
    program::compile(&path, "0123456789abcdef");
    let agent = Daemon::start("the agent", &mut group.run(&setup.command()));
    agent.wait_for_log("Everything is ready.");
    let burners: Vec<_> =
        (0..2).map(|_| Burner::start(&path, &[Step::Cpu(Duration::from_secs(2))])).collect();
    burners.into_iter().for_each(|burner| drop(burner.finish()));
    agent.signal(rustix::process::Signal::TERM);
    agent.wait().assert_code(0);
}

/// An agent in 64 MiB used to be killed within seconds, by memory that its limiter did not count.
#[test]
#[ignore = "needs root: loads BPF programs, and makes control groups"]
fn at_the_highest_rate_it_is_not_killed_in_the_least_group() {
    let _alone = alone();
    survives(LEAST_MIB);
}

#[test]
#[ignore = "needs root: loads BPF programs, and makes control groups"]
fn at_the_highest_rate_it_is_not_killed_in_a_small_group() {
    let _alone = alone();
    survives(80);
}

#[test]
#[ignore = "needs root: loads BPF programs, and makes control groups"]
fn at_the_highest_rate_it_is_not_killed_in_a_group_of_96_mib() {
    let _alone = alone();
    survives(96);
}

/// In a group that is too small, one line at the start names the least limit, and `doctor` reports it without being
/// killed.
#[test]
#[ignore = "needs root: makes control groups"]
fn in_less_than_the_least_group_one_line_says_so() {
    let _alone = alone();
    let group = Group::with_memory(40 * MIB);
    let Ended { status, log, .. } =
        Daemon::start("the agent", &mut group.run(&Setup::new().command())).wait();
    assert_eq!(status.code(), Some(1), "{log:#?}");
    let line = "the agent's control group may hold 40 MiB, and the agent needs 64 MiB at least";
    assert!(log.last().is_some_and(|last| last.contains(line)), "{log:#?}");

    let mut doctor = Command::new(workspace::pipeline());
    doctor.arg("doctor");
    let Ended { status, out, log } = Daemon::start("doctor", &mut group.run(&doctor)).wait();
    assert_eq!(status.code(), Some(1), "{out:#?} {log:#?}");
    assert!(out.iter().any(|line| line.contains("may hold 40 MiB, 64 MiB are needed")), "{out:#?} {log:#?}");
}

#[test]
#[ignore = "needs root: loads BPF programs, and makes control groups"]
fn doctor_works_in_the_least_group() {
    let _alone = alone();
    let group = Group::with_memory(LEAST_MIB * MIB);
    let mut doctor = Command::new(workspace::pipeline());
    doctor.arg("doctor");
    let Ended { status, out, log } = Daemon::start("doctor", &mut group.run(&doctor)).wait();
    assert_eq!(status.code(), Some(0), "{out:#?} {log:#?}");
}

/// Most bytes that an agent without CPU time holds: the queue of its exporter, and the batches in its stages.
const MOST_STARVED: u64 = 160 * MIB;
/// Least time for which other processes fork.
const STORM: Duration = Duration::from_secs(20);
/// Most time for which other processes fork, should the test fail.
const LONGEST_STORM: Duration = Duration::from_secs(240);
/// Longest time that one answer may take. With a fiftieth of a CPU an answer may be slow, and the next one is quick.
const ONE_LOOK: Duration = Duration::from_secs(10);

/// An agent that gets a fiftieth of a CPU while others fork all the time cannot keep up: it stays within bounds, counts
/// its losses, and its health reports the lag. Before, it grew to 441 MiB, and reported nothing.
#[test]
#[ignore = "needs root: loads BPF programs, and makes control groups"]
fn without_cpu_time_it_stays_small_and_says_that_it_lags() {
    let _alone = alone();
    let group = Group::with_cpu_percent(2);
    let port = workspace::free_port();
    let setup = Setup::new().samples_per_second(997).with(json!({
        "extensions": { "health_check": {
            "endpoint": format!("127.0.0.1:{port}"),
            "max_watermark_lag": "1s",
        } },
        "service": { "extensions": ["health_check"], "telemetry": { "metrics": { "level": "none" } } },
    }));
    let agent = Daemon::start("the agent", &mut setup.command());
    agent.wait_for_log("Everything is ready.");
    // The agent starts with all the CPU time that it needs, since its start is not tested.
    group.take_in(agent.pid());
    let (start, is_over) = (Instant::now(), AtomicBool::new(false));
    let storm = || {
        while !is_over.load(Ordering::Relaxed) && start.elapsed() < LONGEST_STORM {
            let status = Command::new("/bin/true").status().expect("it starts");
            assert!(status.success());
        }
    };
    let own = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    let says_so = |health: &http::HttpResponse| health.status == 503 && health.body.contains("behind");
    let (most, health) = std::thread::scope(|scope| {
        (0..2).for_each(|_| drop(scope.spawn(storm)));
        let (mut most, mut health) = (0, None);
        let look = || {
            most = own().max(most);
            if health.is_none() {
                health = http::get_within(port, "/", ONE_LOOK).ok().filter(says_so);
            }
            health.is_some() && start.elapsed() > STORM
        };
        let what = "the health check to say that it lags";
        wait::until_within(LONGEST_STORM, what, look, |is_enough| *is_enough);
        is_over.store(true, Ordering::Relaxed);
        (most, health)
    });
    println!("{} MiB at most; {health:?}", most / MIB);
    assert!(most < MOST_STARVED, "{} MiB", most / MIB);
    group.let_go(agent.pid());
    agent.signal(rustix::process::Signal::TERM);
    agent.wait().assert_code(0);
}
