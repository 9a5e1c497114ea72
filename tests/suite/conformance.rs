//! Every request of a rush of short processes keeps every rule, according to three decoders.

use std::fs;
use std::process::Command;
use std::time::Duration;

use tests::agent::Setup;
use tests::program::{self, Burner, Step};
use tests::reader;
use tests::validator;

use crate::alone;

/// Programs that are deleted while they run, each compiled once and copied.
const DELETED: usize = 20;
/// Number of shells, each with children of its own.
const SHELLS: usize = 40;

/// Shells that fork and exec without pause, chains of exec, and programs that are deleted while they run: in windows of
/// half a second, so that files become known in the middle of a window and processes span several.
#[test]
#[ignore = "needs root: loads BPF programs; and tests/setup.sh"]
fn every_request_of_a_rush_keeps_every_rule() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let burn = dir.path().join("burn");
    program::compile(&burn, "0123456789abcdef");
    let agent = Setup::new().samples_per_second(997).window(Duration::from_millis(500)).start();

    let shells = (0..SHELLS).map(|_| {
        let script = "i=0; while [ $i -lt 20 ]; do /bin/true; i=$((i+1)); (:); done; j=0; while [ $j -lt 20000 ]; do j=$((j+1)); done";
        Command::new("sh").args(["-c", script]).spawn().expect("a shell starts")
    });
    let shells: Vec<_> = shells.collect();
    for number in 0..DELETED {
        let path = dir.path().join(format!("gone-{number}"));
        fs::copy(&burn, &path).expect("a program is copied");
        let steps = [
            Step::Wait,
            Step::Cpu(Duration::from_millis(20)),
            Step::Exec(burn.clone()),
            Step::Cpu(Duration::from_millis(20)),
        ];
        let mut running = Burner::start(&path, &steps);
        fs::remove_file(&path).expect("a program is deleted");
        running.go();
        assert_eq!(running.finish().len(), 2);
    }
    for mut shell in shells {
        assert!(shell.wait().expect("a shell ends").success());
    }

    let outcome = agent.stop();
    validator::assert_valid(&outcome.file);
    let ours = outcome.file.summary().expect("every index is good");
    assert!(ours.requests > 2, "several windows: {}", ours.requests);
    assert!(ours.events_of(burn.to_str().expect("a path of ours is text")) > 0, "{:?}", ours.paths);
    assert_eq!(reader::read(outcome.path()).summary, ours);
    assert_eq!(reader::go_read(outcome.path()).summary, ours);
}
