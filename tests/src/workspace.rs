//! Places of files, and builds of programs that tests need.

use std::collections::VecDeque;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::port::KeptPort;

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

/// Most ports that are kept at a time: more than any test has in use, and fewer than the files that a process may have
/// open.
const MOST_KEPT: usize = 256;

/// A free TCP port of the loopback interface, which the kernel gives to nobody else. A connection is refused until its
/// user listens there.
///
/// # Panics
/// If no port is free.
#[must_use]
pub fn free_port() -> u16 {
    static KEPT: Mutex<VecDeque<KeptPort>> = Mutex::new(VecDeque::new());
    let port = KeptPort::new().expect("a port is free");
    let number = port.number();
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() == MOST_KEPT {
        kept.pop_front();
    }
    kept.push_back(port);
    number
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::ErrorKind;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_port_is_given_once_refuses_connections_and_can_be_listened_on() {
        let ports: BTreeSet<_> = (0..20).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 20, "each is another: {ports:?}");
        for port in ports {
            let address = (Ipv4Addr::LOCALHOST, port);
            let refused = TcpStream::connect(address).expect_err("nobody listens");
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            let listener = TcpListener::bind(address).expect("it is ours to use");
            TcpStream::connect(address).expect("somebody listens");
            let taken = TcpListener::bind(address).expect_err("it is in use");
            assert_eq!(taken.kind(), ErrorKind::AddrInUse);
            drop(listener);
        }
    }
}
