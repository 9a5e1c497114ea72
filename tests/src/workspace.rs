//! Places of files, and builds of programs that tests need.

use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The command that sets up the Collector and the Python environment.
pub(crate) const SETUP: &str = "run tests/setup.sh (`make test` does)";

/// A file of this package, by its path in `tests/`.
///
/// # Panics
/// If the file does not exist; the message says how to make it.
#[must_use]
pub fn file(path: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    assert!(file.exists(), "no {}: {SETUP}", file.display());
    file
}

/// The directory of this build's output, such as `target/debug`.
///
/// # Panics
/// If this program was not built by cargo.
#[must_use]
pub fn output() -> PathBuf {
    let program = env::current_exe().expect("a program has a path");
    // target/PROFILE/deps/suite-HASH
    program.ancestors().nth(2).expect("cargo builds tests in PROFILE/deps").to_owned()
}

/// The Python with the independent reader's packages.
///
/// # Panics
/// If the Python does not exist; the message says how to make it.
#[must_use]
pub fn python() -> PathBuf {
    let python = output().join("../venv/bin/python");
    assert!(python.exists(), "no {}: {SETUP}", python.display());
    python
}

/// The agent's binary: `PIPELINE_BIN` if that is set; else the binary is built once, in the profile of this test.
///
/// # Panics
/// If the agent does not build; cargo has then printed the errors.
#[must_use]
pub fn pipeline() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| env::var_os("PIPELINE_BIN").map_or_else(build_pipeline, PathBuf::from))
}

fn build_pipeline() -> PathBuf {
    let output = output();
    let profile = match output.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    // The features are the whole workspace's, as `cargo test --workspace` has built them: otherwise the same
    // dependencies would be built twice.
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--quiet",
            "--workspace",
            "--bin",
            "pipeline",
            "--profile",
            profile,
            "--manifest-path",
        ])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"))
        .arg("--target-dir")
        .arg(output.join(".."))
        .status()
        .expect("cargo starts");
    assert!(status.success(), "cargo could not build the agent ({status}): see above");
    output.join("pipeline")
}

/// A free TCP port of the loopback interface.
///
/// # Panics
/// If no port is free.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("a listener has an address").port()
}
