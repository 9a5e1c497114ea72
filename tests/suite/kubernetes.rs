//! Pods by name: what an API server says of them, on what leaves the agent.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tests::agent::{Agent, Setup};
use tests::api_server::{self, ApiServer};
use tests::group::Group;
use tests::otlp::{OtlpFile, Resource};
use tests::program::{self, Burner, Step};
use tests::{validator, wait};

use crate::alone;

const RATE: u32 = 997;
const BUILD_ID: &str = "00000000000000000000000000000000c0b0de7e";
const NODE: &str = "node-1";
/// Samples that say enough of all that follow.
const ENOUGH: u64 = 300;
const CPU: Duration = Duration::from_millis(300);

fn uid(number: usize) -> String {
    format!("2c48913c-b29f-11e7-9350-{number:012}")
}

fn id(number: usize) -> String {
    format!("{number:064}")
}

/// The control group of a container, as the kubelet's systemd driver and containerd lay it out.
fn group(number: usize) -> Group {
    let (uid, id) = (uid(number).replace('-', "_"), id(number));
    Group::at(&format!(
        "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid}.slice/cri-containerd-{id}.scope"
    ))
}

/// A pod of a deployment.
fn pod(number: usize) -> Value {
    let mut pod = api_server::pod(NODE, "shop", &format!("cart-6d4b-{number}"), &uid(number));
    let metadata = pod.get_mut("metadata").expect("a pod has some");
    *metadata = json!({
        "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
        "labels": { "pod-template-hash": "6d4b", "tier": "front", "secret": "x", "app.kubernetes.io/name": "cart service" },
        "annotations": {
            "team": "checkout",
            "resource.opentelemetry.io/deployment.environment.name": "prod",
            "resource.opentelemetry.io/process.pid": "1",
        },
        "ownerReferences": [{ "kind": "ReplicaSet", "name": "cart-6d4b", "controller": true }],
    });
    api_server::add_container(&mut pod, "app", "registry:5000/cart:v1.2", Some(&id(number)));
    pod
}

/// Asserts that a sample of a container carries all that was asked for.
fn assert_named(of: &Resource, number: usize, service: &str) {
    for (key, expected) in [
        ("k8s.pod.name", format!("cart-6d4b-{number}")),
        ("k8s.pod.uid", uid(number)),
        ("k8s.namespace.name", "shop".to_owned()),
        ("k8s.container.name", "app".to_owned()),
        ("k8s.node.name", NODE.to_owned()),
        ("k8s.deployment.name", "cart".to_owned()),
        ("k8s.replicaset.name", "cart-6d4b".to_owned()),
        ("k8s.pod.label.tier", "front".to_owned()),
        ("k8s.pod.label.secret", String::new()),
        ("k8s.pod.annotation.team", "checkout".to_owned()),
        ("deployment.environment.name", "prod".to_owned()),
        ("service.name", service.to_owned()),
        ("service.namespace", "shop".to_owned()),
        ("service.version", "v1.2".to_owned()),
        ("service.instance.id", format!("shop.cart-6d4b-{number}.app")),
    ] {
        assert_eq!(of.text(key), expected, "{key} of {:?}", of.attributes);
    }
}

/// Samples of a container so far: those that name their pod, and the others.
fn events(file: &OtlpFile, number: usize) -> [u64; 2] {
    let resources = file.resources().expect("every index is good");
    let own = resources.iter().filter(|of| of.text("container.id") == id(number));
    let (named, others): (Vec<_>, Vec<_>) = own.partition(|of| !of.text("k8s.pod.name").is_empty());
    [named, others].map(|part| part.iter().map(|of| of.events()).sum::<u64>())
}

fn start(path: &Path, group: &Group, steps: &[Step], environment: &[(&str, &str)]) -> Burner {
    let steps: Vec<_> = [Step::Wait].iter().chain(steps).cloned().collect();
    let mut burner = Burner::start_with(path, &steps, environment);
    group.take_in(burner.pid());
    burner.go();
    burner
}

fn wait_for_named(agent: &Agent, number: usize, more_than: u64) -> [u64; 2] {
    let look = || events(&agent.file_so_far(), number);
    wait::until("samples that name their pod", look, |[named, _]| *named > more_than)
}

