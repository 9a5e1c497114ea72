//! Compiles the objects of `ebpf/` with clang. `CLANG` names another compiler than the usual ones.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

/// Sources of objects, without `.bpf.c`.
const OBJECTS: [&str; 4] = ["profiler", "identify", "symbols", "symbol_at"];
/// The version the objects are tested with, tried first.
const TESTED: &str = "clang-19";
/// The oldest version: older ones lack what the object needs of CO-RE, or are refused by aya (14).
const OLDEST: u32 = 16;
const INSTALL: &str = "install it with `apt-get install clang-19 libbpf-dev linux-libc-dev` or set CLANG";

fn main() {
    if let Err(reason) = compile() {
        eprintln!("error: cannot build the BPF object: {reason}");
        exit(1);
    }
}

fn compile() -> Result<(), String> {
    // Not `env!`: a build script that was built for one checkout may be reused by another.
    let manifest = env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?;
    let source = Path::new(&manifest).join("../../ebpf");
    println!("cargo::rerun-if-changed={}", source.display());
    println!("cargo::rerun-if-env-changed=CLANG");
    let clang = find_clang()?;
    OBJECTS.iter().try_for_each(|name| compile_object(&clang, &source, name))
}

fn compile_object(clang: &str, source: &Path, name: &str) -> Result<(), String> {
    let folder = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let arch = env::var("CARGO_CFG_TARGET_ARCH").map_err(|e| e.to_string())?;
    let output = Command::new(clang)
        .args(["-g", "-O2", "-target", "bpf", "-mcpu=v3", "-Wall", "-Wextra", "-Werror"])
        // BPF_PROG's generated wrappers leave the context unused.
        .arg("-Wno-unused-parameter")
        .arg(format!("-D__TARGET_ARCH_{}", kernel_arch(&arch)))
        .args(architecture_headers(&arch))
        .arg("-c")
        .arg(source.join(format!("{name}.bpf.c")))
        .arg("-o")
        .arg(folder.join(format!("{name}.bpf.o")))
        .output()
        .map_err(|e| format!("{clang}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    if text.contains("bpf_helpers.h' file not found") || text.contains("types.h' file not found") {
        return Err(format!("kernel or libbpf headers are missing: {INSTALL}"));
    }
    Err(format!("{clang} failed:\n{text}"))
}

/// The folder of the target's <asm/types.h>, which clang searches for no bpf target: Debian's for the machine's own
/// architecture, or that of its packages for another (libc6-dev-arm64-cross).
fn architecture_headers(arch: &str) -> Option<String> {
    let folders = [format!("/usr/include/{arch}-linux-gnu"), format!("/usr/{arch}-linux-gnu/include")];
    let found = folders.iter().find(|folder| Path::new(folder).join("asm/types.h").exists());
    found.map(|folder| format!("-I{folder}"))
}

fn find_clang() -> Result<String, String> {
    let candidates = match env::var("CLANG") {
        Ok(named) => vec![named],
        Err(_unset) => vec![TESTED.to_owned(), "clang".to_owned()],
    };
    let mut too_old = None;
    for clang in candidates {
        match major_version(&clang) {
            Some(version) if version >= OLDEST => return Ok(clang),
            Some(version) => {
                too_old = Some(format!("{clang} is version {version}, {OLDEST} is the oldest that works"))
            }
            None => {}
        }
    }
    Err(format!("{}: {INSTALL}", too_old.unwrap_or_else(|| "no clang found".to_owned())))
}

fn major_version(clang: &str) -> Option<u32> {
    let output = Command::new(clang).arg("-dumpversion").output().ok()?;
    String::from_utf8_lossy(&output.stdout).split('.').next()?.trim().parse().ok()
}

/// The name that libbpf's headers use for an architecture.
fn kernel_arch(arch: &str) -> &str {
    match arch {
        "x86_64" => "x86",
        "aarch64" => "arm64",
        other => other,
    }
}
