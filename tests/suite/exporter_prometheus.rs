//! The Prometheus exporter, scraped by a real Prometheus.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;
use tests::agent::{Agent, Setup};
use tests::metrics::Metrics;
use tests::program::{self, Burner, Step};
use tests::prometheus::{JOB, Prometheus, promtool};
use tests::{http, wait, workspace};

use crate::alone;

const SAMPLES: &str = "profile_samples_total";
const LABELS: [&str; 2] = ["process_executable_path", "process_executable_name"];
const CPU: &str = "profile_cpu_seconds_total";
const SENT: &str = "otelcol_exporter_sent_profile_samples";
const RATE: u32 = 997;
const EXECUTABLES: usize = 10_000;
const MAX_SERIES: usize = 500;
/// For how long a page that stands still is looked for.
const LONGEST: Duration = Duration::from_secs(300);

/// The page of the exporter.
fn page(port: u16) -> String {
    http::get(port, "/metrics").expect("the exporter serves metrics").body
}

/// Samples by path and name of the executable.
type Samples = BTreeMap<[String; 2], f64>;

/// A page, the number of samples that the agent reports as counted by the exporter when the page was made, and the
/// samples that this page and earlier ones showed. No sample came between two equal pages, so a count between them is
/// that of both.
/// As long as others use the CPUs, batches come ten times a second, and two equal pages take luck.
fn page_and_count(agent: &Agent, port: u16) -> (String, u64, Samples) {
    let mut shown = Samples::new();
    let mut read = || {
        let page = page(port);
        shown.extend(Metrics::parse(&page).by_labels(SAMPLES, LABELS));
        page
    };
    let look = || {
        let before = read();
        let count = agent.metrics().count(SENT, &[("exporter", "prometheus")]);
        (before == read()).then_some((before, count))
    };
    let still = wait::until_within(LONGEST, "a page that stands still", look, Option::is_some);
    let (page, count) = still.unwrap_or_default();
    (page, count, shown)
}

fn lines<'a>(page: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let begin = format!("{name}{{");
    page.lines().filter(move |line| line.starts_with(&begin))
}

/// Runs [`EXECUTABLES`] executables, each under a path of its own and once, for 2 ms each. Two run at a time.
fn storm(dir: &Path) {
    let payload = dir.join("payload");
    program::compile(&payload, "0123456789abcdef");
    let run = |part: usize| {
        for number in (part..EXECUTABLES).step_by(2) {
            let path = dir.join(format!("executable-{number}"));
            fs::hard_link(&payload, &path).expect("a link is made");
            let output = Command::new(&path).args(["cpu", "0.002"]).output().expect("it runs");
            assert!(output.status.success());
            fs::remove_file(&path).expect("a link is removed");
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| run(0));
        scope.spawn(|| run(1));
    });
}

/// The samples of series that Prometheus has scraped or a page has `shown`, and that are not on a page at `now`, in
/// seconds since the Unix epoch: another busy program of the machine gets a series in the place of an older one.
fn ended(prometheus: &Prometheus, mut shown: Samples, page: &Metrics, now: f64) -> f64 {
    for (labels, last) in prometheus.query(&format!("max_over_time({SAMPLES}[10m] @ {now})")) {
        let labels = LABELS.map(|label| labels.get(label).cloned().unwrap_or_default());
        let shown = shown.entry(labels).or_default();
        *shown = last.max(*shown);
    }
    let present = page.by_labels(SAMPLES, LABELS);
    shown.into_iter().filter(|(labels, _)| !present.contains_key(labels)).map(|(_, last)| last).sum()
}

