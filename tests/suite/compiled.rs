//! Names of functions that Python, Node.js and Java compile at run time.
//!
//! The tests need these runtimes, which `scripts/setup.sh test` installs where Debian has them. A test whose runtime is
//! missing prints that and ends.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::SystemTime;

use rustix::process::Signal;
use serde_json::json;
use tests::agent::{Agent, Setup};
use tests::daemon::{Daemon, PATIENCE};
use tests::otlp::OtlpFile;
use tests::{wait, workspace};

use crate::alone;

const RATE: u32 = 97;
/// Least samples of a function: half of the expected ones, since some are in the kernel or in the runtime itself.
const ENOUGH: usize = 29;

/// A language's runtime.
struct Runtime {
    /// Value of `profile.frame.type`.
    frame_type: &'static str,
    /// The command that runs the working program of fixtures/compiled.
    command: Vec<String>,
    /// A command that has the list of functions written, for a process's pid; `None` if the runtime writes the list by
    /// itself.
    writes_list: Option<fn(u32)>,
}

/// The place that a runtime runs in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Residence {
    /// The same root and namespaces as the agent's.
    Here,
    /// A root, a pid namespace and a mount namespace of its own, with a `/tmp` of its own that is removed with it.
    Apart,
}

/// A runtime at work.
struct Work {
    daemon: Daemon,
    input: Option<ChildStdin>,
    done: usize,
    /// The pid of the runtime itself.
    pid: u32,
    writes_list: Option<fn(u32)>,
    _root: tempfile::TempDir,
}

impl Work {
    fn start(runtime: &Runtime, residence: Residence) -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        let (program, arguments) = runtime.command.split_first().expect("a command has a program");
        let mut command = match residence {
            Residence::Here => Command::new(program),
            Residence::Apart => {
                const SCRIPT: &str = "mount --bind / \"$0\" && mount -t tmpfs none \"$0/tmp\" &&
                    mount -t proc none \"$0/proc\" && exec chroot \"$0\" \"$@\"";
                let mut command = Command::new("unshare");
                command.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", SCRIPT]);
                command.arg(root.path()).arg(program);
                command
            }
        };
        command.args(arguments).stdin(Stdio::piped());
        let mut daemon = Daemon::start("the runtime", &mut command);
        daemon.out.wait_for("ready", PATIENCE).expect("it starts");
        let input = daemon.stdin();
        let pid = match residence {
            Residence::Here => daemon.pid(),
            Residence::Apart => {
                let children = format!("/proc/{0}/task/{0}/children", daemon.pid());
                let children = fs::read_to_string(children).expect("it runs");
                children.trim().parse().expect("it has one child")
            }
        };
        Self { daemon, input, done: 0, pid, writes_list: runtime.writes_list, _root: root }
    }

    /// Makes the runtime work in a function.
    fn work(&mut self, phase: &str) {
        let input = self.input.as_mut().expect("it has not been ended");
        writeln!(input, "{phase}").expect("it reads");
        self.done += 1;
        self.daemon.out.wait_for_nth("done", self.done, PATIENCE).expect("it works");
    }

    /// Has the list of functions written, if that takes a command.
    fn write_list(&self) {
        if let Some(write) = self.writes_list {
            write(self.pid);
        }
    }

    fn end(mut self) {
        self.input = None;
        self.daemon.wait_while_it_works().assert_code(0);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test compares with the times in a file, as a reader of it does"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// Samples since `since` whose stack has a frame of this type in a function whose name contains `name`.
fn samples(file: &OtlpFile, (frame_type, name): (&str, &str), since: SystemTime) -> usize {
    let since = since.duration_since(SystemTime::UNIX_EPOCH).expect("it is later").as_nanos();
    let resources = file.resources().expect("every index is good");
    let all = resources.iter().flat_map(|resource| resource.samples());
    let named = all.filter(|sample| {
        sample.stack.iter().any(|frame| {
            let is_of = frame.attributes.get("profile.frame.type").and_then(|of| of.as_text());
            is_of == Some(frame_type) && frame.functions.iter().any(|function| function.contains(name))
        })
    });
    named.flat_map(|sample| &sample.times).filter(|time| u128::from(**time) >= since).count()
}

fn agent() -> Agent {
    let pipelines = json!({ "profiles": { "processors": ["procinfo", "symbolizer"] } });
    let setup = Setup::new().samples_per_second(RATE);
    // Each name is waited for, however busy the machine is.
    let symbolizer = json!({ "timeout": "10s" });
    setup
        .with(json!({ "processors": { "symbolizer": symbolizer }, "service": { "pipelines": pipelines } }))
        .start()
}

/// Checks that functions of a running program are named, and those of a program that has ended before the agent looked.
/// A missing `runtime` is `None`, and has been reported.
fn names_functions(runtime: fn() -> Option<Runtime>, residence: Residence) {
    let _alone = alone();
    // Not before: what one test compiles another runs.
    let Some(runtime) = runtime() else { return };
    let agent = agent();
    let started = wall_clock();
    let mut work = Work::start(&runtime, residence);
    let first = (runtime.frame_type, "first_phase");
    let look = || {
        work.work("first");
        work.write_list();
        samples(&agent.file_so_far(), first, started)
    };
    wait::until("names of a function", look, |named| *named >= ENOUGH);

    agent.daemon().signal(Signal::STOP);
    let stopped = wall_clock();
    work.work("first");
    work.work("last");
    let on_demand = runtime.writes_list.is_some();
    work.end();
    agent.daemon().signal(Signal::CONT);
    let file = agent.stop().file;
    let named = samples(&file, first, stopped);
    assert!(named >= ENOUGH, "{named} samples are in the first phase");
    // A list that is written anew may be that of another process by now.
    if !on_demand {
        let named = samples(&file, (runtime.frame_type, "last_phase"), stopped);
        assert!(named >= ENOUGH, "{named} samples are in the last phase");
    }
}

fn fixture(name: &str) -> String {
    workspace::file(&format!("fixtures/compiled/{name}")).to_str().expect("a path of ours is text").to_owned()
}

/// True if all these programs are installed; prints which one is missing.
fn are_installed(programs: &[&str], package: &str) -> bool {
    let missing = programs.iter().find(|program| Command::new(program).arg("--version").output().is_err());
    if let Some(missing) = missing {
        println!(
            "SKIPPED: no {missing}: scripts/setup.sh test installs {package} where there is a package of it"
        );
    }
    missing.is_none()
}

/// A Python that can write a list: 3.12 or later, the system's or one that pyenv has installed.
fn python() -> Option<Runtime> {
    let installed = std::env::var_os("PYENV_ROOT").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(Path::new(&home).join(".pyenv"))
    });
    let installed = installed.map(|root| root.join("versions")).and_then(|all| fs::read_dir(all).ok());
    let installed = installed.into_iter().flatten().flatten().map(|entry| entry.path().join("bin/python3"));
    let all = ["python3", "/usr/bin/python3"].into_iter().map(PathBuf::from).chain(installed);
    let check = "import sys; sys.exit(not sys.is_stack_trampoline_active())";
    let found = all.into_iter().find(|python| {
        let status = Command::new(python).args(["-X", "perf", "-c", check]).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    });
    let Some(python) = found else {
        println!("SKIPPED: no Python of version 3.12 or later (pyenv install 3.12)");
        return None;
    };
    let python = python.to_str().expect("its path is text").to_owned();
    let command = vec![python, "-X".to_owned(), "perf".to_owned(), fixture("work.py")];
    Some(Runtime { frame_type: "cpython", command, writes_list: None })
}

