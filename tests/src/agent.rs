//! The agent: the real binary, with a configuration of the test's choice.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::collector::Collector;
use crate::daemon::{Daemon, Ended};
use crate::metrics::Metrics;
use crate::otlp::OtlpFile;
use crate::overlay::merge;
use crate::workspace;

/// Time that exporters have for the rest of their data at the end: less than [`PATIENCE`](crate::daemon::PATIENCE), for
/// which the agent's end is waited for, and enough for a machine that is busy.
const SHUTDOWN_TIMEOUT: &str = "50s";

/// The configuration, arguments and environment of an agent to be started.
#[derive(Debug)]
pub struct Setup {
    dir: TempDir,
    samples_per_second: u32,
    window: Duration,
    metrics_port: u16,
    file: PathBuf,
    exporters: Map<String, Value>,
    /// Configurations that are merged over all others, in this order.
    overlays: Vec<Value>,
    args: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    pid_namespace: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Setup {
    /// The default rate, windows of one second, and a file exporter only. Nothing is shared with another agent.
    ///
    /// # Panics
    /// If there is no place for temporary files.
    #[must_use]
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("profiles.jsonl");
        let metrics_port = workspace::free_port();
        let window = Duration::from_secs(1);
        Self {
            dir,
            samples_per_second: 19,
            window,
            metrics_port,
            file,
            exporters: Map::new(),
            overlays: Vec::new(),
            args: Vec::new(),
            environment: Vec::new(),
            pid_namespace: false,
        }
    }

    /// Sets the samples in each second of a CPU's time.
    #[must_use]
    pub fn samples_per_second(self, rate: u32) -> Self {
        Self { samples_per_second: rate, ..self }
    }

    /// Sets the length of a profile's window.
    #[must_use]
    pub fn window(self, window: Duration) -> Self {
        Self { window, ..self }
    }

    /// Sets the port that metrics are served on.
    #[must_use]
    pub fn metrics_port(self, port: u16) -> Self {
        Self { metrics_port: port, ..self }
    }

    /// Sets the file that profiles are written to.
    #[must_use]
    pub fn file(self, file: &Path) -> Self {
        Self { file: file.to_owned(), ..self }
    }

    /// Adds an exporter to `endpoint`, in plaintext.
    #[must_use]
    pub fn otlp(self, endpoint: &str) -> Self {
        self.otlp_exporter(json!({ "endpoint": endpoint, "tls": { "insecure": true } }))
    }

    /// Adds an exporter to a Collector, with TLS if the Collector's first lane has it.
    #[must_use]
    pub fn collector(self, collector: &Collector) -> Self {
        match collector.ca_file() {
            None => self.otlp(&collector.endpoint()),
            Some(ca) => {
                self.otlp_exporter(json!({ "endpoint": collector.endpoint(), "tls": { "ca_file": ca } }))
            }
        }
    }

    fn otlp_exporter(self, mut config: Value) -> Self {
        merge(&mut config, &json!({ "window": self.window_text() }));
        self.exporter("otlp", config)
    }

    /// Adds an exporter of this id and configuration.
    #[must_use]
    pub fn exporter(mut self, id: &str, config: Value) -> Self {
        self.exporters.insert(id.to_owned(), config);
        self
    }

    /// Merges `config` over everything: maps are merged key by key, a `null` removes its key, other values replace.
    #[must_use]
    pub fn with(mut self, config: Value) -> Self {
        self.overlays.push(config);
        self
    }

    /// Adds an argument of the agent, after those of this harness.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets a variable of the agent's environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Makes the agent the first process of a pid namespace of its own, with a `/proc` of that namespace.
    #[must_use]
    pub fn in_pid_namespace(self) -> Self {
        Self { pid_namespace: true, ..self }
    }

