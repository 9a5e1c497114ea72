//! Every output of one run has the same samples: the page, its downloads, files in every format, Prometheus, and the
//! truth about the processes that were sampled.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tests::agent::{Agent, Setup};
use tests::metrics::Metrics;
use tests::program::{self, Burner, Step};
use tests::{due, http, wait, workspace};
use workloads::mode::Mode;
use workloads::plan::{Arrival, Shape};
use workloads::profiles::Profiles;
use workloads::storm::{Prepared, StormSite};
use workloads::timeline::Timeline;
use workloads::truth::Truth;

use crate::alone;
use crate::formats::{self, opened};

/// Samples in each second of a CPU's time.
const RATE: u32 = 97;
/// The same, of a storm.
const STORM_RATE: u32 = 997;
/// Part by which the samples of a storm may differ from its CPU time: the gates of `tests/workloads`.
const STORM_ALLOWED: (f64, f64) = (0.95, 1.07);

/// Number of samples of stacks that begin with `start`, in folded stacks.
fn folded(text: &str, start: &str) -> u64 {
    let counts = text.lines().filter(|line| line.starts_with(start));
    counts.map(|line| line.rsplit_once(' ').expect("a count").1.parse::<u64>().expect("a number")).sum()
}

/// Number of samples of stacks that begin with `start` in files of any format, by way of `convert`.
fn converted(files: &[PathBuf], dir: &Path, start: &str) -> u64 {
    let out = dir.join("converted.folded");
    let one = |file: &PathBuf| {
        let mut command = Command::new(workspace::pipeline());
        let output = command.arg("convert").arg(file).arg(&out).output().expect("it starts");
        assert!(output.status.success(), "{output:?}");
        folded(&fs::read_to_string(&out).expect("it was written"), start)
    };
    files.iter().map(one).sum()
}

/// Number of samples of threads of this name that `go tool pprof` finds when it fetches a profile from the page itself.
fn go_tool_pprof(port: u16, dir: &Path, task: &str) -> Option<u64> {
    let mut command = Command::new("go");
    command.args(["tool", "pprof", "-symbolize=none", "-top", "-nodefraction=0", "-sample_index=samples"]);
    command.arg(format!("-tagfocus=thread.name={task}"));
    command.arg(format!("http://localhost:{port}/debug/pprof/profile?seconds=600")).env("PPROF_TMPDIR", dir);
    let output = command.output().expect("Go is there: tests/setup.sh needs it, too");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, rest) = text.split_once("Showing nodes accounting for ")?;
    rest.split(',').next()?.parse().ok()
}

/// Number of samples that the page says it has, of those that a query asks for.
fn on_the_page(port: u16, query: &str) -> u64 {
    let answer = http::get(port, &format!("/api/status?{query}")).expect("the page answers");
    let status: Value = serde_json::from_str(&answer.body).expect("JSON");
    status.pointer("/answer/total/samples").and_then(Value::as_u64).expect("a number")
}

fn files_in(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).expect("it is there").map(|entry| entry.expect("it can be read").path()).collect()
}

/// Number of samples in a Firefox profile.
fn firefox(text: &str) -> f64 {
    let profile: Value = serde_json::from_str(text).expect("JSON");
    let threads = profile.get("threads").and_then(Value::as_array).expect("threads");
    let of_thread = |thread: &Value| -> f64 {
        let weights = thread.pointer("/samples/weight").and_then(Value::as_array).expect("weights");
        weights.iter().map(|weight| weight.as_f64().expect("a number")).sum()
    };
    threads.iter().map(of_thread).sum()
}

/// The outputs of an agent beside its file of OTLP, and a program that runs after those that are looked at.
struct Outputs {
    dir: PathBuf,
    /// Port of the live page.
    page: u16,
    /// Port of the Prometheus exporter.
    prometheus: u16,
    /// Directory of the pprof files.
    pprof: PathBuf,
    /// The file of folded stacks.
    stacks: PathBuf,
    later: PathBuf,
}

impl Outputs {
    /// Starts an agent with all of them.
    fn start(samples_per_second: u32) -> (Self, Agent) {
        let setup = Setup::new().samples_per_second(samples_per_second);
        let (page, prometheus) = (workspace::free_port(), workspace::free_port());
        let dir = setup.dir().canonicalize().expect("it is there");
        let (pprof, stacks, later) = (dir.join("pprof"), dir.join("stacks.folded"), dir.join("ran-later"));
        program::compile(&later, "0123456789abcdef");
        let setup = setup
            .exporter("flamegraph", json!({ "endpoint": format!("localhost:{page}") }))
            .exporter("prometheus", json!({ "endpoint": format!("localhost:{prometheus}") }))
            .exporter(
                "file/pprof",
                json!({ "path": pprof.join("cpu.pb.gz"), "format": "pprof", "window": "2s", "create_directory": true }),
            )
            .exporter("file/folded", json!({ "path": stacks, "format": "folded", "window": "500ms" }));
        (Self { dir, page, prometheus, pprof, stacks, later }, setup.start())
    }

