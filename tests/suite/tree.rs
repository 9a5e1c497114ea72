//! Parents of processes, and samples that are rolled up by them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use tests::agent::{Agent, Setup};
use tests::otlp::{OtlpFile, Resource, Value};
use tests::{validator, wait, workspace};

use crate::alone;

const RATE: u32 = 1999;
/// Samples per second in a build whose profiles three exporters write: each must keep up on a busy machine.
const BUILD_RATE: u32 = 299;
/// Number of processes that `make` starts; most of them have descendants.
const TARGETS: usize = 2000;
/// Number of pairs of processes that have two pids by turns.
const PAIRS: usize = 200;
const MODES: [&str; 6] = ["plain", "orphan", "double", "subreaper", "second", "other"];

/// The facts of a process as the process itself reported them.
#[derive(Debug)]
struct Truth {
    parent: i64,
    chain: Vec<String>,
}

/// Reports of processes by pid, and by the instant of the report.
type Family = BTreeMap<i64, BTreeMap<u64, Truth>>;

fn read_log(path: &Path) -> Family {
    let mut family = Family::new();
    for line in fs::read_to_string(path).expect("the log is there").lines() {
        let fields: Vec<_> = line.split(' ').collect();
        let [pid, parent, at, chain] = fields[..] else { panic!("{line}") };
        let chain = chain.split(',').map(str::to_owned).collect();
        let truth = Truth { parent: parent.parse().expect("a pid"), chain };
        let reports = family.entry(pid.parse().expect("a pid")).or_default();
        reports.insert(at.parse().expect("nanoseconds"), truth);
    }
    family
}

/// Makes a directory with the program under all of its names.
fn programs(dir: &Path) {
    let status = Command::new("cc")
        .args(["-O2", "-static", "-o"])
        .arg(dir.join("family"))
        .arg(workspace::file("fixtures/family.c"))
        .status();
    assert!(status.expect("a C compiler starts").success());
    for name in ["second", "other", "odd", "even"] {
        fs::hard_link(dir.join("family"), dir.join(name)).expect("the directory is ours");
    }
}

fn makefile(dir: &Path) {
    let mut text = "all:".to_owned();
    (0..TARGETS).for_each(|number| write!(text, " t{number}").expect("a string takes all"));
    for (number, mode) in (0..TARGETS).zip(MODES.iter().cycle()) {
        write!(text, "\nt{number}:\n\t@./family log {mode} - make\n").expect("a string takes all");
    }
    fs::write(dir.join("Makefile"), text).expect("the directory is ours");
}

/// Nanoseconds since the Unix epoch of RFC 3339 texts in UTC, by `date`, which shares no code with the agent.
fn nanos(times: &[&str]) -> BTreeMap<String, u64> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("times");
    fs::write(&file, times.join("\n")).expect("the directory is ours");
    let output = Command::new("date").arg("-f").arg(&file).arg("+%s%N").output().expect("date starts");
    let text = String::from_utf8(output.stdout).expect("digits");
    let nanos = text.lines().map(|line| line.parse().expect("nanoseconds"));
    times.iter().map(|time| (*time).to_owned()).zip(nanos).collect()
}

fn wait_for_orphans(dir: &Path) {
    let runs = |entry: fs::DirEntry| {
        fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe.parent() == Some(dir))
    };
    let look = || fs::read_dir("/proc").expect("there is /proc").flatten().any(runs);
    wait::until("the last orphan's end", look, |is_there| !is_there);
}

fn run(agent: &Agent, dir: &Path, program: &str, args: &[&str]) {
    assert!(agent.pid() > 0);
    let status = Command::new(program).args(args).current_dir(dir).stdin(Stdio::null()).status();
    assert!(status.expect("it starts").success(), "{program} {args:?}");
}

/// A build of thousands of processes of a few milliseconds, with orphans, daemons, subreapers, parents that become
/// another program, and pids that come back at once as each other's parents: each sample names the process that forked
/// its own, and the executables that this one and its ancestors ran when they forked.
#[test]
#[ignore = "needs root: loads BPF programs, chooses pids"]
fn each_process_knows_who_forked_it() {
    let _alone = alone();
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let dir = fs::canonicalize(scratch.path()).expect("it is there");
    programs(&dir);
    makefile(&dir);
    let metadata = json!({ "metadata": ["parent", "ancestors", "service"], "ancestors": 4 });
    let agent =
        Setup::new().samples_per_second(RATE).with(json!({ "processors": { "procinfo": metadata } })).start();
    run(&agent, &dir, "make", &["-s", "-j", "8"]);
    let pairs = PAIRS.to_string();
    run(&agent, &dir, "./family", &["log", "reuse", "-", "?", &pairs]);
    wait_for_orphans(&dir);
    let outcome = agent.stop();
    validator::assert_valid(&outcome.file);
    let family = read_log(&dir.join("log"));
    let reported: usize = family.values().map(BTreeMap::len).sum();
    assert!(reported > 2 * TARGETS + 2 * PAIRS, "{reported} processes reported themselves");
    let resources = outcome.file.resources().expect("every index is good");
    let is_own = |of: &&Resource| Path::new(of.text("process.executable.path")).parent() == Some(&*dir);
    let own: Vec<_> = resources.iter().filter(is_own).collect();
    let times: Vec<_> = own.iter().map(|of| of.text("process.creation.time")).collect();
    let created = nanos(&times);
    let mut seen = BTreeMap::new();
    for of in own {
        let pid = of.int("process.pid").expect("every resource has one");
        let created = created[of.text("process.creation.time")];
        // The process reported itself after it was made, and before the next one with its pid was.
        let reports = family.get(&pid).unwrap_or_else(|| panic!("nobody was {pid}"));
        let (&at, truth) = reports.range(created..).next().unwrap_or_else(|| panic!("{pid} at {created}"));
        assert_eq!(of.int("process.parent_pid"), Some(truth.parent), "{:?}", of.attributes);
        let Some(Value::List(ancestors)) = of.attributes.get("procinfo.ancestors") else {
            panic!("{:?}", of.attributes)
        };
        let ancestors: Vec<_> = ancestors.iter().filter_map(Value::as_text).collect();
        let known = truth.chain.iter().take_while(|name| *name != "?");
        for (found, expected) in ancestors.iter().zip(known) {
            assert_eq!(found, expected, "{:?} {truth:?}", of.attributes);
        }
        assert!(!ancestors.is_empty());
        *seen.entry((pid, at)).or_insert(0) += of.events();
    }
    let reused = seen.keys().filter(|(pid, _)| family[pid].len() > 1).count();
    eprintln!("{reported} processes, {} sampled, {reused} of them of pids that came back", seen.len());
    // The number of processes that the timer hits depends on the machine's other work.
    assert!(seen.len() > reported / 5, "{} of {reported} processes have samples", seen.len());
    assert!(reused > PAIRS / 5, "{reused} of {} processes with two pids have samples", 2 * PAIRS);
}

