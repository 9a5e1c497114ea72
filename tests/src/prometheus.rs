//! A real Prometheus that scrapes an agent, and `promtool`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::{http, workspace};

/// The name of the job, which the shipped rules refer to.
pub const JOB: &str = "pipeline";

/// Time between two scrapes, and the longest time that an answer may take: an agent on a busy machine needs more than a
/// second.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    daemon: Daemon,
    port: u16,
    _dir: TempDir,
}

/// One series of a query's answer: its labels, and its value.
pub type Sample = (BTreeMap<String, String>, f64);

impl Prometheus {
    /// Starts a Prometheus that scrapes `port` every [`INTERVAL`], as job [`JOB`], and evaluates the files of `rules`
    /// each second.
    ///
    /// # Panics
    /// If Prometheus is not installed or does not start.
    #[must_use]
    pub fn start(port: u16, rules: &[&Path]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let config = json!({
            "global": {
                "scrape_interval": format!("{}s", INTERVAL.as_secs()),
                "evaluation_interval": "1s",
            },
            "rule_files": rules,
            "scrape_configs": [{
                "job_name": JOB,
                "static_configs": [{ "targets": [format!("127.0.0.1:{port}")] }],
            }],
        });
        let path = dir.path().join("prometheus.yaml");
        // JSON is valid YAML.
        fs::write(&path, config.to_string()).expect("Prometheus' configuration is written");
        let own_port = workspace::free_port();
        let mut command = Command::new(program("prometheus"));
        command
            .current_dir(dir.path())
            .arg("--config.file")
            .arg(path)
            .arg("--storage.tsdb.path")
            .arg(dir.path().join("data"));
        command.arg(format!("--web.listen-address=127.0.0.1:{own_port}"));
        let daemon = Daemon::start("Prometheus", &mut command);
        daemon.wait_for_log("Server is ready to receive web requests.");
        Self { daemon, port: own_port, _dir: dir }
    }

    /// The present value of an expression.
    ///
    /// # Panics
    /// If Prometheus refuses the expression.
    #[must_use]
    pub fn query(&self, expression: &str) -> Vec<Sample> {
        let data = self.api(&format!("query?query={}", http::encoded(expression)));
        let result = data.pointer("/result").and_then(Value::as_array).expect("a vector");
        let sample = |sample: &Value| {
            let labels = serde_json::from_value(sample.get("metric").cloned().unwrap_or_default())
                .expect("labels are text");
            let value = sample.pointer("/value/1").and_then(Value::as_str).expect("a value is text");
            (labels, value.parse().expect("a value is a number"))
        };
        result.iter().map(sample).collect()
    }

    /// The data of `/api/v1/PATH`.
    ///
    /// # Panics
    /// If Prometheus refuses the request.
    #[must_use]
    pub fn api(&self, path: &str) -> Value {
        let answer = http::get(self.port, &format!("/api/v1/{path}")).expect("Prometheus answers");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let mut answer: Value = serde_json::from_str(&answer.body).expect("Prometheus answers in JSON");
        answer.get_mut("data").map(Value::take).unwrap_or_default()
    }

    /// The process of Prometheus.
    #[must_use]
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }
}

/// Runs `promtool` with `input`.
///
/// # Errors
/// The output of `promtool`, if it exits with another code than 0.
///
/// # Panics
/// If `promtool` is not installed or does not run.
pub fn promtool(args: &[&str], input: &str) -> Result<(), String> {
    let mut child = Command::new(program("promtool"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let mut stdin = child.stdin.take().expect("it was asked for");
    // `promtool` reads all its input before it writes.
    std::io::Write::write_all(&mut stdin, input.as_bytes()).expect("promtool reads");
    drop(stdin);
    let output = child.wait_with_output().expect("promtool ends");
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    if output.status.success() { Ok(()) } else { Err(said) }
}

fn program(name: &str) -> PathBuf {
    let program = workspace::output().join("../prometheus").join(name);
    assert!(program.exists(), "no {}: {}", program.display(), workspace::SETUP);
    program
}
