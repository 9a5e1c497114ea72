//! Containers, services and hosts of processes, as OTLP has them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tests::agent::Setup;
use tests::otlp::{OtlpFile, Resource};
use tests::program::{self, Burner, Step};
use tests::{due, validator, wait};

use crate::alone;

const RATE: u32 = 997;
const BUILD_ID: &str = "00000000000000000000000000000000c047a14e";
/// CPU time that a container uses.
const CPU: Duration = Duration::from_millis(300);
/// Number of samples that is enough to judge those that follow.
const ENOUGH: u64 = 500;

fn id(number: usize) -> String {
    format!("{number:08x}").repeat(8)
}

/// Writes an OCI bundle whose program burns CPU time, in a container that docker might have made.
fn bundle(dir: &Path, number: usize) {
    let rootfs = dir.join("rootfs");
    program::compile(&rootfs.join("bin/burn"), BUILD_ID);
    let spec = Command::new("runc").args(["spec", "--bundle"]).arg(dir).status();
    assert!(spec.expect("runc is installed (apt-get install runc)").success());
    let file = dir.join("config.json");
    let mut config: serde_json::Value =
        serde_json::from_slice(&fs::read(&file).expect("runc has written it")).expect("it is JSON");
    let environment = json!([
        "PATH=/bin",
        format!("OTEL_SERVICE_NAME=shop-{number}"),
        format!("OTEL_RESOURCE_ATTRIBUTES=service.version={number},service.namespace=a%20b")
    ]);
    let arguments = json!(["/bin/burn", "cpu", format!("{:.3}", CPU.as_secs_f64())]);
    for (place, value) in
        [("/process/terminal", json!(false)), ("/process/args", arguments), ("/process/env", environment)]
    {
        *config.pointer_mut(place).expect("runc writes it") = value;
    }
    let linux = config.get_mut("linux").and_then(serde_json::Value::as_object_mut).expect("runc writes it");
    linux.insert("cgroupsPath".to_owned(), json!(format!("/docker/{}", id(number))));
    fs::write(&file, config.to_string()).expect("the bundle is ours");
}

/// Each of several containers of a real runtime, which are gone when their samples leave, has its own ID, its own
/// service, and its path as the container sees it.
#[test]
#[ignore = "needs root: loads BPF programs, and runc"]
fn containers_of_runc_are_known_by_id_and_service() {
    let _alone = alone();
    let agent = Setup::new().samples_per_second(RATE).start();
    let bundles = tempfile::tempdir().expect("a temporary directory");
    for number in 1..=3 {
        let dir = bundles.path().join(number.to_string());
        fs::create_dir(&dir).expect("the directory is new");
        bundle(&dir, number);
        let run = Command::new("runc")
            .args(["run", "--bundle"])
            .arg(&dir)
            .arg(id(number))
            .stdin(Stdio::null())
            .status();
        assert!(run.expect("runc starts").success());
    }
    let outcome = agent.stop();
    validator::assert_valid(&outcome.file);
    let resources = outcome.file.resources().expect("every index is good");
    let lost = due::lost(&resources);
    for number in 1..=3 {
        let id = id(number);
        // The container's root is that of its mount namespace, so there is no other path.
        let own = |of: &&Resource| {
            of.text("container.id") == id && of.text("process.executable.path") == "/bin/burn"
        };
        let own: Vec<_> = resources.iter().filter(own).collect();
        let events: u64 = own.iter().map(|of| of.events()).sum();
        // 299 ticks are expected, less by chance.
        assert!(
            !own.is_empty() && events + lost > 200,
            "{events} samples of container {number}, {lost} lost"
        );
        for of in own {
            assert_eq!(of.text("container.runtime.name"), "docker");
            assert_eq!(of.text("service.name"), format!("shop-{number}"));
            assert_eq!(of.text("service.version"), number.to_string());
            assert_eq!(of.text("service.namespace"), "a b");
        }
    }
}

/// Every resource names its host and the configured attributes; a process that ran before the agent has its service,
/// too.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn every_resource_names_its_host_and_a_process_that_ran_before_its_service() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("older");
    program::compile(&path, BUILD_ID);
    let steps = [Step::Wait, Step::Cpu(Duration::from_secs(600))];
    let mut older = Burner::start_with(&path, &steps, &[("OTEL_SERVICE_NAME", "older service")]);
    let resource = json!({ "attributes": [
        { "key": "deployment.environment.name", "value": "test", "action": "insert" },
        { "key": "os.version", "action": "delete" },
        { "key": "host.id", "value": "of our own", "action": "upsert" },
    ] });
    let agent = Setup::new()
        .samples_per_second(RATE)
        .with(json!({ "processors": { "procinfo": { "resource": resource } } }))
        .env("OTEL_RESOURCE_ATTRIBUTES", "k8s.cluster.name=a%2Cb,service.name=agent")
        .start();
    older.go();
    let own = |of: &&Resource| Path::new(of.text("process.executable.path")).ends_with("older");
    // Samples of the process so far, with its service and without.
    let count = |file: &OtlpFile| {
        let resources = file.resources().expect("every index is good");
        let (named, others): (Vec<_>, Vec<_>) =
            resources.iter().filter(own).partition(|of| of.text("service.name") == "older service");
        [named, others].map(|part| part.iter().map(|of| of.events()).sum::<u64>())
    };
    let wait_for =
        |named| wait::until("its service", || count(&agent.file_so_far()), |count| count[0] > named);
    // Only the first windows may have left before the process's environment was read.
    let [named, others] = wait_for(0);
    wait_for(named + ENOUGH);
    let outcome = agent.stop();
    validator::assert_valid(&outcome.file);
    let resources = outcome.file.resources().expect("every index is good");
    let name = fs::read_to_string("/proc/sys/kernel/hostname").expect("there is one");
    for of in &resources {
        assert_eq!(of.text("host.name"), name.trim());
        assert_eq!(of.text("host.id"), "of our own");
        assert_eq!(of.text("os.type"), "linux");
        assert_eq!(of.text("k8s.cluster.name"), "a,b");
        assert_eq!(of.text("deployment.environment.name"), "test");
        assert_eq!(of.text("os.version"), "");
        // The variable is set for the agent and its children, too, and other processes must not get it.
        let is_agent = of.text("process.executable.name") == "pipeline";
        assert!(is_agent || of.text("service.name") != "agent", "{:?}", of.attributes);
    }
    assert_eq!(count(&outcome.file)[1], others, "samples without their service");
    drop(older);
}
