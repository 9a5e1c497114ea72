//! Control groups and environments of short processes, against the running kernel.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pdata::{Batch, Event, ExecCount, Pid, ProcessTransition, Sample};
use procfs::Residence;
use receiver_ebpf::{Config, Wanted};

use support::{PATIENCE, Recorder, run};

/// Mount points of hierarchies: version 2 and version 1 of the controller `pids`.
const UNIFIED: [&str; 2] = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
const LEGACY: &str = "/sys/fs/cgroup/pids";

/// Names of the groups of each runtime's containers; `ID` stands for the container's, `UID` for the pod's.
const LAYOUTS: [&str; 10] = [
    "docker/ID",
    "system.slice/docker-ID.scope",
    "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID.slice/cri-containerd-ID.scope",
    "kubepods/burstable/podUID/ID",
    "kubepods.slice/kubepods-podUID.slice/crio-ID.scope/container",
    "machine.slice/libpod-ID.scope/container",
    "user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container",
    "docker/ID/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podUID.slice/cri-containerd-ID.scope",
    "lxc.payload.ID/system.slice/nginx.service",
    "system.slice/system-worker.slice/worker@ID.service",
];
const ROUNDS: usize = 12;
/// A script that moves its process into a group, and burns some CPU time there as another image: ten samples even on a
/// fast CPU.
const SCRIPT: &str =
    r#"echo $$ > "$0/cgroup.procs" && exec sh -c 'i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done'"#;

fn id(number: usize) -> String {
    format!("{number:08x}").repeat(8)
}

fn unified() -> &'static str {
    let mounted = UNIFIED.iter().find(|root| Path::new(root).join("cgroup.procs").exists());
    mounted.expect("no hierarchy of version 2 is mounted")
}

/// Runs a process in a group of its own, and takes the group away at once when the process is gone.
fn run_in(root: &str, group: &str) -> u32 {
    let directory = Path::new(root).join(group);
    fs::create_dir_all(&directory).unwrap();
    let mut child = Command::new("sh").args(["-c", SCRIPT]).arg(&directory).spawn().unwrap();
    assert!(child.wait().unwrap().success());
    let start = Instant::now();
    while let Err(error) = fs::remove_dir(&directory) {
        // A process leaves its group as the last step of its end, which its parent may know of before.
        let is_left_soon = error.kind() == ErrorKind::ResourceBusy && start.elapsed() < PATIENCE;
        assert!(is_left_soon, "{}: {error}", directory.display());
        std::thread::sleep(Duration::from_millis(1));
    }
    // Groups above it are removed too, as far as no other process is there.
    let above = directory.ancestors().skip(1).take_while(|above| *above != Path::new(root));
    above.take_while(|above| fs::remove_dir(above).is_ok()).count();
    child.id()
}

/// The group of each process: whether it is of version 1, and its path.
type Truth = BTreeMap<Pid, (bool, PathBuf)>;

fn storm() -> Truth {
    let mut truth = Truth::new();
    for number in 0..ROUNDS * LAYOUTS.len() {
        let uid = format!("{number:08x}-b29f-11e7-9350-020968147796");
        let layout = LAYOUTS[number % LAYOUTS.len()];
        let uid = if layout.contains(".slice") { uid.replace('-', "_") } else { uid };
        let group = layout.replace("UID", &uid).replace("ID", &id(number + 1));
        let legacy = number / LAYOUTS.len() % 3 == 2 && Path::new(LEGACY).join("cgroup.procs").exists();
        let pid = run_in(if legacy { LEGACY } else { unified() }, &group);
        truth.insert(Pid(pid), (legacy, Path::new("/").join(&group)));
    }
    truth
}

/// The last image of each process: the one that has moved.
fn last_images(batches: &[Batch]) -> BTreeMap<Pid, ExecCount> {
    let mut last = BTreeMap::new();
    for event in batches.iter().flat_map(|batch| batch.events.iter()) {
        if let Event::Process(event) = event
            && matches!(event.transition, ProcessTransition::Exec { .. })
        {
            last.insert(event.image.process.pid, event.image.exec_count);
        }
    }
    last
}

/// The control groups of a sample: their paths, and the container and unit that they name.
fn residence(sample: &Sample) -> Option<(PathBuf, Option<PathBuf>, Residence)> {
    let cgroup = sample.context.cgroup.as_ref()?;
    let legacy = cgroup.legacy_path.as_deref();
    let residence = Residence::of_either(&cgroup.path, legacy);
    Some((cgroup.path.to_path_buf(), legacy.map(Path::to_path_buf), residence))
}

#[test]
#[ignore = "needs root: loads BPF programs, makes control groups"]
fn samples_know_the_control_group_of_a_process_that_is_gone() {
    let recorder = Recorder::default();
    let truth = Arc::new(Mutex::new(Truth::new()));
    let told = Arc::clone(&truth);
    let config = Config { samples_per_second: 997, ..Config::default() };
    run(config, recorder.clone(), move |_| *told.lock().unwrap() = storm());
    let (batches, truth) = (recorder.0.lock().unwrap(), truth.lock().unwrap());
    let last = last_images(&batches);
    let (mut right, mut missing, mut wrong, mut unmoved) = (0_u32, 0_u32, 0_u32, 0_u32);
    for sample in batches.iter().flat_map(Batch::samples) {
        let key = sample.key;
        let Some((legacy, group)) = truth.get(&key.process.pid) else { continue };
        if last.get(&key.process.pid) != Some(&key.exec_count) {
            unmoved += 1;
            continue;
        }
        let Some((path, legacy_path, residence)) = residence(sample) else {
            missing += 1;
            continue;
        };
        let found = if *legacy { legacy_path.unwrap_or_default() } else { path };
        let expected = Residence::of(group);
        if found == *group && residence == expected {
            right += 1;
        } else {
            wrong += 1;
            eprintln!("{found:?} instead of {group:?}: {residence:?}");
        }
    }
    eprintln!("right {right}, missing {missing}, wrong {wrong}, of images before {unmoved}");
    assert_eq!(wrong, 0);
    assert!(right > 500, "{right} samples");
    assert!(missing <= (right / 1000).max(1), "{missing} of {right} samples without control groups");
}