/// Each sample of a container names its pod, whatever has become of that since; one whose pod is learnt of late does
/// from then on.
#[test]
#[ignore = "needs root: loads BPF programs, and makes control groups"]
fn samples_name_their_pod_also_when_that_has_been_deleted() {
    let _alone = alone();
    let server = ApiServer::start();
    server.apply(pod(1));
    let mut k8s = server.configuration(NODE);
    k8s["labels"] = json!(["tier"]);
    k8s["annotations"] = json!(["te*"]);
    let setup =
        Setup::new().samples_per_second(RATE).with(json!({ "processors": { "procinfo": { "k8s": k8s } } }));
    let path = setup.dir().join("burn");
    program::compile(&path, BUILD_ID);
    let agent = setup.start();
    let known = || agent.metrics().get("otelcol_processor_procinfo_known_pods", &[]);
    wait::until("the pod to be known", known, |known| *known == Some(1.0));

    let (first, second) = (group(1), group(2));
    let busy = [Step::Cpu(Duration::from_secs(600))];
    let older = start(&path, &first, &busy, &[]);
    wait_for_named(&agent, 1, ENOUGH);

    let late = start(&path, &second, &busy, &[]);
    let look = || events(&agent.file_so_far(), 2);
    wait::until("samples of a pod that is not known", look, |[named, others]| *named == 0 && *others > 0);
    server.apply(pod(2));
    let [_, others] = wait_for_named(&agent, 2, 0);
    let [named, _] = events(&agent.file_so_far(), 2);
    wait_for_named(&agent, 2, named + ENOUGH);

    server.delete(&uid(1));
    let deleted = || agent.metrics().get("otelcol_processor_procinfo_deleted_pods", &[]);
    wait::until("the pod to be deleted", deleted, |deleted| *deleted == Some(1.0));
    let [named, _] = events(&agent.file_so_far(), 1);
    wait_for_named(&agent, 1, named + ENOUGH);
    drop(older);
    // It begins, ends, and its control group is gone, all after its pod.
    let short = start(&path, &first, &[Step::Cpu(CPU)], &[("OTEL_SERVICE_NAME", "its own")]);
    let _used = short.finish();
    drop(first);

    let lookups = agent.metrics().by_label("otelcol_processor_procinfo_pod_lookups_total", "outcome");
    assert!(lookups.get("known").is_some_and(|known| *known >= 2.0), "{lookups:?}");
    assert!(lookups.get("unknown_pod").is_some_and(|unknown| *unknown >= 1.0), "{lookups:?}");
    let outcome = agent.stop();
    validator::assert_valid(&outcome.file);
    assert_eq!(events(&outcome.file, 2)[1], others, "samples without their pod once that is known");
    assert_eq!(events(&outcome.file, 1)[1], 0, "samples without their pod");
    let resources = outcome.file.resources().expect("every index is good");
    let mut own = 0;
    for of in resources.iter().filter(|of| of.text("container.id") == id(1)) {
        let service = of.text("service.name");
        own += if service == "its own" { of.events() } else { 0 };
        assert_named(of, 1, if service == "its own" { "its own" } else { "cart service" });
    }
    // 299 ticks, and chance.
    assert!(own > 200, "{own} samples of what began after its pod was deleted");
    for of in
        resources.iter().filter(|of| of.text("k8s.pod.uid") == uid(2) && !of.text("k8s.pod.name").is_empty())
    {
        assert_named(of, 2, "cart service");
    }
    drop(late);
}

/// Pods that are there all the time, and those that come and go: as many in each round, one of which the server misses.
const PODS: usize = 1000;
const ROUNDS: usize = 3;
const CHURN: usize = 40;
const AWAY: Duration = Duration::from_secs(3);
/// KiB that the agent may grow by meanwhile.
const MAX_GROWTH: u64 = 192 << 10;
/// The round in which the server is away.
const AWAY_IN: usize = 1;

