//! Starts the agent, watches it and stops it.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Signal, kill_process};

use crate::port::KeptPort;

/// The agent's line in its log once it samples.
const READY: &str = "Everything is ready.";
/// The longest time of a start: on a machine where much else is at work the kernel takes its time to verify the
/// programs.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest time of an end: longer than the agent may take to deliver its last windows, however little CPU time a
/// storm leaves it.
const STOP_TIMEOUT: Duration = Duration::from_secs(120);

/// Settings of a run of the agent.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// The agent's program.
    pub binary: PathBuf,
    /// The directory of the agent's configuration, output and log.
    pub dir: PathBuf,
    /// Samples a second and CPU.
    pub hz: u32,
    /// Length of a profile.
    pub window: Duration,
    /// Loopback port to which the agent exports by OTLP too.
    pub otlp_port: Option<u16>,
    /// The stages that the agent runs.
    pub stages: Stages,
}

/// The stages of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stages {
    /// The stages that a profile takes: processes by name, and a file.
    Few,
    /// All stages of the default configuration: names of functions, the page, `top` and a table.
    Default,
}

/// A running agent, which is killed if the value is dropped.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    dir: PathBuf,
    /// The ports of the agent's metrics and of its page, which nobody else gets.
    ports: [KeptPort; 2],
}

/// The cost of a process so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time.
    pub cpu: Duration,
    /// Resident memory, bytes.
    pub rss: u64,
    /// The most resident memory so far, bytes.
    pub peak_rss: u64,
}

/// The reason why there is no agent, or no good end of it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the text of each variant names its fields")]
pub enum AgentError {
    /// A file of the agent's could not be made or read.
    #[error("{path}")]
    File { path: PathBuf, source: io::Error },
    /// The agent ended, or did not report that it samples.
    #[error("the agent {what}; its log:\n{log}")]
    Failed {
        /// The agent's failure in words.
        what: String,
        /// The beginning of the agent's log.
        log: String,
    },
}

impl Agent {
    /// Starts the agent and waits until it samples.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn start(settings: &AgentSettings) -> Result<Self, AgentError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| AgentError::File { path, source }
        };
        let dir = settings.dir.clone();
        let (config, log) = (dir.join("agent.yaml"), dir.join("agent.log"));
        let ports = [KeptPort::new().map_err(at(&config))?, KeptPort::new().map_err(at(&config))?];
        let [metrics_port, page_port] = ports.each_ref().map(KeptPort::number);
        fs::write(&config, yaml(settings, metrics_port, page_port)).map_err(at(&config))?;
        let stderr = File::create(&log).map_err(at(&log))?;
        let child = Command::new(&settings.binary)
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .map_err(at(&settings.binary))?;
        let mut agent = Self { child, dir, ports };
        let deadline = Instant::now() + START_TIMEOUT;
        while !agent.log().contains(READY) {
            if let Ok(Some(status)) = agent.child.try_wait() {
                return Err(agent.failed(&format!("did not start ({status})")));
            }
            if Instant::now() > deadline {
                return Err(agent.failed("is not ready"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(agent)
    }

    /// The agent's pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The agent's log so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("agent.log")).unwrap_or_default()
    }

    /// The agent's profiles, as OTLP JSON lines; complete once the agent has stopped.
    #[must_use]
    pub fn profiles(&self) -> PathBuf {
        self.dir.join("profiles.jsonl")
    }

    /// The agent's cost so far; zeros if it is gone.
    #[must_use]
    pub fn usage(&self) -> Usage {
        usage(self.pid())
    }

    /// The agent's metrics as Prometheus text.
    ///
    /// # Errors
    /// Errors of the connection.
    pub fn metrics(&self) -> io::Result<String> {
        let [metrics, _page] = &self.ports;
        let mut stream = TcpStream::connect(("127.0.0.1", metrics.number()))?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Value of a metric without labels; `None` if there is none.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<f64> {
        let text = self.metrics().ok()?;
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// Stops the agent for a while, as an overloaded machine would.
    pub fn suspend(&self, span: Duration) {
        self.signal(Signal::STOP);
        thread::sleep(span);
        self.signal(Signal::CONT);
    }

    /// Lets the agent drain and end.
    ///
    /// # Errors
    /// [`AgentError::Failed`] if the agent does not end in time, or not well.
    pub fn stop(mut self) -> Result<(), AgentError> {
        self.signal(Signal::INT);
        let deadline = Instant::now() + STOP_TIMEOUT;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(self.failed(&format!("ended badly ({status})"))),
                _ if Instant::now() > deadline => return Err(self.failed("does not stop")),
                _ => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid().cast_signed()) {
            let _gone = kill_process(pid, signal);
        }
    }

    fn failed(&self, what: &str) -> AgentError {
        // A verifier's log, say, is longer than anybody wants to read here.
        let log: Vec<String> =
            self.log().lines().take(20).map(|line| line.chars().take(400).collect()).collect();
        AgentError::Failed { what: what.to_owned(), log: log.join("\n") }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _gone = self.child.kill();
            let _gone = self.child.wait();
        }
    }
}

/// The cost of a process so far; zeros if it is gone. Source: proc(5), `stat` and `status`.
#[must_use]
pub fn usage(pid: u32) -> Usage {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before the last parenthesis may hold anything; utime and stime are the 12th and 13th field after it.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Usage {
        cpu: Duration::from_millis(ticks * 1_000 / clock_ticks_per_second().max(1)),
        rss: kib("VmRSS:").unwrap_or_default() * 1024,
        peak_rss: kib("VmHWM:").unwrap_or_default() * 1024,
    }
}

fn yaml(settings: &AgentSettings, metrics_port: u16, page_port: u16) -> String {
    let path = settings.dir.join("profiles.jsonl").display().to_string();
    let window = settings.window.as_millis();
    let (otlp, exporters) = match settings.otlp_port {
        // The bound is longer than any stall that is tried: the server is to end it.
        Some(port) => (
            format!(
                "\n  otlp: {{ endpoint: 127.0.0.1:{port}, tls: {{ insecure: true }}, timeout: 120s, window: 1s }}"
            ),
            "file, otlp",
        ),
        None => (String::new(), "file"),
    };
    let (processors, more, names) = match settings.stages {
        Stages::Few => ("[procinfo]", String::new(), ""),
        Stages::Default => (
            "[procinfo, symbolizer]",
            format!(
                "\n  debug: {{ verbosity: normal }}\n  top: {{ endpoint: {:?} }}\n  flamegraph: {{ endpoint: 127.0.0.1:{page_port} }}",
                settings.dir.join("top.sock").display().to_string(),
            ),
            ", debug, top, flamegraph",
        ),
    };
    format!(
        "receivers: {{ ebpf: {{ samples_per_second: {hz} }} }}
processors: {{ procinfo: {{}}, symbolizer: {{}} }}
exporters:
  file: {{ path: {path:?}, window: {window}ms }}{otlp}{more}
service:
  shutdown_timeout: 30s
  pipelines: {{ profiles: {{ receivers: [ebpf], processors: {processors}, exporters: [{exporters}{names}] }} }}
  telemetry:
    metrics: {{ readers: [ {{ pull: {{ exporter: {{ prometheus: {{ host: 127.0.0.1, port: {metrics_port} }} }} }} }} ] }}
    logs: {{ level: info }}
",
        hz = settings.hz,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_has_used_memory_and_one_that_does_not_nothing() {
        let own = usage(std::process::id());
        assert!(own.rss > 0 && own.peak_rss >= own.rss);
        assert_eq!(usage(u32::MAX), Usage::default());
    }
}
