//! A real OpenTelemetry Collector that writes the requests that it receives to files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::otlp::OtlpFile;
use crate::overlay::merge;
use crate::workspace;

/// Time that our exporters wait for an answer by default: on a busy machine the Collector may be slow, and an attempt
/// that is repeated would be logged as a failure.
const TIMEOUT: &str = "60s";

/// The protocol of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP.
    Http,
}

/// The security of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// No TLS.
    Plain,
    /// TLS, with a certificate for `localhost` by an authority of its own.
    Tls,
    /// TLS, and the agent must present a certificate of the same authority.
    Mutual,
}

/// A receiver of the Collector, with a file of its own behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The protocol of the lane.
    pub protocol: Protocol,
    /// The security of the lane.
    pub security: Security,
}

impl Lane {
    /// A lane without TLS.
    #[must_use]
    pub fn plain(protocol: Protocol) -> Self {
        Self { protocol, security: Security::Plain }
    }
}

/// A running Collector: OTLP in by each of its lanes, files of JSON lines out.
#[derive(Debug)]
pub struct Collector {
    daemon: Daemon,
    lanes: Vec<(Lane, u16)>,
    dir: TempDir,
}

impl Collector {
    /// Starts a Collector with a single lane: gRPC without TLS.
    ///
    /// # Panics
    /// If the Collector is not built or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::with_lanes(&[Lane::plain(Protocol::Grpc)])
    }

    /// Starts a Collector with these lanes.
    ///
    /// # Panics
    /// If the Collector is not built or does not start.
    #[must_use]
    pub fn with_lanes(lanes: &[Lane]) -> Self {
        Self::with_pipelines("profiles", lanes)
    }

    /// Starts a Collector with these lanes that has pipelines for traces only, and none for profiles.
    ///
    /// # Panics
    /// If the Collector is not built or does not start.
    #[must_use]
    pub fn without_profiles(lanes: &[Lane]) -> Self {
        Self::with_pipelines("traces", lanes)
    }

    fn with_pipelines(signal: &str, lanes: &[Lane]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        write_certificates(dir.path());
        let lanes: Vec<_> = lanes.iter().map(|&lane| (lane, workspace::free_port())).collect();
        let config = config(dir.path(), signal, &lanes);
        // JSON is valid YAML.
        fs::write(dir.path().join("collector.yaml"), config.to_string())
            .expect("the Collector's configuration is written");
        Self { daemon: launch(dir.path()), lanes, dir }
    }

    fn lane(&self, index: usize) -> (Lane, u16) {
        *self.lanes.get(index).expect("a lane of this Collector")
    }

    /// Address of the Collector's first lane: `localhost:PORT`.
    ///
    /// # Panics
    /// If the Collector has no lane.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("localhost:{}", self.lane(0).1)
    }

    /// The certificate of the authority that vouches for the Collector, if its first lane has TLS.
    ///
    /// # Panics
    /// If the Collector has no lane.
    #[must_use]
    pub fn ca_file(&self) -> Option<PathBuf> {
        (self.lane(0).0.security != Security::Plain).then(|| self.dir.path().join("ca.pem"))
    }

    /// Id and configuration of an exporter to lane `index`, with `keys` beside those that the lane demands.
    ///
    /// # Panics
    /// If there is no such lane.
    #[must_use]
    pub fn exporter(&self, index: usize, keys: &Value) -> (String, Value) {
        let (lane, port) = self.lane(index);
        let file = |name| self.dir.path().join(name);
        let (kind, scheme) = match (lane.protocol, lane.security) {
            (Protocol::Grpc, _) => ("otlp_grpc", ""),
            (Protocol::Http, Security::Plain) => ("otlp_http", "http://"),
            (Protocol::Http, _) => ("otlp_http", "https://"),
        };
        let tls = match lane.security {
            Security::Plain => json!({ "insecure": true }),
            Security::Tls => json!({ "ca_file": file("ca.pem") }),
            Security::Mutual => json!({
                "ca_file": file("ca.pem"),
                "cert_file": file("client.pem"),
                "key_file": file("client-key.pem"),
            }),
        };
        let mut config =
            json!({ "endpoint": format!("{scheme}localhost:{port}"), "tls": tls, "timeout": TIMEOUT });
        merge(&mut config, keys);
        (format!("{kind}/{index}"), config)
    }

    /// Stops the Collector by SIGINT, then runs `meanwhile`, and starts it again with the same lanes. Requests that it
    /// received before are kept.
    ///
    /// # Panics
    /// If the Collector fails.
    #[must_use]
    pub fn restart(self, meanwhile: impl FnOnce()) -> Self {
        let Self { daemon, lanes, dir } = self;
        end(daemon);
        meanwhile();
        Self { daemon: launch(dir.path()), lanes, dir }
    }

    /// Stops the Collector and reads the requests that its first lane received.
    ///
    /// # Panics
    /// If the Collector fails, or its file has something else than profiles.
    #[must_use]
    pub fn stop(self) -> OtlpFile {
        self.stop_all().remove(0)
    }

    /// Stops the Collector and reads the requests that each lane received.
    ///
    /// # Panics
    /// If the Collector fails, or a file has something else than profiles.
    #[must_use]
    pub fn stop_all(self) -> Vec<OtlpFile> {
        end(self.daemon);
        let read = |index| OtlpFile::read(&received(self.dir.path(), index));
        (0..self.lanes.len())
            .map(|index| read(index).expect("the Collector has written OTLP profiles"))
            .collect()
    }
}