    /// Directory for further files of the test; removed with the agent.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn window_text(&self) -> String {
        format!("{}ms", self.window.as_millis())
    }

    /// A command that runs the agent with this setup.
    ///
    /// # Panics
    /// If the agent does not build, or its configuration cannot be written.
    #[must_use]
    pub fn command(&self) -> Command {
        self.write(&self.config());
        let mut command = if self.pid_namespace {
            let mut unshare = Command::new("unshare");
            unshare.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(workspace::pipeline());
            unshare
        } else {
            Command::new(workspace::pipeline())
        };
        command.arg("--config").arg(self.config_path()).args(&self.args);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn config_path(&self) -> PathBuf {
        self.dir.path().join("agent.yaml")
    }

    fn write(&self, config: &Value) {
        // JSON is valid YAML.
        fs::write(self.config_path(), config.to_string()).expect("the agent's configuration is written");
    }

    /// The configuration of this setup.
    #[must_use]
    pub fn config(&self) -> Value {
        let mut exporters = self.exporters.clone();
        exporters.insert("file".to_owned(), json!({ "path": self.file, "window": self.window_text() }));
        let reader = json!({ "pull": { "exporter": { "prometheus": {
            "host": "localhost",
            "port": self.metrics_port,
        } } } });
        let names: Vec<_> = exporters.keys().cloned().collect();
        let mut config = json!({
            "receivers": { "ebpf": { "samples_per_second": self.samples_per_second } },
            "processors": { "procinfo": {} },
            "exporters": exporters,
            "service": {
                "shutdown_timeout": SHUTDOWN_TIMEOUT,
                "pipelines": {
                    "profiles": { "receivers": ["ebpf"], "processors": ["procinfo"], "exporters": names },
                },
                "telemetry": { "metrics": { "readers": [reader] }, "logs": { "level": "info" } },
            },
        });
        self.overlays.iter().for_each(|overlay| merge(&mut config, overlay));
        config
    }

    /// Starts the agent and waits until it samples.
    ///
    /// # Panics
    /// If the agent does not start.
    #[must_use]
    pub fn start(self) -> Agent {
        let daemon = Daemon::start("the agent", &mut self.command());
        daemon.wait_for_log("Everything is ready.");
        Agent { daemon, setup: self }
    }
}

/// A running agent; killed if it is dropped.
#[derive(Debug)]
pub struct Agent {
    daemon: Daemon,
    setup: Setup,
}

/// The file, log and setup of an agent that has ended.
#[derive(Debug)]
pub struct Outcome {
    /// The requests that the agent's file exporter has written.
    pub file: OtlpFile,
    /// The lines of the agent's log.
    pub log: Vec<String>,
    setup: Setup,
}

impl Agent {
    /// The agent's metrics now.
    ///
    /// # Panics
    /// If the agent does not serve its metrics.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics::scrape(self.setup.metrics_port).expect("the agent serves metrics")
    }

    /// The whole lines that the agent's file exporter has written up to now.
    ///
    /// # Panics
    /// If the file has something else than profiles.
    #[must_use]
    pub fn file_so_far(&self) -> OtlpFile {
        OtlpFile::read_so_far(&self.setup.file).expect("the agent has written OTLP profiles")
    }

    /// The agent's pid in the test's namespace.
    ///
    /// # Panics
    /// If the agent has ended.
    #[must_use]
    pub fn pid(&self) -> u32 {
        let pid = self.daemon.pid();
        if !self.setup.pid_namespace {
            return pid;
        }
        // The pid is that of unshare(1), which waits for the agent.
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.expect("unshare runs as long as the agent");
        children.trim().parse().expect("the agent is the only child")
    }

    fn signal(&self, signal: Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid().cast_signed());
        rustix::process::kill_process(pid.expect("no process has the number 0"), signal)
            .expect("the agent runs");
    }

    /// The agent's process: log, output and signals.
    #[must_use]
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// The setup that the agent was started with.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Replaces the agent's configuration by `config`, which the agent reads when it gets SIGHUP.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn rewrite(&self, config: &Value) {
        self.setup.write(config);
    }

    /// Sends the agent `signal` and waits for its end, whatever its exit code.
    #[must_use]
    pub fn end_by(self, signal: Signal) -> Ended {
        self.signal(signal);
        self.end()
    }

    /// Waits for the end of an agent that has been asked to end by other means.
    #[must_use]
    pub fn end(self) -> Ended {
        self.daemon.wait()
    }

    /// Sends the agent `signal`, by which it must end well.
    ///
    /// # Panics
    /// If the agent exits with another code than 0, or its file has something else than profiles.
    #[must_use]
    pub fn stop_by(self, signal: Signal) -> Outcome {
        self.signal(signal);
        let Ended { status, out, log } = self.daemon.wait();
        Ended { status, out, log: log.clone() }.assert_code(0);
        let file = OtlpFile::read_if_any(&self.setup.file).expect("the agent has written OTLP profiles");
        Outcome { file, log, setup: self.setup }
    }

    /// The same as [`stop_by`](Self::stop_by), with SIGINT.
    #[must_use]
    pub fn stop(self) -> Outcome {
        self.stop_by(Signal::INT)
    }
}

impl Outcome {
    /// Path of the file that the agent has written; removed once this is dropped.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.setup.file
    }
}