/// Ten thousand executables leave as many series as are allowed, none of which ever goes down; all their samples are in
/// them, with exactly the CPU time that samples at this rate stand for.
#[test]
#[ignore = "needs root: loads BPF programs; and tests/setup.sh"]
fn a_storm_of_executables_leaves_bounded_series_that_add_up_exactly() {
    let _alone = alone();
    let port = workspace::free_port();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let exporter = json!({ "endpoint": format!("127.0.0.1:{port}"), "max_series": MAX_SERIES, "enable_open_metrics": true });
    let agent = Setup::new().samples_per_second(RATE).exporter("prometheus", exporter).start();
    let prometheus = Prometheus::start(port, &[]);
    storm(dir.path());

    let (page, count, shown) = page_and_count(&agent, port);
    let now = UNIX_EPOCH.elapsed().expect("it is later than 1970").as_secs_f64();
    assert_eq!(lines(&page, SAMPLES).count(), MAX_SERIES + 1, "with the one of all others");
    let metrics = Metrics::parse(&page);
    let others = metrics.count(SAMPLES, &[("process_executable_name", "other")]);
    println!("{count} samples, {others} of them of executables without a series of their own");
    assert!(others > 0);
    let ended = ended(&prometheus, shown, &metrics, now);
    assert_eq!(metrics.count(SAMPLES, &[]) as f64 + ended, count as f64, "{ended} of series that have ended");
    let period = Duration::from_secs(1) / RATE;
    let nanos = metrics.get(CPU, &[]).expect("there is CPU time") * 1e9;
    // The page has all nanoseconds; the sum of some hundred floats of a few seconds each is off by less than one.
    let expected = period.as_nanos() as f64 * (count as f64 - ended);
    assert!((nanos - expected).abs() < 1.0, "{nanos} ns of {count} samples, {ended} of them ended");
    promtool(&["check", "metrics"], &page).expect("promtool finds no fault");

    // Prometheus scrapes every few seconds, and has read the page as OpenMetrics.
    let seen = || {
        prometheus.query(&format!("sum(max_over_time({SAMPLES}[10m]))")).first().map_or(0.0, |(_, sum)| *sum)
    };
    wait::until(&format!("Prometheus to have seen {count} samples"), seen, |seen| *seen >= count as f64);
    let most = prometheus.query(&format!("max_over_time(count({SAMPLES})[10m:1s])"));
    assert_eq!(most[0].1, (MAX_SERIES + 1) as f64);
    // Each of our executables ran once. Another of this machine may return after its series has ended, which is a
    // reset.
    let ours = format!(r#"process_executable_path=~"{}/.*""#, dir.path().display());
    let others = r#"process_executable_name="other""#.to_owned();
    let selectors = [SAMPLES, CPU].map(|name| [format!("{name}{{{ours}}}"), format!("{name}{{{others}}}")]);
    for selector in selectors.into_iter().flatten().chain(["profile_lost_records_total".to_owned()]) {
        let resets = prometheus.query(&format!("max(resets({selector}[10m]))"));
        assert_eq!(resets[0].1, 0.0, "a counter of {selector} went down");
    }
    let lost = prometheus.query("count(profile_lost_records_total)");
    assert!(lost[0].1 >= 10.0, "each reason has its series: {lost:?}");
    // The exporter acks the end of the stream when its port is free.
    let _outcome = agent.stop();
    assert!(http::get(port, "/metrics").is_err());
}

const JOBS: usize = 10;
/// Most rounds of jobs until Prometheus has had an answer to each scrape of one. An answer that comes too late is lost,
/// and with it the 0 that a series begins at.
const ROUNDS: usize = 5;

/// The time of the last scrape, in seconds since the Unix epoch; 0 before the first.
fn last_scrape(prometheus: &Prometheus) -> f64 {
    // Of a bare selector, since of any other expression the time is that of the query.
    let times = prometheus.query(&format!("timestamp(up{{job=\"{JOB}\"}})"));
    times.first().map_or(0.0, |(_, time)| *time)
}

/// Runs jobs of a second each, one after the other, each an executable of its own. Returns the CPU time that all have
/// used.
fn run_jobs(payload: &Path, dir: &Path) -> Duration {
    fs::create_dir(dir).expect("a directory is made");
    let paths: Vec<PathBuf> = (0..JOBS).map(|job| dir.join(format!("job-{job}"))).collect();
    let used = paths.iter().flat_map(|path| {
        fs::hard_link(payload, path).expect("a link is made");
        Burner::start(path, &[Step::Cpu(Duration::from_secs(1))]).finish()
    });
    used.sum()
}

/// Ten jobs that each end between two scrapes have used ten seconds, by Prometheus' own `increase`: a series that began
/// at its whole value would have grown by nothing.
#[test]
#[ignore = "needs root: loads BPF programs; and tests/setup.sh"]
fn prometheus_finds_the_cpu_time_of_jobs_that_are_shorter_than_its_interval() {
    let _alone = alone();
    let port = workspace::free_port();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let payload = dir.path().join("payload");
    program::compile(&payload, "0123456789abcdef");
    let exporter = json!({ "endpoint": format!("127.0.0.1:{port}") });
    let _agent = Setup::new().samples_per_second(RATE).exporter("prometheus", exporter).start();
    let prometheus = Prometheus::start(port, &[]);
    wait::until("the first scrape", || last_scrape(&prometheus), |time| *time > 0.0);
    for round in 0..ROUNDS {
        let begin = last_scrape(&prometheus);
        let dir = dir.path().join(format!("round-{round}"));
        let used = run_jobs(&payload, &dir).as_secs_f64();
        let series = format!(r#"{CPU}{{process_executable_path=~"{}/.*"}}"#, dir.display());
        // Of the last scrape, so that `increase` has nothing to extrapolate: not to the end of its range, which is that
        // scrape, nor to the begin, since no counter is less than the 0 that it begins at.
        let look = || {
            let at = last_scrape(&prometheus);
            let one =
                |expression: String| prometheus.query(&expression).first().map_or(0.0, |(_, value)| *value);
            (
                at,
                one(format!("sum({series} @ {at:.3})")),
                one(format!("sum(increase({series}[1h] @ {at:.3}))")),
            )
        };
        let what = format!("Prometheus to have scraped what ten jobs have used, {used} s");
        let (at, total, increase) =
            wait::until_within(LONGEST, &what, look, |(_, total, _)| *total > 0.95 * used);
        println!("{used} s used, {total} s scraped, increase {increase} s");
        let answered = format!("min_over_time(up{{job=\"{JOB}\"}}[{:.0}s] @ {at:.3})", at - begin + 1.0);
        if prometheus.query(&answered).iter().any(|(_, up)| *up < 1.0) {
            continue;
        }
        assert!((increase - total).abs() < 1e-6 * total, "{increase} s of {total} s have come to `increase`");
        assert!((increase - used).abs() < 0.05 * used, "{increase} s of {used} s");
        return;
    }
    panic!("no round of {ROUNDS} without a scrape that failed");
}
