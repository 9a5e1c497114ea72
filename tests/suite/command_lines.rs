//! Command lines, and what is learnt of them: arguments without secrets, and what the service of an interpreter is
//! called.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use tests::agent::{Agent, Setup};
use tests::otlp::{Resource, Value};
use tests::{validator, workspace};

use crate::alone;

const RATE: u32 = 997;
/// Samples of a program that uses 300 ms, of which chance and a busy machine may take some: 299 are expected.
const ENOUGH: u64 = 150;
/// Python that uses as much CPU time, with a thread of another name where the kernel shows it.
const WORK: &str = "import time\nwhile time.process_time() < 0.3: sum(range(1000))\n";
/// Work of the shell, which forks nothing: 1.1 s with dash on a machine that takes 0.7 us a turn.
const SHELL_WORK: &str = "i=0; while [ $i -lt 1500000 ]; do i=$((i+1)); done";

/// Compiles `fixtures/spin.c`.
fn compile(path: &Path, flags: &[&str]) {
    let status = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args([
            "-O2",
            "-static",
            "-nostdlib",
            "-ffreestanding",
            "-mgeneral-regs-only",
            "-fno-stack-protector",
            "-fno-pie",
            "-no-pie",
        ])
        .args(flags)
        .arg("-o")
        .arg(path)
        .arg(workspace::file("fixtures/spin.c"))
        .status();
    assert!(status.expect("a C compiler starts").success(), "spin.c does not compile");
}

/// The interpreter itself, and not a script in its place that finds one.
fn python() -> PathBuf {
    let said = Command::new("python3")
        .args(["-c", "import os, sys; print(os.path.realpath(sys.executable))"])
        .stderr(Stdio::inherit())
        .output();
    let said = String::from_utf8(said.expect("python3 is installed").stdout);
    said.expect("its path is text").trim_end().into()
}

/// An agent that shows command lines.
fn agent() -> Agent {
    let metadata = json!(["service", "command_args"]);
    let procinfo = json!({ "processors": { "procinfo": { "metadata": metadata } } });
    Setup::new().samples_per_second(RATE).with(procinfo).start()
}

/// Runs a program to its end. Returns its pid.
fn run(command: &mut Command) -> u32 {
    let mut child = command.stdin(Stdio::null()).spawn().expect("the program starts");
    let pid = child.id();
    assert!(child.wait().expect("it is a child").success(), "{command:?}");
    pid
}

/// The resources of that process while it ran that file.
fn of<'a>(resources: &'a [Resource], pid: u32, path: &Path) -> Vec<&'a Resource> {
    let path = path.to_str().expect("the path is text");
    let is_own = |of: &&Resource| {
        of.int("process.pid") == Some(pid.into()) && of.text("process.executable.path") == path
    };
    let own: Vec<_> = resources.iter().filter(is_own).collect();
    let events: u64 = own.iter().map(|of| of.events()).sum();
    assert!(events > ENOUGH, "{events} samples of {path}");
    own
}

fn arguments(of: &Resource) -> Vec<&str> {
    match of.attributes.get("process.command_args") {
        Some(Value::List(list)) => list.iter().map(|word| word.as_text().expect("words are text")).collect(),
        other => panic!("{other:?} is no command line"),
    }
}

/// What looks like a secret leaves in no resource, be it an option, a variable, a header, a part of a URL or of a
/// command; all else does, as it was.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn arguments_leave_without_their_secrets() {
    let _alone = alone();
    let agent = agent();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().canonicalize().expect("it is there").join("server");
    compile(&path, &[]);
    let secret = "hunter2";
    let words = [
        "--port=80".to_owned(),
        "--password".to_owned(),
        secret.to_owned(),
        format!("--db=postgres://me:{secret}@db/x"),
        format!("API_TOKEN={secret}"),
        "-u".to_owned(),
        format!("me:{secret}"),
        format!("curl -H 'Authorization: Bearer {secret}' https://a/"),
        "é\u{1b}[2J".to_owned(),
        String::new(),
    ];
    let pid = run(Command::new(&path).args(&words));
    let outcome = agent.stop();
    validator::assert_valid(&outcome.file);
    let resources = outcome.file.resources().expect("every index is good");
    for of in of(&resources, pid, &path) {
        assert_eq!(
            arguments(of),
            [
                path.to_str().expect("the path is text"),
                "--port=80",
                "--password",
                "[redacted]",
                "--db=postgres://[redacted]@db/x",
                "API_TOKEN=[redacted]",
                "-u",
                "me:[redacted]",
                "curl -H 'Authorization: [redacted]",
                "é\u{1b}[2J",
                "",
            ]
        );
    }
    let all = format!("{resources:?}");
    assert!(!all.contains(secret), "a secret has left");
}