/// A workspace of small crates, one with a build script.
fn workspace_of_crates(dir: &Path) {
    let manifest = "[workspace]\nresolver = \"2\"\nmembers = [\"a\", \"b\", \"c\", \"d\"]\n";
    fs::write(dir.join("Cargo.toml"), manifest).expect("the directory is ours");
    for name in ["a", "b", "c", "d"] {
        fs::create_dir_all(dir.join(name).join("src")).expect("the directory is ours");
        let depends = if name == "a" { "" } else { "a = { path = \"../a\" }\n" };
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\n{depends}"
        );
        fs::write(dir.join(name).join("Cargo.toml"), manifest).expect("the directory is ours");
        let mut source = String::new();
        for number in 0..200 {
            writeln!(
                source,
                "pub fn f{number}(x: u64) -> String {{ format!(\"{{:?}}\", vec![x; {number}]) }}"
            )
            .expect("a string takes all");
        }
        fs::write(dir.join(name).join("src/lib.rs"), &source).expect("the directory is ours");
        fs::write(dir.join(name).join("src/main.rs"), "fn main() {}\n").expect("the directory is ours");
    }
    fs::write(dir.join("d/build.rs"), "fn main() { println!(\"cargo:rerun-if-changed=x\"); }\n")
        .expect("the directory is ours");
}

/// Number of samples by the parent of the sampled process.
fn by_parent(resources: &[Resource]) -> BTreeMap<Option<i64>, u64> {
    let mut sums = BTreeMap::new();
    for of in resources {
        *sums.entry(of.int("process.parent_pid")).or_insert(0) += of.events();
    }
    sums
}

/// A real build, rolled up by parent and by executable: each parent has exactly the samples of its children, in fewer
/// resources, and no process is named.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_build_rolled_up_is_the_sum_of_its_processes() {
    let _alone = alone();
    let scratch = tempfile::tempdir().expect("a temporary directory");
    workspace_of_crates(scratch.path());
    let setup = Setup::new().samples_per_second(BUILD_RATE);
    let rolled_up = ["parent", "executable"].map(|by| (by, setup.dir().join(format!("{by}.jsonl"))));
    let agent = rolled_up.iter().fold(setup, |setup, (by, path)| {
        setup.exporter(&format!("file/{by}"), json!({ "path": path, "window": "1000ms", "group_by": [by] }))
    });
    let agent = agent.start();
    run(&agent, scratch.path(), "cargo", &["build", "--offline", "--quiet", "--target-dir", "target"]);
    let outcome = agent.stop();
    let plain = outcome.file.resources().expect("every index is good");
    let [parent, executable] = rolled_up.map(|(_, path)| {
        OtlpFile::read(&path).expect("it was written").resources().expect("every index is good")
    });
    let expected = by_parent(&plain);
    assert_eq!(by_parent(&parent), expected, "{:#?}", outcome.log);
    assert!(expected.len() > 5 && expected.values().sum::<u64>() > 300, "{expected:?}");
    let names = |resources: &[Resource]| {
        let mut sums = BTreeMap::new();
        for of in resources {
            let name = ["path", "name"].map(|part| of.text(&format!("process.executable.{part}")).to_owned());
            *sums.entry(name).or_insert(0) += of.events();
        }
        sums
    };
    assert_eq!(names(&executable), names(&plain), "{:#?}", outcome.log);
    assert!(executable.len() < plain.len());
    for of in parent.iter().chain(&executable) {
        assert_eq!(of.int("process.pid"), None);
        let processes = of.profiles.iter().map(|profile| profile.attributes.get("profile.group.processes"));
        assert!(processes.into_iter().all(|count| matches!(count, Some(Value::Int(1..)))));
        assert!(of.samples().all(|sample| !sample.attributes.contains_key("thread.id")));
    }
    // Both files have the same figures of each window: the samples that it should have, and those that are lost.
    let windows = |resources: &[Resource]| {
        let profiles = resources.iter().flat_map(|of| &of.profiles);
        let keys = ["expected", "lost"].map(|key| format!("profile.window.samples.{key}"));
        let mut told: Vec<_> =
            profiles.map(|profile| keys.each_ref().map(|key| profile.attributes[key].to_string())).collect();
        told.sort();
        told.dedup();
        told
    };
    assert_eq!(windows(&parent), windows(&plain));
}
