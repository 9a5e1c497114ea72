//! Compiles the payload and the launcher: small static C programs, so that starting a process costs little.

use std::path::Path;
use std::process::Command;
use std::{env, process};

fn main() {
    println!("cargo::rerun-if-changed=c");
    println!("cargo::rerun-if-env-changed=CC");
    compile("burn", &["burn.c", "work.c"]);
    compile("launch", &["launch.c", "plan.c", "entry.c", "work.c"]);
}

/// Compiles `c/SOURCES` to `$OUT_DIR/PROGRAM`.
fn compile(program: &str, sources: &[&str]) {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let out = env::var("OUT_DIR").unwrap_or_default();
    let status = Command::new(&compiler)
        // Static, so that little runs before main; frame pointers, so that its stacks can be walked.
        .args(["-O2", "-static", "-fno-omit-frame-pointer", "-Wall", "-Wextra", "-Wl,--build-id=sha1"])
        .args(sources.iter().map(|source| Path::new("c").join(source)))
        .arg("-o")
        .arg(Path::new(&out).join(program))
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => fail(&format!("{compiler} could not compile {program}: {status}")),
        Err(error) => fail(&format!(
            "cannot run {compiler}: {error}; install a C compiler (Debian: apt install gcc libc6-dev)"
        )),
    }
}

fn fail(message: &str) -> ! {
    println!("cargo::error={message}");
    process::exit(1);
}