fn launch(dir: &Path) -> Daemon {
    let mut command = Command::new(workspace::file("collector/otelcol"));
    command.arg("--config").arg(dir.join("collector.yaml")).arg("--feature-gates=service.profilesSupport");
    let daemon = Daemon::start("the Collector", &mut command);
    daemon.wait_for_log("Everything is ready.");
    daemon
}

fn end(daemon: Daemon) {
    daemon.signal(Signal::INT);
    daemon.wait().assert_code(0);
}

fn received(dir: &Path, index: usize) -> PathBuf {
    dir.join(format!("received-{index}.jsonl"))
}

fn config(dir: &Path, signal: &str, lanes: &[(Lane, u16)]) -> Value {
    let (mut receivers, mut exporters, mut pipelines) = (Map::new(), Map::new(), Map::new());
    for (index, (lane, port)) in lanes.iter().enumerate() {
        let (cert, key) = (dir.join("server.pem"), dir.join("server-key.pem"));
        let tls = match lane.security {
            Security::Plain => Value::Null,
            Security::Tls => json!({ "cert_file": cert, "key_file": key }),
            Security::Mutual => {
                json!({ "cert_file": cert, "key_file": key, "client_ca_file": dir.join("ca.pem") })
            }
        };
        let protocol = match lane.protocol {
            Protocol::Grpc => "grpc",
            Protocol::Http => "http",
        };
        let listen = json!({ "endpoint": format!("127.0.0.1:{port}"), "tls": tls });
        receivers.insert(format!("otlp/{index}"), json!({ "protocols": { protocol: listen } }));
        // Appended, so that a restart keeps earlier requests.
        let file = json!({ "path": received(dir, index), "append": true, "flush_interval": "200ms" });
        exporters.insert(format!("file/{index}"), file);
        let pipeline =
            json!({ "receivers": [format!("otlp/{index}")], "exporters": [format!("file/{index}")] });
        pipelines.insert(format!("{signal}/{index}"), pipeline);
    }
    json!({
        "receivers": receivers,
        "exporters": exporters,
        "service": { "pipelines": pipelines, "telemetry": { "metrics": { "level": "none" } } },
    })
}

/// Writes the certificates of an authority, of the Collector as `localhost`, and of the agent.
fn write_certificates(dir: &Path) {
    let write = |name: &str, text: String| fs::write(dir.join(name), text).expect("a certificate is written");
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("no name is a good one");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = || KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key()).expect("a certificate");
    write("ca.pem", authority.pem());
    for (file, name) in [("server", "localhost"), ("client", "agent")] {
        let (key, params) = (key(), CertificateParams::new([name.to_owned()]).expect("a good name"));
        write(&format!("{file}.pem"), params.signed_by(&key, &authority).expect("a certificate").pem());
        write(&format!("{file}-key.pem"), key.serialize_pem());
    }
}
