//! A real OpenTelemetry Collector that writes down what it receives.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::otlp::OtlpFile;
use crate::workspace;

/// A running Collector: OTLP by gRPC in, a file of JSON lines out.
#[derive(Debug)]
pub struct Collector {
    daemon: Daemon,
    port: u16,
    dir: TempDir,
    ca_file: Option<PathBuf>,
}

impl Collector {
    /// Starts one that speaks plaintext.
    ///
    /// # Panics
    /// If it is not built or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::launch(tempdir(), None, Value::Null)
    }

    /// Starts one that speaks TLS, with a certificate for `localhost` of an authority of its own.
    ///
    /// # Panics
    /// If it is not built or does not start.
    #[must_use]
    pub fn start_tls() -> Self {
        let dir = tempdir();
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        fs::write(&cert, certified.cert.pem()).expect("the certificate is written");
        fs::write(&key, certified.signing_key.serialize_pem()).expect("the key is written");
        let tls = json!({ "cert_file": cert, "key_file": key });
        Self::launch(dir, Some(cert), tls)
    }

    fn launch(dir: TempDir, ca_file: Option<PathBuf>, tls: Value) -> Self {
        let port = workspace::free_port();
        let config = json!({
            "receivers": { "otlp": { "protocols": { "grpc": {
                "endpoint": format!("127.0.0.1:{port}"),
                "tls": tls,
            } } } },
            "exporters": { "file": { "path": received(&dir), "flush_interval": "200ms" } },
            "service": {
                "pipelines": { "profiles": { "receivers": ["otlp"], "exporters": ["file"] } },
                "telemetry": { "metrics": { "level": "none" } },
            },
        });
        let path = dir.path().join("collector.yaml");
        // JSON is YAML.
        fs::write(&path, config.to_string()).expect("the Collector's configuration is written");
        let mut command = Command::new(workspace::file("collector/otelcol"));
        command.arg("--config").arg(path).arg("--feature-gates=service.profilesSupport");
        let daemon = Daemon::start("the Collector", &mut command);
        daemon.wait_for_log("Everything is ready.");
        Self { daemon, port, dir, ca_file }
    }

    /// Where it listens: `localhost:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The authority that vouches for it, if it speaks TLS.
    #[must_use]
    pub fn ca_file(&self) -> Option<&PathBuf> {
        self.ca_file.as_ref()
    }

    /// Stops it and reads what it received.
    ///
    /// # Panics
    /// If it fails, or has written something else than profiles.
    #[must_use]
    pub fn stop(self) -> OtlpFile {
        self.daemon.signal(Signal::INT);
        self.daemon.wait().assert_code(0);
        OtlpFile::read(&received(&self.dir)).expect("the Collector has written OTLP profiles")
    }
}

fn received(dir: &TempDir) -> PathBuf {
    dir.path().join("received.jsonl")
}

fn tempdir() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}
