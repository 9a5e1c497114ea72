//! The snapshot of the processes that run already, on a machine that goes on working meanwhile.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use pdata::{Event, ProcessEvent, ProcessTransition};
use receiver_ebpf::Config;

use support::{Recorder, run};

/// Processes that wait: several steps of the snapshot.
const WAITING: usize = 3_000;

/// A process with many children, which all end when its input does.
struct Crowd {
    parent: Child,
    pids: Vec<u32>,
}

impl Crowd {
    fn start() -> Self {
        // Each child waits in `read`, a command of the shell's own; a command in the background would have another
        // input.
        let script = format!(
            "exec 3<&0; i=0; while [ $i -lt {WAITING} ]; do (read x <&3) & echo $!; i=$((i+1)); done; wait"
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut parent = command.spawn().unwrap();
        let lines = BufReader::new(parent.stdout.take().unwrap()).lines();
        let pids: Vec<_> = lines.take(WAITING).map(|pid| pid.unwrap().parse().unwrap()).collect();
        assert_eq!(pids.len(), WAITING);
        Self { parent, pids }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        drop(self.parent.stdin.take());
        let _ended = self.parent.wait();
    }
}

/// Runs short processes, one after the other, until it is dropped. A process of its own has them as children: the
/// signals of their ends are not for the thread that loads BPF programs.
struct Storm(Child);

impl Storm {
    fn start() -> Self {
        Self(Command::new("sh").args(["-c", "while /bin/true; do :; done"]).spawn().unwrap())
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// However many processes there are, and whatever others do meanwhile: each is seen once, and no record of another is
/// lost.
#[test]
#[ignore = "needs root: loads BPF programs, and room for 3,000 processes"]
fn each_of_many_processes_is_seen_once_while_others_come_and_go() {
    let crowd = Crowd::start();
    let storm = Storm::start();
    let recorder = Recorder::default();
    let seen = recorder.clone();
    run(Config::default(), recorder.clone(), move |_| {
        seen.wait_until("the snapshot", |batches| batches.iter().any(|batch| !batch.events.is_empty()));
    });
    drop(storm);

    let mut times: BTreeMap<u32, usize> = crowd.pids.iter().map(|&pid| (pid, 0)).collect();
    for event in recorder.0.lock().unwrap().iter().flat_map(|batch| batch.events.iter()) {
        match event {
            Event::Process(ProcessEvent {
                image,
                transition: ProcessTransition::Seen { executable, .. },
                ..
            }) => {
                let Some(times) = times.get_mut(&image.process.pid.0) else { continue };
                *times += 1;
                assert!(executable.as_ref().unwrap().path.is_absolute());
            }
            Event::Loss(loss) => assert!(loss.reason.is_sample(), "{loss:?}"),
            _ => {}
        }
    }
    let others: Vec<_> = times.iter().filter(|&(_, &times)| times != 1).collect();
    assert!(others.is_empty(), "{} of {WAITING}, the first {:?}", others.len(), others.first());
}
