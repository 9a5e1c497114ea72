//! An agent outside of the first pid namespace, as in kind, minikube and a sidecar: its pids are those of its own
//! namespace.

use std::process::{Command, Stdio};
use std::time::Duration;

use tests::agent::{Agent, Setup};
use tests::daemon::{Daemon, Ended};
use tests::otlp::{OtlpFile, Resource};
use tests::program::{self, Burner, Step};
use tests::{validator, wait, workspace};

use crate::alone;

const RATE: u32 = 997;
const BUILD_ID: &str = "00000000000000000000000000000000b1d0a11e";
const ENOUGH: u64 = 300;

/// Starts a shell in the agent's namespaces, whose parent is outside of them.
fn inside(agent: &Agent, script: &str, arguments: &[&str]) -> Daemon {
    let mut shell = Command::new("nsenter");
    shell.arg("--target").arg(agent.pid().to_string()).args(["--pid", "--mount", "--", "sh", "-c", script]);
    Daemon::start("a shell in the namespace", shell.args(arguments).stdin(Stdio::null()))
}

/// The pids that a shell has printed: its own, and that of its child.
fn printed(shell: &Daemon) -> (i64, i64) {
    let line = shell.out.wait_for("pids ", wait::PATIENCE).expect("the shell prints two pids");
    let mut pids = line.split(' ').skip(1).map(|pid| pid.parse().expect("a number"));
    (pids.next().expect("its own"), pids.next().expect("its child's"))
}

fn of<'a>(resources: &'a [Resource], name: &str) -> Vec<&'a Resource> {
    resources.iter().filter(|of| of.text("process.executable.name") == name).collect()
}

/// True if the agent has read the program's file, which it finds by the pid of a process that has mapped it.
fn was_read(of: &Resource) -> bool {
    let frames = of.samples().flat_map(|sample| &sample.stack);
    let mut mappings = frames.filter_map(|frame| frame.mapping.as_ref());
    mappings.any(|mapping| {
        mapping.filename.ends_with("burns-within")
            && mapping.attributes.contains_key("process.executable.build_id.htlhash")
    })
}

fn events(file: &OtlpFile, name: &str) -> u64 {
    of(&file.resources().expect("every index is good"), name).iter().map(|of| of.events()).sum()
}

/// Each process of the namespace has the pid that it has there, and so has its parent; a process in a namespace below
/// has the pid of this one, too. No process outside is sampled, or has a pid.
#[test]
#[ignore = "needs root: loads BPF programs, and makes pid namespaces"]
fn pids_are_those_of_the_agents_own_namespace() {
    let _alone = alone();
    let setup = Setup::new().samples_per_second(RATE).in_pid_namespace();
    let setup = setup.with(serde_json::json!({ "processors": { "procinfo": {
        "metadata": ["parent", "ancestors", "session", "namespaces"],
    } } }));
    let [within, below, outside] =
        ["burns-within", "burns-below", "burns-outside"].map(|name| setup.dir().join(name));
    for path in [&within, &below, &outside] {
        program::compile(path, BUILD_ID);
    }
    let older = Burner::start(&outside, &[Step::Cpu(Duration::from_secs(600))]);
    let agent = setup.start();
    let younger = Burner::start(&outside, &[Step::Cpu(Duration::from_secs(600))]);
    let script = r#""$0" cpu 600 & echo pids $$ $!; wait"#;
    let [within, below] = [&within, &below].map(|path| path.to_str().expect("its name is text").to_owned());
    let first = inside(&agent, script, &[&within]);
    let script = r#"unshare --pid --fork --kill-child "$0" cpu 600 & echo pids $$ $!; wait"#;
    let second = inside(&agent, script, &[&below]);
    let ((shell, child), (_, unshare)) = (printed(&first), printed(&second));
    for name in ["burns-within", "burns-below"] {
        wait::until(name, || events(&agent.file_so_far(), name), |events| *events > ENOUGH);
    }
    let read = || agent.file_so_far().resources().expect("every index is good").iter().any(was_read);
    wait::until("the program's file to be read", read, |read| *read);
    let left_out = agent.metrics().get("otelcol_receiver_ebpf_ticks_total", &[("state", "outside")]);
    assert!(left_out.is_some_and(|ticks| ticks > 0.0), "{left_out:?}");
    let outcome = agent.stop();
    validator::assert_valid(&outcome.file);
    let resources = outcome.file.resources().expect("every index is good");
    for of in of(&resources, "burns-within") {
        assert_eq!((of.int("process.pid"), of.int("process.parent_pid")), (Some(child), Some(shell)));
        assert_eq!(of.int("process.vpid"), Some(child));
    }
    for of in of(&resources, "burns-below") {
        assert_eq!((of.int("process.vpid"), of.int("process.parent_pid")), (Some(1), Some(unshare)));
        assert!(of.int("process.pid").is_some_and(|pid| pid > unshare), "{:?}", of.attributes);
    }
    for of in of(&resources, "sh") {
        assert_eq!(of.int("process.parent_pid"), None, "its parent is outside");
    }
    for name in ["burns-outside", "unshare"] {
        // The child of the one that is inside has its executable until it executes its own.
        let is_inside =
            |of: &Resource| [of.int("process.vpid"), of.int("process.parent_pid")].contains(&Some(unshare));
        let outside: Vec<_> = of(&resources, name).into_iter().filter(|of| !is_inside(of)).collect();
        assert!(outside.is_empty(), "{name} is outside: {outside:?}");
    }
    assert!(
        of(&resources, "burns-within").into_iter().any(was_read),
        "its file was found by a pid of this /proc"
    );
    // The agent is the first process of its namespace, and there are not many others.
    for of in &resources {
        let pid = of.int("process.pid").expect("each has one");
        assert!(pid < 1_000, "pid {pid} is of another namespace: {:?}", of.attributes);
        assert!(pid != 1 || of.text("process.executable.name") == "pipeline", "{:?}", of.attributes);
    }
    drop((older, younger, first, second));
}

/// `doctor` names the processes that are left out, and the agent refuses a `/proc` in which the same pids are other
/// processes.
#[test]
#[ignore = "needs root: loads BPF programs, and makes pid namespaces"]
fn doctor_says_what_is_left_out_and_a_foreign_proc_is_refused() {
    let doctor = |arguments: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--fork"]).args(arguments).arg(workspace::pipeline()).arg("doctor");
        let Ended { status, out, .. } = Daemon::start("doctor", &mut unshare).wait();
        (status.code(), out.join("\n"))
    };
    let (code, text) = doctor(&["--mount-proc"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("processes outside of it, kernel threads among them, are left out"), "{text}");
    let (code, text) = doctor(&[]);
    assert_ne!(code, Some(0), "{text}");
    assert!(text.contains("is not that of /proc"), "{text}");
    let setup = Setup::new();
    let own = setup.command();
    let mut foreign = Command::new("unshare");
    foreign.args(["--pid", "--fork", "--"]).arg(own.get_program()).args(own.get_args());
    let ended = Daemon::start("the agent", &mut foreign).wait();
    assert!(!ended.status.success());
    let log = ended.log.join("\n");
    assert!(log.contains("/proc is that of another pid namespace than the agent's"), "{log}");
}