    /// Waits until the page shows all samples of what has ended. It shows time that is complete: once a later program
    /// is shown, all samples of the earlier ones are.
    fn wait_for_the_page(&self) {
        assert_eq!(Burner::start(&self.later, &[Step::Cpu(Duration::from_secs(1))]).finish().len(), 1);
        let table = || http::get(self.page, "/api/top?rows=executable").expect("the page answers").body;
        wait::until("all to be there", table, |body| body.contains("ran-later"));
    }
}

/// The page, its downloads, files, and Prometheus have exactly the same samples of one program.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn every_output_has_the_same_samples() {
    let _alone = alone();
    let (outputs, agent) = Outputs::start(RATE);
    let path = outputs.dir.join("counted-burn");
    program::compile(&path, "0123456789abcdef");
    let used: Duration = Burner::start(&path, &[Step::Cpu(Duration::from_secs(3))]).finish().iter().sum();
    outputs.wait_for_the_page();
    let Outputs { dir, page, prometheus, pprof, stacks, .. } = outputs;

    let exe = http::encoded(path.to_str().expect("UTF-8"));
    let total = on_the_page(page, &format!("exe={exe}"));
    let download = |format: &str| {
        let file = dir.join(format!("page.{format}"));
        fs::write(
            &file,
            http::get_bytes(page, &format!("/api/download?format={format}&exe={exe}")).expect("it answers"),
        )
        .expect("it is written");
        file
    };
    assert_eq!(go_tool_pprof(page, &dir, "counted-burn"), Some(total), "what go tool pprof gets of the page");
    let read = |file: PathBuf| fs::read_to_string(file).expect("it is text");
    assert_eq!(folded(&read(download("folded")), "counted-burn;"), total, "the page's folded stacks");
    assert_eq!(firefox(&read(download("firefox"))), total as f64, "the page's Firefox profile");
    assert_eq!(converted(&[download("pprof")], &dir, "counted-burn;"), total, "the page's pprof");
    let labels = [("process_executable_path", path.to_str().expect("UTF-8"))];
    let scrape =
        || Metrics::scrape(prometheus).map_or(0, |metrics| metrics.count("profile_samples_total", &labels));
    wait::until("Prometheus to have as many", scrape, |count| *count == total);

    let outcome = agent.stop();
    let threads = outcome.file.summary().expect("every index is good").threads;
    assert_eq!(threads.get("counted-burn"), Some(&total), "OTLP");
    let otlp = dir.join("profiles.jsonl");
    assert_eq!(converted(&[otlp], &dir, "counted-burn;"), total, "OTLP, as it is read here");
    assert_eq!(folded(&read(stacks), "counted-burn;"), total, "folded stacks of the exporter");
    assert_eq!(converted(&files_in(&pprof), &dir, "counted-burn;"), total, "pprof of the exporter");
    let resources = outcome.file.resources().expect("every index is good");
    due::assert_samples(&resources, path.to_str().expect("UTF-8"), used, RATE);
}

/// Runs a storm of short-lived processes of many kinds, whose executables keep their names.
fn storm() -> Truth {
    let shape = Shape {
        seed: 1,
        arrival: Arrival::Open { rate: 40.0, span: Duration::from_secs(8) },
        cpu: None,
        modes: vec![
            Mode::Spawn,
            Mode::Vfork,
            Mode::Fork,
            Mode::Chain,
            Mode::ThreadExec,
            Mode::LeaderExits,
            Mode::Orphan,
            Mode::Pidns,
            Mode::Rename,
        ],
        older: 0,
        sleepers: 0,
        verify: false,
    };
    let site = StormSite { dir: std::env::temp_dir(), executables: 20, pid_max: None };
    let mut storm = Prepared::new(&shape, &site).expect("the storm's files are made");
    storm.run(&Arc::default()).expect("the storm runs as planned")
}

/// Directory of the programs that a storm runs.
fn programs(truth: &Truth) -> String {
    let launcher = &truth.processes.first().expect("the launcher is the first").inherited.path;
    format!("{}/programs/", launcher.strip_suffix("/launch").expect("its name"))
}

/// Number of samples of each of the storm's programs that are, by the truth, of a process that lived at that instant
/// under that pid and ran that program.
fn by_the_truth(truth: &Truth, profiles: &Profiles) -> BTreeMap<String, u64> {
    let (timeline, programs) = (Timeline::new(truth), programs(truth));
    let mut found = BTreeMap::new();
    for sample in &profiles.samples {
        let Some(path) = sample.resource.path.as_deref().filter(|path| path.starts_with(&programs)) else {
            continue;
        };
        let at = truth.monotonic(sample.at);
        let process = sample.resource.pid.and_then(|pid| timeline.find(pid, at));
        if process.is_some_and(|process| process.images.iter().any(|image| image.path == path)) {
            *found.entry(path.to_owned()).or_default() += 1;
        }
    }
    found
}

