//! Facts of the machine that the agent runs on.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The root of the host's first process: its files are the host's even if this process is in a container.
const HOST_ROOT: &str = "/proc/1/root";
/// Most bytes read of a file of facts: such files are small, and a larger file is none of them.
const MAX_FILE: u64 = 1 << 20;

/// Facts of a machine. In a container they are those of the host, as far as they can be seen from there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// The machine's name.
    pub name: Option<String>,
    /// The machine's ID (machine-id(5)); if it has none, the ID of this boot, which no other machine has either.
    pub id: Option<String>,
    /// The processor's architecture, as OpenTelemetry names it.
    pub arch: String,
    /// Version of the operating system's distribution, else of the kernel.
    pub version: Option<String>,
    /// Name of the operating system with its version, for people.
    pub description: Option<String>,
}

impl HostFacts {
    /// Reads the facts. A fact that cannot be read is left out.
    #[must_use]
    pub fn read() -> Self {
        let release = read("etc/os-release").or_else(|| read("usr/lib/os-release")).unwrap_or_default();
        let kernel = kernel_text("osrelease");
        Self {
            name: host_name(),
            id: machine_id().or_else(boot_id),
            arch: architecture(std::env::consts::ARCH).to_owned(),
            version: release_value(&release, "VERSION_ID").or(kernel),
            description: release_value(&release, "PRETTY_NAME"),
        }
    }
}

/// Reads a file of the host; this process's own if the host's cannot be seen.
#[must_use]
pub fn read_host_file(path: &str) -> Option<Vec<u8>> {
    let read = |root: &str| {
        let mut bytes = Vec::new();
        let file = fs::File::open(PathBuf::from(root).join(path)).ok()?;
        file.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    };
    read(HOST_ROOT).or_else(|| read("/"))
}

fn read(path: &str) -> Option<String> {
    String::from_utf8(read_host_file(path)?).ok()
}

fn host_name() -> Option<String> {
    let namespace = |of: &str| fs::read_link(Path::new("/proc").join(of).join("ns/uts")).ok();
    // A container has a name of its own. No process in there sees the host's name by the kernel, but the host's file
    // can be read.
    let name = match (namespace("self"), namespace("1")) {
        (Some(own_namespace), Some(hosts)) if own_namespace != hosts => {
            read("etc/hostname").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
        }
        _ => None,
    };
    name.or_else(|| kernel_text("hostname")).filter(|name| name != "(none)")
}

fn machine_id() -> Option<String> {
    let id = read("etc/machine-id").or_else(|| read("var/lib/dbus/machine-id"))?;
    let id = id.trim();
    let valid = id.len() == 32
        && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        && id.bytes().any(|byte| byte != b'0');
    valid.then(|| id.to_ascii_lowercase())
}

fn boot_id() -> Option<String> {
    kernel_text("random/boot_id")
}

/// Reads a text of the kernel's, below `/proc/sys/kernel`.
fn kernel_text(name: &str) -> Option<String> {
    let text = fs::read_to_string(Path::new("/proc/sys/kernel").join(name)).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Names of architectures in OpenTelemetry's semantic conventions.
fn architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "x86",
        "arm" => "arm32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

/// A value of os-release(5).
fn release_value(release: &str, key: &str) -> Option<String> {
    let value = release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?.trim();
    let quoted = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_read_with_and_without_quotes() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID='12'\nVERSION=\n";
        assert_eq!(release_value(text, "PRETTY_NAME").as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(release_value(text, "VERSION_ID").as_deref(), Some("12"));
        assert_eq!((release_value(text, "VERSION"), release_value(text, "NAME")), (None, None));
    }

    #[test]
    fn this_host_has_a_name_and_an_id() {
        let host = HostFacts::read();
        assert!(host.name.is_some() && host.id.is_some_and(|id| id.len() >= 32), "no host is without");
        assert!(host.version.is_some());
    }
}