fn node() -> Option<Runtime> {
    if !are_installed(&["node"], "nodejs") {
        return None;
    }
    // V8 writes a log of its own wherever it is started, unless these options stop it.
    let no_log = ["--no-logfile-per-isolate", "--logfile=/dev/null"];
    let arguments =
        ["node", "--perf-basic-prof", "--interpreted-frames-native-stack"].into_iter().chain(no_log);
    let command = arguments.map(str::to_owned).chain([fixture("work.js")]).collect();
    Some(Runtime { frame_type: "v8js", command, writes_list: None })
}

/// Java, with the directory of its class.
fn java() -> Option<Runtime> {
    if !are_installed(&["java", "javac", "jcmd"], "default-jdk-headless") {
        return None;
    }
    let classes = workspace::output().join("compiled-classes");
    let status = Command::new("javac").arg("-d").arg(&classes).arg(fixture("Work.java")).status();
    assert!(status.expect("javac starts").success());
    let classes = classes.to_str().expect("a path of ours is text").to_owned();
    let whole = "-XX:CompileCommand=dontinline,Work::*_phase";
    let arguments = ["java", "-XX:+PreserveFramePointer", whole, "-cp", &classes, "Work"];
    let write = |pid: u32| {
        let status = Command::new("jcmd").args([&pid.to_string(), "Compiler.perfmap"]).output();
        let output = status.expect("jcmd starts");
        assert!(output.status.success(), "{output:?}");
    };
    let command = arguments.into_iter().map(str::to_owned).collect();
    Some(Runtime { frame_type: "jvm", command, writes_list: Some(write) })
}

#[test]
#[ignore = "needs root: loads BPF programs"]
fn functions_of_python_are_named() {
    names_functions(python, Residence::Here);
}

#[test]
#[ignore = "needs root: loads BPF programs, and chroot"]
fn functions_of_python_in_namespaces_of_its_own_are_named() {
    names_functions(python, Residence::Apart);
}

#[test]
#[ignore = "needs root: loads BPF programs"]
fn functions_of_node_are_named() {
    names_functions(node, Residence::Here);
}

#[test]
#[ignore = "needs root: loads BPF programs, and chroot"]
fn functions_of_node_in_namespaces_of_its_own_are_named() {
    names_functions(node, Residence::Apart);
}

#[test]
#[ignore = "needs root: loads BPF programs"]
fn functions_of_java_are_named() {
    names_functions(java, Residence::Here);
}

#[test]
#[ignore = "needs root: loads BPF programs, and chroot"]
fn functions_of_java_in_namespaces_of_its_own_are_named() {
    names_functions(java, Residence::Apart);
}