/// Downloads from the page what a query asks for, in each format that it has.
fn downloads(port: u16, query: &str, dir: &Path) {
    for (format, name) in [
        ("pprof", "a.pb.gz"),
        ("folded", "a.folded"),
        ("svg", "a.svg"),
        ("firefox", "a.json"),
        ("html", "a.html"),
    ] {
        let file = http::get_bytes(port, &format!("/api/download?format={format}&{query}"));
        fs::write(dir.join(name), file.expect("the page answers")).expect("it is ours");
    }
}

/// A file for each format in `dir`, converted from one file.
fn in_every_format(file: &Path, dir: &Path) {
    for name in formats::NAMES {
        let mut command = Command::new(workspace::pipeline());
        let output = command.arg("convert").arg(file).arg(dir.join(name)).output().expect("it starts");
        assert!(output.status.success(), "{name}: {output:?}");
    }
}

/// The number of samples that each file's own tool finds in it.
fn assert_total(dir: &Path, names: &[&str], total: u64) {
    for (name, found) in opened(dir, names) {
        assert!(found.samples.is_none_or(|samples| samples == total), "{name}: {found:?}, {total} in others");
    }
}

/// Of a storm the page, Prometheus and OTLP have exactly the samples that the truth has, for each program; of all
/// processes of the machine the page and its downloads have the same sum, and so have the files of the whole run.
#[test]
#[ignore = "needs root: loads BPF programs, and makes namespaces"]
fn every_output_of_a_storm_has_the_samples_of_the_truth() {
    let _alone = alone();
    let (outputs, agent) = Outputs::start(STORM_RATE);
    let truth = storm();
    outputs.wait_for_the_page();
    let Outputs { dir, page, prometheus, pprof, stacks, .. } = outputs;

    let millis = |nanos: u64| nanos / 1_000_000;
    let query = format!("from={}&until={}", millis(truth.storm.begin.unix), millis(truth.storm.end.unix));
    let shown = on_the_page(page, &query);
    let downloaded = dir.join("downloaded");
    fs::create_dir(&downloaded).expect("it is ours");
    downloads(page, &query, &downloaded);

    let programs = programs(&truth);
    let images = truth.processes.iter().flat_map(|process| &process.images);
    let paths = images.map(|image| &image.path).filter(|path| path.starts_with(&programs));
    let of_page = |path: &String| on_the_page(page, &format!("exe={}", http::encoded(path)));
    let on_page: BTreeMap<_, _> = paths.map(|path| (path.clone(), of_page(path))).collect();
    let on_page: BTreeMap<_, _> = on_page.into_iter().filter(|(_, count)| *count > 0).collect();
    let scrape = || {
        let metrics = Metrics::scrape(prometheus).expect("the agent serves metrics");
        let of = |path: &String| metrics.count("profile_samples_total", &[("process_executable_path", path)]);
        on_page.keys().map(|path| (path.clone(), of(path))).collect::<BTreeMap<_, _>>()
    };
    wait::until("Prometheus to have as many", scrape, |counts| *counts == on_page);

    let outcome = agent.stop();
    assert_total(&downloaded, &["a.pb.gz", "a.folded", "a.svg", "a.json", "a.html"], shown);
    let file = File::open(outcome.path()).expect("the agent has written it");
    let profiles = Profiles::read(BufReader::new(file)).expect("they are profiles");
    let of_truth = by_the_truth(&truth, &profiles);
    assert_eq!(on_page, of_truth, "the page and the truth");
    let summary = outcome.file.summary().expect("every index is good");
    let in_file = summary.paths.into_iter().filter(|(path, _)| path.starts_with(&programs));
    assert_eq!(in_file.collect::<BTreeMap<_, _>>(), of_truth, "OTLP and the truth");
    assert_cpu_time(&truth, &profiles);

    let whole = profiles.samples.len() as u64;
    let stacks = fs::read_to_string(stacks).expect("it is text");
    assert_eq!(folded(&stacks, ""), whole, "folded stacks of the exporter");
    assert_eq!(converted(&files_in(&pprof), &dir, ""), whole, "pprof of the exporter");
    in_every_format(outcome.path(), &dir);
    // The Firefox Profiler's loader, which has opened the download, takes a second for dozens of threads.
    let converted = fs::read_to_string(dir.join("a.json")).expect("it is text");
    assert_eq!(firefox(&converted), whole as f64, "the Firefox profile of the whole run");
    let others: Vec<_> = formats::NAMES.into_iter().filter(|name| *name != "a.json").collect();
    assert_total(&dir, &others, whole);
}

/// The samples of the storm's processes are as many as their CPU time stands for; known losses may be missing.
fn assert_cpu_time(truth: &Truth, profiles: &Profiles) {
    let score = workloads::score::score(truth, profiles, f64::from(STORM_RATE));
    let due = score.all.expected;
    let (least, most) = (due * STORM_ALLOWED.0 - score.lost as f64, due * STORM_ALLOWED.1);
    let found = score.all.samples as f64;
    println!("{found} samples, {due:.0} due, {} lost on the machine", score.lost);
    assert!((least..=most).contains(&found), "{found} samples, {due:.0} due, {} lost", score.lost);
}