/// A user's process in a group as deep and with names as long as can be costs its own path alone.
#[test]
#[ignore = "needs root: loads BPF programs, makes control groups"]
fn a_path_longer_than_the_kernel_side_holds_says_so() {
    let recorder = Recorder::default();
    let group: PathBuf = (0..31).map(|_| "g".repeat(129)).collect();
    let pid = Arc::new(Mutex::new(0));
    let (told, text) = (Arc::clone(&pid), group.display().to_string());
    run(Config { samples_per_second: 997, ..Config::default() }, recorder.clone(), move |_| {
        *told.lock().unwrap() = run_in(unified(), &text);
    });
    let batches = recorder.0.lock().unwrap();
    let pid = Pid(*pid.lock().unwrap());
    let samples = batches.iter().flat_map(Batch::samples).filter(|sample| sample.key.process.pid == pid);
    let groups: Vec<_> = samples.filter_map(|sample| sample.context.cgroup.clone()).collect();
    let long = groups.iter().find(|cgroup| cgroup.truncated).expect("no sample in the deep group");
    assert!(group.ends_with(long.path.strip_prefix("/").unwrap()), "{long:?}");
}

/// Each of a thousand short processes has its own name for its service.
#[test]
#[ignore = "needs root: loads BPF programs"]
fn an_exec_passes_the_service_on() {
    const PROCESSES: usize = 1000;
    let recorder = Recorder::default();
    let seen = recorder.clone();
    run(Config { samples_per_second: 19, ..Config::default() }, recorder.clone(), move |control| {
        let names = ["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "TZ"];
        control.set_wanted(Wanted { variables: names.map(str::to_owned).into(), argument_bytes: 64 });
        seen.wait_until("an environment", |batches| {
            assert!(Command::new("/bin/false").status().is_ok());
            let mut events = batches.iter().flat_map(|batch| batch.events.iter());
            events.any(|event| {
                matches!(event, Event::Process(event)
                if matches!(event.transition, ProcessTransition::Exec { environment: Some(_), .. }))
            })
        });
        let start = Instant::now();
        for number in 0..PROCESSES {
            let mut command = Command::new("/bin/true");
            command.arg(format!("argument-{number}"));
            if number % 10 == 9 {
                // The variables are far behind in a large environment, in part of variables longer than one step reads.
                command.env("A_LONG_ONE", "OTEL_SERVICE_NAME=wrong".repeat(300));
                command.envs((0..100).map(|other| (format!("OTHER_{other}"), "x".repeat(other))));
            }
            if number % 100 == 0 {
                // The environment has more pointers than are read at a time, and variables as short as they can be.
                command.envs((0..1500).map(|other| (format!("{other}"), "")));
                command.env("TZ", "");
            }
            command.env("OTEL_SERVICE_NAME", format!("service-{number}"));
            command.env("OTEL_RESOURCE_ATTRIBUTES", format!("service.version={number}"));
            assert!(command.status().unwrap().success());
        }
        assert!(start.elapsed() < Duration::from_secs(300));
    });
    let batches = recorder.0.lock().unwrap();
    let mut found = vec![0_u32; PROCESSES];
    let (mut unread, mut others) = (0, 0);
    for event in batches.iter().flat_map(|batch| batch.events.iter()) {
        let Event::Process(event) = event else { continue };
        let ProcessTransition::Exec { executable, environment, arguments, .. } = &event.transition else {
            continue;
        };
        if !executable.path.ends_with("true") {
            continue;
        }
        let Some(environment) = environment else {
            unread += 1;
            continue;
        };
        let variables: Vec<_> = environment.split(|&byte| byte == 0).map(String::from_utf8_lossy).collect();
        let value = |key: &str| variables.iter().find_map(|variable| variable.strip_prefix(key));
        let number = value("OTEL_SERVICE_NAME=service-").and_then(|number| number.parse().ok());
        let has_zone = variables.iter().any(|variable| variable == "TZ=");
        match number {
            Some(number)
                if has_zone == (number % 100 == 0)
                    && value("OTEL_RESOURCE_ATTRIBUTES=service.version=")
                        == value("OTEL_SERVICE_NAME=service-") =>
            {
                let _: usize = number;
                let expected = format!("/bin/true\0argument-{number}\0");
                assert_eq!(String::from_utf8_lossy(arguments), expected);
                found[number] += 1;
            }
            _ => others += 1,
        }
    }
    let right = found.iter().filter(|&&times| times == 1).count();
    eprintln!("right {right}, not read {unread}, without or of others {others}");
    assert!(found.iter().all(|&times| times <= 1), "two with one name");
    assert!(right * 1000 >= PROCESSES * 999, "{right} of {PROCESSES}");
}
