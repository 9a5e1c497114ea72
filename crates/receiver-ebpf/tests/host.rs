//! The parts of `ebpf/` that only read and compute, built for the host with stand-ins for the kernel's functions
//! (`ebpf/tests/stubs`), and run there under the address and undefined behaviour sanitizers.

use std::env;
use std::path::Path;
use std::process::Command;

/// Builds and runs a program of `ebpf/tests`, which exits with 1 and prints the differences if there are any.
fn passes(program: &str) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ebpf/tests");
    let directory = tempfile::tempdir().expect("there is room for a program");
    let built = directory.path().join(program);
    let compiler = env::var("CC").unwrap_or_else(|_unset| "cc".to_owned());
    let mut compile = Command::new(&compiler);
    compile.args(["-std=gnu11", "-O1", "-g", "-fsanitize=address,undefined", "-Wall", "-Werror"]);
    // A page of the kernel's may be read at any offset; some of what the headers define is for other programs.
    compile.args(["-fno-sanitize=alignment", "-Wno-unused", "-Wno-unknown-pragmas", "-Istubs", "-o"]);
    let output = compile
        .arg(&built)
        .arg(format!("{program}.c"))
        .current_dir(source)
        .output()
        .expect("the command starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Memory that a test allocates is freed with its process.
    let output =
        Command::new(&built).env("ASAN_OPTIONS", "detect_leaks=0").output().expect("the command starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_path_is_found_through_mounts_and_roots_and_cut_at_its_start() {
    passes("path");
}

#[test]
fn a_tick_is_missed_only_if_one_thread_ran_all_the_while() {
    passes("ticks");
}