/// An interpreter's service is what it runs: a script, by its own name or the interpreter's, a module, an archive; code
/// is none. A thread's name is never one.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn the_service_of_an_interpreter_is_what_it_runs() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dir = dir.path().canonicalize().expect("it is there");
    for (name, text) in [("worker.py", WORK), ("uploader.py", WORK), ("build.sh", SHELL_WORK)] {
        fs::write(dir.join(name), text).expect("the directory is ours");
    }
    let python = python();
    let nightly = dir.join("nightly");
    fs::write(&nightly, format!("#!{} -u\n{WORK}", python.display())).expect("the directory is ours");
    fs::set_permissions(&nightly, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    let shell = fs::canonicalize("/bin/sh").expect("there is a shell");
    let java = dir.join("java");
    compile(&java, &[]);
    let agent = agent();
    let mut ran = Vec::new();
    let mut run = |path: &Path, service: &str, command: &mut Command| {
        ran.push((run(command.current_dir(&dir)), path.to_owned(), service.to_owned()));
    };
    run(&python, "worker", Command::new(&python).args(["-u", "worker.py", "--jobs", "3"]));
    run(&python, "uploader", Command::new(&python).args(["-m", "uploader"]));
    run(&python, "nightly", &mut Command::new(&nightly));
    let name = |path: &Path| path.file_name().expect("it has one").to_string_lossy().into_owned();
    run(&python, &name(&python), Command::new(&python).args(["-c", WORK, "secret.py"]));
    run(&shell, "build", Command::new(&shell).arg("build.sh"));
    run(&shell, &name(&shell), Command::new(&shell).args(["-c", SHELL_WORK, "name"]));
    run(&java, "cart-1.2", Command::new(&java).args(["-Xmx1g", "-jar", "/opt/cart-1.2.jar", "serve"]));
    run(&java, "com.acme.Cart", Command::new(&java).args(["-cp", "a.jar", "com.acme.Cart"]));
    let environment = ("OTEL_SERVICE_NAME", "by its environment");
    run(&java, environment.1, Command::new(&java).args(["-jar", "a.jar"]).env(environment.0, environment.1));
    let outcome = agent.stop();
    validator::assert_valid(&outcome.file);
    let resources = outcome.file.resources().expect("every index is good");
    for (pid, path, service) in &ran {
        for of in of(&resources, *pid, path) {
            assert_eq!(of.text("service.name"), service, "{:?}", arguments(of));
        }
    }
}

/// The environment and the arguments of a program of 32 bits are where the kernel says, as those of any other.
#[cfg(target_arch = "x86_64")]
#[test]
#[ignore = "needs root: loads BPF programs"]
fn a_program_of_32_bits_has_its_environment_and_arguments() {
    /// The kernel executes no such file.
    const ENOEXEC: i32 = 8;
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().canonicalize().expect("it is there").join("small");
    compile(&path, &["-m32"]);
    let variables =
        [("OTEL_SERVICE_NAME", "of 32 bits"), ("OTEL_RESOURCE_ATTRIBUTES", "service.version=7,team=a%20b")];
    let agent = agent();
    let mut command = Command::new(&path);
    command.args(["--port", "80"]).envs(variables).stdin(Stdio::null());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.raw_os_error() == Some(ENOEXEC) => {
            println!("Not tried: this kernel runs no programs of 32 bits (CONFIG_IA32_EMULATION).");
            drop(agent.stop());
            return;
        }
        Err(error) => panic!("{error}"),
    };
    assert!(child.wait().expect("it is a child").success());
    let outcome = agent.stop();
    validator::assert_valid(&outcome.file);
    let resources = outcome.file.resources().expect("every index is good");
    for of in of(&resources, child.id(), &path) {
        for (key, expected) in [("service.name", "of 32 bits"), ("service.version", "7"), ("team", "a b")] {
            assert_eq!(of.text(key), expected, "{key} of {:?}", of.attributes);
        }
        assert_eq!(arguments(of)[1..], ["--port", "80"]);
    }
}
