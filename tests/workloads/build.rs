//! Compiles the programs in C: small and static, so that starting a process costs little.

use std::path::Path;
use std::process::Command;
use std::{env, process};

/// Options of static programs, so that little runs before main; with frame pointers, so that their stacks can be
/// walked.
const FLAGS: [&str; 6] =
    ["-O2", "-static", "-fno-omit-frame-pointer", "-Wall", "-Wextra", "-Wl,--build-id=sha1"];
/// Options of a program without a C library, and with a build ID that `hostile/common.c` finds and replaces.
const TINY_FLAGS: [&str; 8] = [
    "-O2",
    "-static",
    "-nostdlib",
    "-fno-stack-protector",
    "-fno-pie",
    "-no-pie",
    "-Wall",
    "-Wl,--build-id=0x7e571d000102030405060708090a0b0c0d0e0f10",
];

fn main() {
    println!("cargo::rerun-if-changed=c");
    println!("cargo::rerun-if-env-changed=CC");
    compile("burn", &["burn.c", "work.c"], &FLAGS);
    compile("launch", &["launch.c", "plan.c", "entry.c", "work.c"], &FLAGS);
    let hostile = ["main.c", "common.c", "files.c", "processes.c", "fuse.c", "lists.c"]
        .map(|name| format!("hostile/{name}"));
    compile("hostile", &hostile, &FLAGS);
    compile("tiny", &["hostile/tiny.c"], &TINY_FLAGS);
}

/// Compiles `c/SOURCES` to `$OUT_DIR/PROGRAM`.
fn compile(program: &str, sources: &[impl AsRef<Path>], flags: &[&str]) {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let out = env::var("OUT_DIR").unwrap_or_default();
    let status = Command::new(&compiler)
        .args(flags)
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