/// Runs a short program in each of these pods, which is then deleted.
fn run_and_delete(server: &ApiServer, path: &Path, numbers: impl Iterator<Item = usize>) {
    for number in numbers {
        let group = group(number);
        let mut command = Command::new(path);
        command.args(["cpu", "0.020"]).env("OTEL_SERVICE_NAME", format!("churn {number}"));
        let status = group.run(&command).stdout(Stdio::null()).status().expect("a shell starts");
        assert!(status.success(), "{status}");
        server.delete(&uid(number));
    }
}

/// Resident memory of a process, KiB.
fn memory(agent: &Agent) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid())).expect("the agent runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has some");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Of a thousand pods, and of those that live for as long as a program of 20 ms, each sample names its own, which is
/// deleted when that leaves; a server that is away, and has forgotten what it was asked for, changes nothing of that.
#[test]
#[ignore = "needs root: loads BPF programs, and makes control groups"]
fn pods_that_come_and_go_are_on_their_own_samples() {
    let _alone = alone();
    let server = ApiServer::start();
    (0..PODS).for_each(|number| server.apply(pod(number)));
    // Nothing is forgotten while this runs, so that the pods that are known are all that there have been.
    let procinfo = json!({ "k8s": server.configuration(NODE), "max_exited_age": "1h" });
    let setup = Setup::new().samples_per_second(RATE).with(json!({ "processors": { "procinfo": procinfo } }));
    let path = setup.dir().join("burn");
    program::compile(&path, BUILD_ID);
    let agent = setup.start();
    let all_known = |count: usize| {
        let known = || agent.metrics().count("otelcol_processor_procinfo_known_pods", &[]);
        wait::until("all pods to be known", known, |known| *known == count as u64);
    };
    all_known(PODS);
    let before = memory(&agent);
    for round in 0..ROUNDS {
        let numbers = PODS + round * CHURN..PODS + (round + 1) * CHURN;
        numbers.clone().for_each(|number| server.apply(pod(number)));
        all_known(numbers.end);
        if round == AWAY_IN {
            server.go_away();
            run_and_delete(&server, &path, numbers);
            server.compact(api_server::Gone::Status);
            // The pause is the load: time in which the server is asked in vain.
            thread::sleep(AWAY);
            server.come_back();
        } else {
            run_and_delete(&server, &path, numbers);
        }
    }
    let last = PODS + ROUNDS * CHURN;
    let deleted = || agent.metrics().count("otelcol_processor_procinfo_deleted_pods", &[]);
    wait::until("all of them to be deleted", deleted, |deleted| *deleted == (ROUNDS * CHURN) as u64);
    let after = memory(&agent);
    let outcome = agent.stop();
    validator::assert_valid(&outcome.file);
    let mut named: BTreeMap<usize, u64> = BTreeMap::new();
    for of in &outcome.file.resources().expect("every index is good") {
        let Some(number) = of.text("service.name").strip_prefix("churn ") else { continue };
        let number: usize = number.parse().expect("the test has given it");
        // The shell enters the control group before it becomes the program.
        if of.text("process.executable.name") == "burn" {
            assert_named_by_default(of, number);
            *named.entry(number).or_default() += of.events();
        }
    }
    let samples: u64 = named.values().sum();
    println!("{samples} samples of {} pods, {before} KiB before, {after} KiB after", named.len());
    assert!(named.keys().all(|number| (PODS..last).contains(number)), "{named:?}");
    // 19 ticks each, fewer where the machine is busy.
    assert!(named.len() > ROUNDS * CHURN / 2, "{} pods", named.len());
    // Most of it is rows of files that were met meanwhile, for which 64 MiB are set aside.
    assert!(after < before + MAX_GROWTH, "{before} KiB before, {after} KiB after");
}

/// Asserts that a sample of a container carries the attributes that the default configuration asks for.
fn assert_named_by_default(of: &Resource, number: usize) {
    for (key, expected) in [
        ("container.id", id(number)),
        ("k8s.pod.name", format!("cart-6d4b-{number}")),
        ("k8s.pod.uid", uid(number)),
        ("k8s.container.name", "app".to_owned()),
        ("k8s.deployment.name", "cart".to_owned()),
        ("service.instance.id", format!("shop.cart-6d4b-{number}.app")),
    ] {
        assert_eq!(of.text(key), expected, "{key} of {:?}", of.attributes);
    }
}
